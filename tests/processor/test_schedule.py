"""The schedule's rules, and the promise that every key ends exactly once whatever happens."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab_processor.job import Entry
from batchlab_processor.pace import Pace
from batchlab_processor.pool import Pool
from batchlab_processor.schedule import AUTH_IN_A_ROW, Rules, RunStopped, Schedule, StopReason
from batchlab_processor.testing import FastClock


class Nothing(BaseModel):
    """An item that carries nothing."""


def entries(count: int, *, stages: int = 1, size_bytes: int | None = 1) -> list[Entry[Any]]:
    return [
        Entry(key=f"k{number}", item=Nothing(), stage=number % stages, size_bytes=size_bytes)
        for number in range(count)
    ]


def run(
    plan: list[Any],
    work: Any,
    *,
    workers: int = 5,
    ahead_bytes: int = 1 << 20,
    ordered: bool = False,
    attempts: int = 3,
    deadline: float | None = None,
    max_failures: int | None = None,
    clock: FastClock | None = None,
    **more: Any,
) -> tuple[list[Outcome], RunStopped | None, Schedule]:
    clock = clock or FastClock(speed=100_000)
    rules = Rules(workers, ahead_bytes, ordered, deadline, max_failures)
    schedule = Schedule(plan, rules, clock, Pace(), **more)
    seen: list[Outcome] = []
    pool = Pool(schedule, work, workers=workers, attempts=attempts, clock=clock, stop=threading.Event())
    try:
        with pool:
            for outcome in pool.outcomes():
                seen.append(outcome)
    except RunStopped as stopped:
        return seen, stopped, schedule
    return seen, None, schedule


def fine(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
    return None, 1


def test_an_empty_plan_ends_at_once() -> None:
    assert run([], fine)[0] == []


def test_ordered_outcomes_come_in_plan_order_and_unordered_ones_all_come() -> None:
    chance = random.Random(1)

    def jittery(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        threading.Event().wait(chance.random() / 1000)
        return None, 1

    plan = entries(100)
    assert [outcome.key for outcome in run(plan, jittery, ordered=True)[0]] == [entry.key for entry in plan]
    assert {outcome.key for outcome in run(plan, jittery)[0]} == {entry.key for entry in plan}


def test_never_more_than_workers_items_are_in_flight() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def counting(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.001)
        with lock:
            now[0] -= 1
        return None, 1

    run(entries(60), counting, workers=3)
    assert most[0] == 3


def test_bytes_alive_stay_within_ahead_bytes_while_collect_is_slow() -> None:
    lock, alive, most = threading.Lock(), [0], [0]

    def holding(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        with lock:
            alive[0] += 10
            most[0] = max(most[0], alive[0])
        return None, 10

    clock = FastClock(speed=1000)
    schedule = Schedule(entries(200, size_bytes=10), Rules(5, 100, ordered=True), clock, Pace())
    pool = Pool(schedule, holding, workers=5, attempts=1, clock=clock, stop=threading.Event())
    with pool:
        for number, _ in enumerate(pool.outcomes()):
            if number % 20 == 0:
                threading.Event().wait(0.002)
            with lock:
                alive[0] -= 10
    assert most[0] <= 110  # the outcome in collect's hands was counted off before its hold ended


def test_an_item_larger_than_all_of_ahead_bytes_still_runs() -> None:
    assert len(run(entries(7, size_bytes=1 << 40), fine, ahead_bytes=10, ordered=True)[0]) == 7


def test_a_stage_starts_when_the_one_before_has_ended() -> None:
    lock, flying, together = threading.Lock(), Counter[int](), set()

    def noting(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        with lock:
            flying[entry.stage] += 1
            together.add(tuple(sorted(stage for stage, count in flying.items() if count)))
        threading.Event().wait(0.001)
        with lock:
            flying[entry.stage] -= 1
        return None, 1

    assert len(run(entries(92, stages=3), noting)[0]) == 92
    assert together == {(0,), (1,), (2,)}


def test_a_failure_skips_the_later_stages_only() -> None:
    def failing(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        if entry.key == "k1":
            raise ItemError(Kind.MISSING, "gone")
        return None, 1

    seen, _, _ = run(entries(30, stages=3), failing)
    assert len(seen) == 30
    by_stage = Counter((int(o.key[1:]) % 3, o.outcome) for o in seen)
    assert by_stage == {(0, "done"): 10, (1, "done"): 9, (1, "failed"): 1, (2, "skipped"): 10}


def test_a_suspect_runs_alone_and_is_announced_alone() -> None:
    lock, flying, company = threading.Lock(), set(), {}
    announced: list[list[str]] = []

    def watching(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        with lock:
            flying.add(entry.key)
            for key in flying:
                company.setdefault(key, set()).update(flying)
        threading.Event().wait(0.001)
        with lock:
            flying.discard(entry.key)
        return None, 1

    suspects = frozenset({"k3", "k20"})
    seen, _, _ = run(entries(40), watching, suspects=suspects, announce=announced.append)
    assert len(seen) == 40
    assert company["k3"] == {"k3"} and company["k20"] == {"k20"}
    assert ["k3"] in announced and ["k20"] in announced
    assert all(not suspects & set(window) or len(window) == 1 for window in announced)


def test_every_item_is_announced_before_it_starts() -> None:
    current: set[str] = set()
    early: list[str] = []

    def announce(keys: list[str]) -> None:
        current.clear()
        current.update(keys)

    def checking(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        if entry.key not in current:
            early.append(entry.key)
        return None, 1

    assert len(run(entries(300), checking, announce=announce)[0]) == 300
    assert early == []


def test_the_deadline_skips_what_has_not_started_and_still_hands_everything_on() -> None:
    clock = FastClock(speed=1000)

    def slow(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        clock.sleep(5)
        return None, 1

    deadline = clock.monotonic() + 40
    seen, stopped, _ = run(entries(400), slow, workers=2, deadline=deadline, clock=clock)
    assert stopped is None and len(seen) == 400
    skipped = [outcome for outcome in seen if isinstance(outcome, Skipped)]
    assert skipped and {outcome.reason for outcome in skipped} == {"not_started"}


def test_too_many_failures_stop_the_run() -> None:
    def failing(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        raise ItemError(Kind.MISSING, "gone")

    _, stopped, _ = run(entries(100), failing, max_failures=3)
    assert stopped is not None and stopped.reason is StopReason.FAILURES


def test_twenty_refusals_in_a_row_stop_the_run_and_a_success_between_starts_the_count_anew() -> None:
    def refused(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        raise ItemError(Kind.AUTH, "403")

    def now_and_then(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        if int(entry.key[1:]) % (AUTH_IN_A_ROW - 1):
            raise ItemError(Kind.AUTH, "403")
        return None, 1

    _, stopped, _ = run(entries(100), refused)
    assert stopped is not None and stopped.reason is StopReason.AUTH
    assert run(entries(100), now_and_then, workers=1)[1] is None


def test_a_used_up_quota_ends_the_run_without_failing_the_item() -> None:
    def used_up(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        raise ItemError(Kind.QUOTA_EXHAUSTED, "per day", retry_after_seconds=3600)

    seen, stopped, schedule = run(entries(10), used_up)
    assert stopped is not None and stopped.reason is StopReason.PAUSE
    assert seen == [] and schedule.known() == {}


def test_a_rate_limit_holds_every_worker() -> None:
    clock = FastClock(speed=1000)
    lock, limited_at, others = threading.Lock(), [], []

    def limited(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        with lock:
            if entry.key == "k0" and attempt == 1:
                limited_at.append(clock.monotonic())
                raise ItemError(Kind.RATE_LIMIT, "429", retry_after_seconds=30)
            if limited_at:
                others.append(clock.monotonic())
        return None, 1

    run(entries(20), limited, workers=1, clock=clock)
    assert min(others) >= limited_at[0] + 30


def test_a_defect_of_the_engine_reaches_the_collecting_side() -> None:
    def announce(keys: list[str]) -> None:
        raise OSError("store gone")

    _, stopped, _ = run(entries(5), fine, announce=announce)
    assert stopped is not None and stopped.reason is StopReason.BROKEN
    assert isinstance(stopped.error, OSError)


def test_leaving_early_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    clock = FastClock()
    schedule = Schedule(entries(50), Rules(5, 1 << 20), clock, Pace())
    with Pool(schedule, fine, workers=5, attempts=1, clock=clock, stop=threading.Event()) as pool:
        next(iter(pool.outcomes()))
    assert set(threading.enumerate()) <= before


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 40),
    workers=st.integers(1, 8),
    stages=st.integers(1, 3),
    ordered=st.booleans(),
    seed=st.integers(0, 2**32),
    ahead_bytes=st.integers(1, 60),
    attempts=st.integers(1, 4),
    stop_after=st.none() | st.integers(0, 40),
    suspect_count=st.integers(0, 3),
    known_count=st.integers(0, 5),
)
def test_every_key_ends_exactly_once_whatever_fails_and_whoever_stops(
    count: int,
    workers: int,
    stages: int,
    ordered: bool,
    seed: int,
    ahead_bytes: int,
    attempts: int,
    stop_after: int | None,
    suspect_count: int,
    known_count: int,
) -> None:
    chance = random.Random(seed)
    plan: list[Any] = [
        Failed(key=f"k{number}", kind=Kind.MISSING, message="planned")
        if chance.random() < 0.05
        else Entry(
            key=f"k{number}",
            item=Nothing(),
            stage=number % stages,
            size_bytes=chance.choice([None, 1, 9, 99]),
        )
        for number in range(count)
    ]
    started: Counter[str] = Counter()
    kinds = [kind for kind in Kind if kind not in (Kind.AUTH, Kind.QUOTA_EXHAUSTED)]
    fate = {f"k{number}": chance.choice([None, None, chance.choice(kinds)]) for number in range(count)}
    lock = threading.Lock()
    holder: list[Schedule] = []

    def work(entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        with lock:
            started[entry.key] += attempt == 1
            total = sum(started.values())
        if stop_after is not None and total == stop_after:
            holder[0].stop(StopReason.CANCEL, "asked")
        if fate[entry.key] and chance.random() < 0.7:
            raise ItemError(fate[entry.key], "planted")
        return None, 1

    some = [entry.key for entry in plan if isinstance(entry, Entry)]
    settled = {key: Done(key=key) for key in some[:known_count]}
    clock = FastClock(speed=1_000_000)
    schedule = Schedule(
        plan,
        Rules(workers, ahead_bytes, ordered),
        clock,
        Pace(),
        settled=settled,
        suspects=frozenset(some[-suspect_count:] if suspect_count else []),
        announce=lambda keys: None,
    )
    holder.append(schedule)
    pool = Pool(schedule, work, workers=workers, attempts=attempts, clock=clock, stop=threading.Event())
    seen: list[str] = []
    stopped = False
    try:
        with pool:
            seen.extend(outcome.key for outcome in pool.outcomes())
    except RunStopped:
        stopped = True
    assert max(started.values(), default=0) <= 1
    assert not set(started) & set(settled)
    if not stopped:
        expected = [entry.key for entry in plan]
        assert seen == expected if ordered else sorted(seen) == sorted(expected)
    assert set(seen) <= set(schedule.known())


def test_the_time_that_workers_wait_on_limits_is_counted_by_reason() -> None:
    clock = FastClock(speed=50)  # 20 ms for a second: a busy machine takes some of them
    schedule = Schedule(entries(10), Rules(1, 1 << 20), clock, Pace(starts_per_second=1))
    with Pool(schedule, fine, workers=1, attempts=1, clock=clock, stop=threading.Event()) as pool:
        assert len(list(pool.outcomes())) == 10
    assert schedule.waited_seconds["pace"] >= 6  # nine intervals of a second, less what starting took
    assert set(schedule.waited_seconds) == {"pace"}


def test_whoever_wants_to_stop_after_the_deadline_is_heard_while_items_are_in_flight() -> None:
    clock = FastClock(speed=1)
    schedule = Schedule(entries(3), Rules(2, 100, deadline=clock.monotonic() + 0.01), clock, Pace())
    assert schedule.take() is not None
    clock.sleep(0.02)
    assert schedule.take() is None
    assert schedule.stopped is not None
    assert schedule.stopped.reason is StopReason.DEADLINE
    assert not schedule.stop(StopReason.CLOSED, "the end")
    assert schedule.stop(StopReason.CANCEL, "cancelled")
    assert schedule.stopped.reason is StopReason.CANCEL
