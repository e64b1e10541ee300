"""One run works on a job: races, takeovers, and holders that must notice what they lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batchlab.errors import ServiceError
from batchlab.lease import ALL, LIFETIME, Lease, Waiting, acquire
from batchlab.store import JSON, Store
from batchlab.stores.file import FileStore
from batchlab.stores.memory import MemoryStore
from tests.client.stores.every import EVERY, opened

WRITERS = 16
NAME = f"jobs/a/g1/{ALL}"
SHARD = "jobs/a/g1/lease-work-3.json"


class Away(MemoryStore):
    """A store whose clock the test moves, and which can be away."""

    def __init__(self) -> None:
        super().__init__("lease")
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.away = False
        self.loses_answers = False

    def now(self) -> datetime:
        return self.time

    def replace(self, name: str, body: JSON, version: str) -> str:
        if self.away:
            raise ServiceError("The store is away.")
        new = super().replace(name, body, version)
        if self.loses_answers:
            raise ServiceError("The answer was lost.")
        return new

    def after(self, seconds: float) -> Away:
        self.time += timedelta(seconds=seconds)
        return self


@pytest.fixture
def store() -> Away:
    return Away()


@pytest.fixture(params=EVERY)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request.param, request, tmp_path) as store:
        yield store


def _held(store: Store, name: str, run: str) -> None:
    """A live lease of a run on another machine."""
    until = (store.now() + LIFETIME).isoformat()
    store.create(name, {"run": run, "token": "theirs", "until": until})


def _at_once(store: Store, names: list[str]) -> list[Lease]:
    together = threading.Barrier(len(names))

    def take(number: int) -> Lease | None:
        together.wait()
        return acquire(store, names[number], f"run-{number}")

    with ThreadPoolExecutor(len(names)) as pool:
        return [lease for lease in pool.map(take, range(len(names))) if lease is not None]


def test_of_many_that_come_at_once_one_works(real: Store) -> None:
    writers = 4 if "r2://" in real.url else WRITERS
    assert len(_at_once(real, [NAME] * WRITERS)) == 1
    assert _at_once(real, [NAME] * writers) == []


def test_of_many_that_find_an_old_lease_one_takes_it_over(real: Store) -> None:
    real.create(NAME, {"run": "dead", "token": "old", "until": "2020-01-01T00:00:00+00:00"})
    assert len(_at_once(real, [NAME] * WRITERS)) == 1


def test_the_lease_on_all_and_one_on_a_shard_are_never_held_together(store: Away) -> None:
    for _ in range(20):
        held = _at_once(store, [NAME, SHARD] * 3)
        names = {lease._name for lease in held}
        assert len(names) <= 1 and len(held) <= 1
        for lease in held:
            lease.release()


def test_shards_do_not_exclude_each_other(store: Away) -> None:
    assert acquire(store, SHARD, "one") is not None
    assert acquire(store, "jobs/a/g1/lease-work-4.json", "two") is not None
    assert acquire(store, NAME, "all") is None
    assert acquire(store, "jobs/a/g2/" + ALL, "all") is not None


def test_a_lease_given_back_is_free_at_once(store: Away) -> None:
    first = acquire(store, NAME, "first")
    assert first is not None
    with first:
        assert acquire(store, NAME, "second") is None
        assert not first.lost.is_set()
    second = acquire(store, NAME, "second")
    assert second is not None


def test_a_lease_lives_60_seconds_by_the_stores_clock(store: Away) -> None:
    _held(store, NAME, "gone")
    assert acquire(store.after(59.9), NAME, "next") is None
    assert acquire(store.after(0.1), NAME, "next") is not None


def test_whoever_waits_takes_it_over_when_it_ends(store: Away) -> None:
    _held(store, NAME, "gone")
    lease = acquire(store, NAME, "next", waiting=Waiting(look_seconds=7, sleep=store.after))
    assert lease is not None


def test_whoever_waits_gives_up_after_90_seconds(store: Away) -> None:
    naps: list[float] = []
    _held(store, NAME, "alive")
    assert acquire(store, NAME, "next", waiting=Waiting(sleep=naps.append)) is None
    assert sum(naps) == 90


def test_whoever_is_told_to_stop_waits_no_longer(store: Away) -> None:
    stop = threading.Event()
    stop.set()
    _held(store, NAME, "alive")
    assert acquire(store, NAME, "next", waiting=Waiting(stop=stop, sleep=store.after)) is None


def test_a_holder_that_was_overtaken_notices_and_leaves_the_new_one_alone(store: Away) -> None:
    lease = acquire(store, NAME, "slow")
    assert lease is not None
    store.after(61)
    thief = acquire(store, NAME, "thief")
    assert thief is not None and not thief.lost.is_set()
    assert not lease.renew()
    assert lease.lost.is_set()
    lease.release()
    found = store.read(NAME)
    assert found is not None and found.body["run"] == "thief" and found.body["token"]


def test_a_renewal_lasts_another_60_seconds(store: Away) -> None:
    lease = acquire(store, NAME, "run")
    assert lease is not None
    for _ in range(5):
        store.after(15)
        assert lease.renew()
    assert acquire(store.after(59), NAME, "other") is None


def test_a_renewal_whose_answer_was_lost_is_still_ours(store: Away) -> None:
    lease = acquire(store, NAME, "run")
    assert lease is not None
    store.loses_answers = True
    assert not lease.renew()
    store.loses_answers = False
    assert lease.renew()
    assert not lease.lost.is_set()


def test_a_store_that_is_away_loses_the_lease_only_when_its_time_is_up(store: Away) -> None:
    seconds = [1000.0]
    version = store.create(NAME, {"run": "run", "token": "t", "until": ""})
    lease = Lease(store, NAME, "run", version, {"token": "t"}, asked_at=1000.0, clock=lambda: seconds[0])
    store.away = True
    seconds[0] = 1054.0
    assert not lease.renew()
    assert not lease.lost.is_set()
    store.away = False
    assert lease.renew()
    seconds[0] = 1108.9
    assert not lease.lost.is_set()
    seconds[0] = 1109.0  # 5 s before others may come
    assert lease.lost.is_set()
    assert not lease.renew()


def test_a_holder_that_hangs_knows_that_it_lost_although_its_renewal_never_returns(store: Away) -> None:
    seconds, go_on = [0.0], threading.Event()
    version = store.create(NAME, {"run": "run", "token": "t", "until": ""})
    lease = Lease(store, NAME, "run", version, {"token": "t"}, asked_at=0.0, clock=lambda: seconds[0])
    store.now = lambda: (go_on.wait(10) and store.time) or store.time  # type: ignore[method-assign]
    renewal = threading.Thread(target=lease.renew)
    renewal.start()
    seconds[0] = 56.0
    assert lease.lost.is_set()
    go_on.set()
    renewal.join()
    assert lease.lost.is_set()


def test_the_lease_is_renewed_by_itself(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchlab.lease.RENEW_SECONDS", 0.005)
    lease = acquire(store, NAME, "run")
    assert lease is not None
    renewed = threading.Event()
    real_renew = lease.renew

    def renew() -> bool:
        renewed.set()
        return real_renew()

    monkeypatch.setattr(lease, "renew", renew)
    with lease:
        assert renewed.wait(10)
    assert not any(thread.name == "lease" for thread in threading.enumerate())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process started")
def test_a_holder_killed_on_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        lease = acquire(FileStore(tmp_path), NAME, "killed")
        os.write(writer, b"1" if lease else b"0")
        signal.pause()
    try:
        assert os.read(reader, 1) == b"1"
        assert acquire(store, NAME, "next") is None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
    lease = acquire(store, NAME, "next")
    assert lease is not None


@pytest.mark.parametrize("field", ["host", "boot", "user"])
def test_a_holder_elsewhere_is_never_taken_for_dead(tmp_path: Path, field: str) -> None:
    store = FileStore(tmp_path)
    lease = acquire(store, NAME, "theirs")
    assert lease is not None
    found = store.read(NAME)
    assert found is not None
    holder = {**found.body["holder"], "pid": 2**30, field: "another"}
    store.put(NAME, {**found.body, "holder": holder})
    assert acquire(store, NAME, "mine") is None
