import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Skipped
from batchlab_processor.clock import Clock
from batchlab_processor.job import Entry
from batchlab_processor.progress import Progress

START = datetime(2026, 6, 6, tzinfo=UTC)


class Photo(BaseModel):
    pass


class StillClock(Clock):
    """Time passes only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 100)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def progress(clock: StillClock) -> Progress:
    return Progress(clock)


def photos(count: int, size_bytes: int | None = 1000) -> list[Entry[Photo]]:
    return [Entry(str(number), Photo(), size_bytes=size_bytes) for number in range(count)]


def test_counts_and_bytes_follow_the_items(progress: Progress) -> None:
    progress.plan(photos(4), {})
    progress.started("0")
    progress.moved(400)
    now = progress.snapshot()
    assert (now.counts.in_flight, now.counts.done_bytes, now.counts.total_bytes) == (1, 400, 4000)
    assert [(item.key, item.size_bytes, item.total_bytes) for item in now.in_flight] == [("0", 400, 1000)]
    progress.moved(600)
    progress.ended(Done(key="0", size_bytes=1000))
    progress.started("1")
    progress.ended(Failed(key="1", kind=Kind.MISSING, message="404"))
    progress.ended(Skipped(key="2", reason="not_started"))
    counts = progress.snapshot().counts
    assert (counts.done, counts.failed, counts.skipped, counts.in_flight) == (1, 1, 1, 0)
    assert counts.done_bytes == 3000, "a photo that is missing is behind us too"
    assert progress.snapshot().share == 0.75


def test_a_second_attempt_counts_its_bytes_once(progress: Progress) -> None:
    progress.plan(photos(1), {})
    progress.started("0")
    progress.moved(900)
    progress.waiting("backoff", 1.5)
    assert progress.snapshot().counts.done_bytes == 0
    progress.moved(1000)
    assert progress.snapshot().counts.done_bytes == 1000
    progress.ended(Done(key="0", size_bytes=1000))
    assert progress.snapshot().counts.done_bytes == 1000
    assert progress.downloaded_bytes == 1900, "the network carried them twice"
    assert progress.waited_seconds == {"backoff": 1.5}


def test_waiting_for_its_turn_keeps_an_items_bytes(progress: Progress) -> None:
    progress.plan(photos(1), {})
    progress.started("0")
    progress.moved(300)
    progress.waiting("bytes", 2)
    assert progress.snapshot().counts.done_bytes == 300


def test_a_source_longer_than_planned_never_exceeds_the_total(progress: Progress) -> None:
    progress.plan(photos(2), {})
    progress.started("0")
    progress.moved(5000)
    assert progress.snapshot().share == 0.5
    progress.ended(Done(key="0", size_bytes=5000))
    assert progress.snapshot().share == 0.5


def test_what_earlier_runs_settled_counts_but_is_no_speed(progress: Progress, clock: StillClock) -> None:
    progress.plan(photos(4), {"0": Done(key="0"), "1": Failed(key="1", kind=Kind.MISSING, message="")})
    clock.seconds += 10
    now = progress.snapshot()
    assert (now.counts.done, now.counts.failed, now.counts.done_bytes) == (1, 1, 2000)
    assert (now.bytes_per_second, now.items_per_second, now.eta_seconds) == (0, 0, None)


def test_items_found_wanting_while_planning_have_failed(progress: Progress) -> None:
    progress.plan([*photos(1), Failed(key="x", kind=Kind.MISSING, message="404")], {})
    assert progress.snapshot().counts.failed == 1
    assert progress.snapshot().counts.total == 2


def test_the_rate_is_that_of_the_last_ten_seconds(progress: Progress, clock: StillClock) -> None:
    progress.plan(photos(1, 1_000_000), {})
    progress.started("0")
    for _ in range(20):
        clock.seconds += 1
        progress.moved(10_000)
        progress.snapshot()
    assert progress.snapshot().bytes_per_second == 10_000
    assert progress.snapshot().eta_seconds == 80
    for _ in range(11):
        clock.seconds += 1
        progress.snapshot()
    assert progress.snapshot().bytes_per_second == 0
    assert progress.snapshot().eta_seconds is None


def test_without_sizes_the_eta_goes_by_items(progress: Progress, clock: StillClock) -> None:
    progress.plan(photos(4, None), {})
    clock.seconds += 2
    progress.started("0")
    progress.ended(Done(key="0", size_bytes=7))
    now = progress.snapshot()
    assert now.counts.total_bytes is None and now.counts.done_bytes == 7
    assert now.eta_seconds == 6
    assert now.share == 0.25


def test_five_minutes_without_progress_are_stalled(progress: Progress, clock: StillClock) -> None:
    progress.plan(photos(1), {})
    progress.started("0")
    clock.seconds += 299
    assert not progress.snapshot().stalled
    clock.seconds += 1
    assert progress.snapshot().stalled
    assert progress.snapshot().last_progress_at == START
    progress.moved(1)
    now = progress.snapshot()
    assert not now.stalled and now.last_progress_at == START + timedelta(minutes=5)


def test_each_thread_speaks_of_its_own_item(progress: Progress) -> None:
    progress.plan(photos(3), {})
    looked = threading.Barrier(4)

    def work(number: int) -> None:
        progress.started(str(number))
        progress.moved(number * 100)
        looked.wait(10)
        looked.wait(10)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    looked.wait(10)
    seen = {item.key: item.size_bytes for item in progress.snapshot().in_flight}
    looked.wait(10)
    for thread in threads:
        thread.join()
    assert seen == {"0": 0, "1": 100, "2": 200}


def test_threads_that_have_ended_leave_their_bytes(progress: Progress) -> None:
    for _ in range(50):
        thread = threading.Thread(target=progress.moved, args=(10,))
        thread.start()
        thread.join()
    assert progress.downloaded_bytes == 500


def test_an_item_left_without_outcome_is_no_longer_in_flight(progress: Progress) -> None:
    progress.plan(photos(2), {})
    progress.started("0")
    progress.started("1")
    assert [item.key for item in progress.snapshot().in_flight] == ["1"]


def test_many_threads_lose_nothing() -> None:
    progress = Progress(Clock())
    progress.plan(photos(400), {})

    def work(first: int) -> None:
        for number in range(first, first + 50):
            progress.started(str(number))
            for _ in range(10):
                progress.moved(100)
            progress.uploaded(5)
            progress.ended(Done(key=str(number), size_bytes=1000))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        now = progress.snapshot()
        assert now.counts.total_bytes and now.counts.done_bytes <= now.counts.total_bytes
    now = progress.snapshot()
    assert (now.counts.done, now.counts.done_bytes) == (400, 400_000)
    assert (progress.downloaded_bytes, progress.uploaded_bytes) == (400_000, 2000)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "move", "retry", "done", "failed", "tick"]),
            st.integers(0, 5),
            st.integers(0, 3000),
        ),
        max_size=60,
    )
)
def test_any_order_of_events_keeps_the_bytes_within_the_total(steps: list[tuple[str, int, int]]) -> None:
    clock = StillClock()
    progress = Progress(clock)
    progress.plan(photos(6), {})
    ended: set[str] = set()
    for step, number, size_bytes in steps:
        key = str(number)
        if step == "start" and key not in ended:
            progress.started(key)
        elif step == "move":
            progress.moved(size_bytes)
        elif step == "retry":
            progress.waiting("rate_limit", 1)
        elif step == "done" and key not in ended:
            ended.add(key)
            progress.ended(Done(key=key, size_bytes=size_bytes))
        elif step == "failed" and key not in ended:
            ended.add(key)
            progress.ended(Failed(key=key, kind=Kind.NETWORK, message="cut"))
        else:
            clock.seconds += size_bytes / 1000
        now = progress.snapshot()
        assert 0 <= now.counts.done_bytes <= 6000
        assert 0 <= now.share <= 1
        assert now.counts.ended == len(ended)
        assert now.counts.ended + now.counts.in_flight <= 6
        assert now.eta_seconds is None or now.eta_seconds >= 0
