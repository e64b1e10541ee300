"""batchlab.timer: a job has one time at which it is looked at, however many set it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from batchlab.ids import new_id
from batchlab.store import JSON
from batchlab.stores.memory import MemoryStore
from batchlab.timer import due, looked, watch

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Store(MemoryStore):
    time = NOON
    listed = 0

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def store() -> Store:
    return Store()


def names(store: MemoryStore) -> list[str]:
    return list(store.names("watch/"))


def test_a_job_is_due_when_its_time_has_come_and_not_before(store: Store) -> None:
    watch(store, job := new_id(), NOON + MINUTE)
    assert list(due(store)) == []
    store.time += MINUTE
    assert [each.job_id for each in due(store)] == [job]


def test_the_longest_due_comes_first(store: Store) -> None:
    jobs = [new_id() for _ in range(3)]
    for minutes, job in zip((3, 1, 2), jobs, strict=True):
        watch(store, job, NOON + minutes * MINUTE)
    store.time += 5 * MINUTE
    assert [each.job_id for each in due(store)] == [jobs[1], jobs[2], jobs[0]]


def test_an_earlier_time_takes_the_place_of_a_later_one(store: Store) -> None:
    job = new_id()
    watch(store, job, NOON + 10 * MINUTE)
    watch(store, job, NOON + MINUTE)
    [name] = names(store)
    assert name.endswith(job)
    store.time += MINUTE
    assert [each.name for each in due(store)] == [name]


def test_a_later_time_changes_nothing_while_an_earlier_one_is_to_come(store: Store) -> None:
    job = new_id()
    watch(store, job, NOON + MINUTE)
    before = names(store)
    for minutes in (1, 5, 10):
        watch(store, job, NOON + minutes * MINUTE)
    assert names(store) == before


def test_a_time_that_is_over_is_followed_by_the_next(store: Store) -> None:
    job = new_id()
    watch(store, job, NOON + MINUTE)
    store.time += 2 * MINUTE
    [now] = due(store)
    watch(store, job, store.time + MINUTE)
    looked(store, now)
    assert list(due(store)) == []
    assert len(names(store)) == 1


def test_a_setter_killed_between_any_two_writes_loses_no_look(store: Store) -> None:
    class Killed(BaseException):
        pass

    for writes in range(3):
        job = new_id()
        watch(store, job, NOON + 10 * MINUTE)
        left = writes
        put, delete = store.put, store.delete

        def counted() -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1

        def dying_put(name: str, body: JSON, put=put) -> str:  # type: ignore[no-untyped-def]
            counted()
            return str(put(name, body))

        def dying_delete(name: str, delete=delete) -> None:  # type: ignore[no-untyped-def]
            counted()
            delete(name)

        store.put, store.delete = dying_put, dying_delete  # type: ignore[method-assign,assignment]
        with pytest.raises(Killed):
            watch(store, job, NOON + MINUTE)
        store.put, store.delete = put, delete  # type: ignore[method-assign]
        assert any(name.endswith(job) for name in names(store))
        watch(store, job, NOON + MINUTE)
        store.time += MINUTE
        assert job in [each.job_id for each in due(store)]
        store.time = NOON


def test_of_eight_that_set_a_time_at_once_the_earliest_is_kept(store: Store) -> None:
    job = new_id()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda minutes: watch(store, job, NOON + minutes * MINUTE), range(1, 9)))
    store.time += MINUTE
    assert job in [each.job_id for each in due(store)]
    store.time += 7 * MINUTE
    for each in list(due(store)):
        looked(store, each)
    assert names(store) == []


def test_a_time_whose_name_was_lost_is_set_again(store: Store) -> None:
    job = new_id()
    watch(store, job, NOON + MINUTE)
    store.delete(names(store)[0])
    watch(store, job, NOON + 5 * MINUTE)
    assert len(names(store)) == 1


def test_ten_thousand_quiet_jobs_cost_no_more_than_the_names_that_are_due(store: Store) -> None:
    for _ in range(1_000):
        store.put(f"watch/{int((NOON + MINUTE).timestamp() * 1000):013d}-{new_id()}", {})
    watch(store, new_id(), NOON)
    read = 0

    def counting(prefix: str, *, after: str = ""):  # type: ignore[no-untyped-def]
        nonlocal read
        for name in MemoryStore.names(store, prefix, after=after):
            read += 1
            yield name

    store.names = counting  # type: ignore[method-assign]
    assert len(list(due(store))) == 1
    assert read == 2
