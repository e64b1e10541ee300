"""One job in several runs by phase and shard: the same end as in one run, whoever dies on the way."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchlab.errors import DocumentError
from batchlab.kinds import ItemError, Kind
from batchlab.lease import LIFETIME, Waiting
from batchlab.ledger import fold
from batchlab.outcome import Done, Failed
from batchlab.report import ItemReport, Report
from batchlab.shards import Phase, Shard
from batchlab.standing import standing
from batchlab.status import Counts, State
from batchlab_processor.engine import End
from batchlab_processor.job import Context, JobFailed, StartOver
from batchlab_processor.schedule import AUTH_IN_A_ROW
from tests.processor.shouting import Killed, Loud, Shout, Word, World, fails, lose_lease

EXAMPLES = max(40, int(os.environ.get("BATCHLAB_TEST_FAULTS", "0")))
IN_BATCH: dict[str, Any] = {"paused_exit_code": 0}


def do(world: World, phase: Phase, number: int = 1, count: int = 1, **door: Any) -> End:
    return world.run(phase=phase, shard=Shard(number, count), **door)


def do_all(world: World, count: int) -> End:
    """The three phases, one after the other."""
    assert do(world, "plan").exit_code == 0
    for number in range(1, count + 1):
        assert do(world, "work", number, count).exit_code == 0
    return do(world, "collect")


def a_world(count: int = 10, shards: int = 3, job: Shout | None = None, **more: Any) -> World:
    return World(job, params={"count": count}, shards=shards, **more)


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_phases_and_shards_end_as_one_run_does(shards: int) -> None:
    def fate(item: Word, ctx: Context) -> None:
        fails(Kind.MISSING, "w3")(item, ctx)

    worlds = [a_world(shards=shards) for _ in range(2)]
    for world in worlds:
        world.job.plant = fate
    whole, divided = worlds[0].run(), do_all(worlds[1], shards)
    assert whole.report is not None and divided.report is not None
    assert (divided.state, divided.exit_code) == (whole.state, whole.exit_code) == (State.PARTIAL, 3)

    def items(report: Report) -> list[ItemReport]:
        return [item.model_copy(update={"seconds": 0, "megabytes_per_second": None}) for item in report.items]

    assert items(divided.report) == items(whole.report)
    assert divided.report.failures == whole.report.failures
    assert worlds[1].job.worked == worlds[0].job.worked
    assert worlds[1].records.status().state is State.PARTIAL


def test_planning_alone_works_on_nothing_and_a_second_time_changes_nothing() -> None:
    world = a_world()
    for _ in range(2):
        assert (do(world, "plan").state, do(world, "plan").exit_code) == (State.RUNNING, 0)
    status = standing(world.records, world.records.status())
    assert (status.counts.total, status.counts.done, status.counts.total_bytes) == (10, 0, 10)
    assert not world.job.worked
    assert not list(world.store.names(f"jobs/{world.records.id}/g1/report"))


def test_a_plan_that_cannot_be_made_fails_the_job_in_the_plan_phase() -> None:
    world = a_world()
    world.job.plant_plan = lambda ctx: (_ for _ in ()).throw(ItemError(Kind.MISSING, "no manifest"))
    assert (do(world, "plan").exit_code, world.records.status().state) == (1, State.FAILED)
    for phase in ("plan", "work"):  # whoever comes later finds that it is over, and that is no failure of his
        assert do(world, phase).exit_code == 0  # type: ignore[arg-type]
    assert do(world, "collect").exit_code == 1


def test_a_shard_works_on_its_neighbours_and_collects_nothing() -> None:
    world = a_world(count=9)
    seen: list[tuple[str, range, int]] = []
    world.job.plant = lambda item, ctx: seen.append((ctx.phase, ctx.slice, len(ctx.planned)))
    do(world, "plan")
    end = do(world, "work", 2, 3)
    assert (end.state, end.exit_code, end.report) == (State.RUNNING, 0, None)
    assert set(world.job.worked) == {"w3", "w4", "w5"}
    assert set(seen) == {("work", range(3, 6), 9)}
    assert world.job.collected == []
    assert world.records.report(1) is None
    assert set(fold(world.store, world.records.id, 1).outcomes) == {"w3", "w4", "w5"}


def test_a_shard_that_never_came_is_worked_by_collect() -> None:
    world = a_world(count=9)
    do(world, "plan")
    do(world, "work", 1, 3)
    do(world, "work", 3, 3)
    end = do(world, "collect")
    assert end.state is State.SUCCEEDED
    assert set(world.job.worked.values()) == {1}
    assert sorted(outcome.key for outcome in world.job.collected) == [f"w{n}" for n in range(9)]
    assert end.report is not None
    assert (end.report.runs, end.report.interrupted) == (4, 0)


def test_a_shard_that_is_started_again_works_only_on_what_it_left() -> None:
    world = a_world(count=9)
    do(world, "plan")

    def stop_at_w4(item: Word, ctx: Context) -> None:
        if item.text == "w4":
            raise Killed

    world.job.plant = stop_at_w4
    with pytest.raises(Killed):
        do(world, "work", 2, 3)
    world.job.plant = lambda item, ctx: None
    recorded = set(fold(world.store, world.records.id, 1).outcomes)
    assert do(world, "work", 2, 3).exit_code == 0
    assert all(world.job.worked[key] == 1 for key in recorded)
    assert do(world, "work", 2, 3).exit_code == 0
    assert world.job.worked["w5"] <= 2
    assert set(fold(world.store, world.records.id, 1).outcomes) == {"w3", "w4", "w5"}


def test_a_job_that_is_durable_as_a_whole_leaves_all_its_work_to_collect() -> None:
    world = a_world(shards=1)
    world.job.effect = "job"
    do(world, "plan")
    assert do(world, "work").exit_code == 0
    assert not world.job.worked
    assert do(world, "collect").state is State.SUCCEEDED
    assert set(world.job.worked.values()) == {1}


@pytest.mark.parametrize("planted", [{"stages": 2}, {"effect": "job"}])
def test_stages_and_jobs_that_deliver_as_a_whole_are_refused_in_shards(planted: dict[str, Any]) -> None:
    world = a_world(shards=2)
    for name, value in planted.items():
        setattr(world.job, name, value)
    end = do(world, "plan")
    assert end.report is not None
    assert (end.state, end.report.error) == (
        State.FAILED,
        "shards: this shout job runs on one machine. Leave shards out.",
    )


def test_more_shards_than_the_document_says_and_work_without_a_plan_are_refused() -> None:
    world = a_world(shards=3)
    with pytest.raises(DocumentError, match="Run --phase plan first"):
        do(world, "work", 1, 3)
    assert world.records.status().state is State.QUEUED
    do(world, "plan")
    with pytest.raises(DocumentError, match="shards: 3"):
        do(world, "work", 1, 4)
    assert do(world, "work", 1, 2).exit_code == 0  # fewer may be


def test_shards_run_side_by_side_and_everything_at_once_waits_for_them() -> None:
    world = a_world(count=8, shards=2, speed=1)
    do(world, "plan")
    both = threading.Barrier(2)
    asides: list[End] = []

    def plant(item: Word, ctx: Context) -> None:
        if item.text in ("w0", "w7"):
            both.wait(20)  # one item of each shard at the same time
            if item.text == "w0":
                asides.append(do(world, "collect"))
                asides.append(do(world, "plan"))
                asides.append(world.run())
                asides.append(do(world, "work", 1, 2))
            both.wait(20)

    world.job.plant = plant
    threads = [threading.Thread(target=do, args=(world, "work", number, 2)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(end.exit_code, end.report) for end in asides] == [(0, None)] * 4
    assert set(world.job.worked.values()) == {1}
    assert do(world, "collect").state is State.SUCCEEDED


def test_no_shard_starts_while_a_run_works_on_everything() -> None:
    world = a_world(shards=2, speed=1)
    do(world, "plan")
    asides: list[End] = []

    def plant(ctx: Context) -> None:
        asides.extend(do(world, "work", number, 2) for number in (1, 2))

    world.job.plant_collect = plant
    assert do(world, "collect").state is State.SUCCEEDED
    assert [end.message for end in asides] == ["Another run works on this job; this one stood aside."] * 2


def test_of_two_collects_one_delivers_and_the_other_finds_it_done() -> None:
    world = a_world(count=40, shards=2, speed=1)
    do(world, "plan")
    do(world, "work", 1, 2)
    collected: list[int] = []
    world.job.plant_collect = lambda ctx: collected.append(1)
    world.job.plant = lambda item, ctx: ctx.stop.wait(0.005)
    ends: list[End] = []
    waiting = Waiting(seconds=20, look_seconds=0.01)
    threads = [
        threading.Thread(target=lambda: ends.append(do(world, "collect", waiting=waiting))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [end.state for end in ends] == [State.SUCCEEDED] * 2
    assert collected == [1]
    assert set(world.job.worked.values()) == {1}


def test_collect_waits_for_the_lease_of_a_dead_shard_and_takes_its_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_world(count=9)
    store = world.store
    do(world, "plan")
    assert world.records.lease(1, "dead", shard=2) is not None  # never renewed, never released
    name = f"jobs/{world.records.id}/g1/lease-work-2.json"
    found = store.read(name)
    assert found is not None
    store.put(name, {**found.body, "holder": {**found.body["holder"], "host": "elsewhere"}})
    do(world, "work", 1, 3)
    assert do(world, "collect").message.startswith("Another run works on this job")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 61:
            later = store.now() + LIFETIME + timedelta(seconds=1)
            monkeypatch.setattr(store, "now", lambda: later)

    end = do(world, "collect", waiting=Waiting(look_seconds=1, sleep=sleep))
    assert end.state is State.SUCCEEDED
    assert len(waited) == 61
    assert set(world.job.worked.values()) == {1}


def test_an_interrupted_shard_exits_75_and_goes_on_where_it_was() -> None:
    world = a_world(count=8, shards=2, speed=1)
    do(world, "plan")

    def plant(item: Word, ctx: Context) -> None:
        if item.text == "w6":
            lose_lease(world, "lease-work-2.json")
            ctx.stop.wait(10)

    world.job.plant = plant
    assert do(world, "work", 2, 2).exit_code == 75
    world.store.delete(f"jobs/{world.records.id}/g1/lease-work-2.json")  # the thief's
    world.job.plant = lambda item, ctx: None
    assert do(world, "work", 2, 2).exit_code == 0
    assert do(world, "work", 1, 2).exit_code == 0
    end = do(world, "collect")
    assert end.report is not None
    assert (end.state, end.report.runs, end.report.interrupted) == (State.SUCCEEDED, 5, 1)


@pytest.mark.parametrize("phase", ["plan", "work", "collect"])
def test_a_cancel_is_heeded_in_every_phase_and_collect_reports_it(phase: Phase) -> None:
    world = a_world(count=8, shards=2, speed=1)

    def cancel(*_: Any) -> None:
        world.records.ask_to_cancel(1)
        if phase != "plan":
            _[1].stop.wait(10)

    if phase == "plan":
        world.job.plant_plan = cancel
        do(world, "plan")
    else:
        do(world, "plan")
        if phase == "work":
            world.job.plant = lambda item, ctx: cancel(item, ctx) if item.text == "w1" else None
            end = do(world, "work", 1, 2)
            assert (end.state, end.exit_code) == (State.CANCELLING, 0)
            world.job.worked.clear()
            assert do(world, "work", 2, 2).exit_code == 0
            assert not world.job.worked
        else:
            world.job.plant = cancel
    end = do(world, "collect")
    assert (end.state, end.exit_code) == (State.CANCELLED, 4)
    assert end.report is not None
    assert end.report.counts.total == 8
    assert world.job.collected == []


def test_after_the_deadline_shards_start_nothing_and_collect_delivers_what_there_is() -> None:
    world = a_world(count=8, shards=2, limits={"deadline": "1h"}, speed=1)
    do(world, "plan")
    do(world, "work", 1, 2)
    started = world.records.status().started_at
    assert started is not None
    world.clock._start += timedelta(hours=2)
    assert do(world, "work", 2, 2).exit_code == 0
    end = do(world, "collect")
    assert end.report is not None
    assert (end.state, end.report.stopped) == (State.PARTIAL, "deadline")
    assert end.report.counts == Counts(total=8, done=4, skipped=4, total_bytes=None, done_bytes=4)
    assert set(world.job.worked) == {"w0", "w1", "w2", "w3"}
    assert world.records.status().started_at == started


def test_what_ends_one_shard_for_good_ends_the_job_and_the_others_stop() -> None:
    world = a_world(count=9)
    do(world, "plan")

    def plant(item: Word, ctx: Context) -> None:
        if item.text == "w4":
            raise JobFailed("the upload is refused")

    world.job.plant = plant
    end = do(world, "work", 2, 3)
    assert (end.exit_code, end.message) == (0, "Shard 2/3: the upload is refused")
    world.job.worked.clear()
    assert do(world, "work", 3, 3).message == "Shard 3/3: the upload is refused"
    end = do(world, "collect")
    assert end.report is not None
    assert (end.state, end.report.error, end.report.stopped) == (State.FAILED, "the upload is refused", None)
    assert not world.job.worked
    assert world.job.collected == []


def test_twenty_refusals_in_a_row_in_one_shard_stop_the_job() -> None:
    world = a_world(count=90)
    do(world, "plan")
    world.job.plant = fails(Kind.AUTH, *[f"w{n}" for n in range(30, 60)])
    assert do(world, "work", 2, 3).exit_code == 0
    assert AUTH_IN_A_ROW <= len(world.job.worked) < 30
    end = do(world, "collect")
    assert end.report is not None
    assert end.report.stopped == "max_failures"
    assert "refused (auth)" in (end.report.error or "")


def test_failures_of_all_shards_together_count_against_max_failures() -> None:
    world = a_world(count=9, limits={"max_failures": 2})
    do(world, "plan")
    world.job.plant = fails(Kind.MISSING, "w0", "w4", "w8")
    for number in (1, 2, 3):
        do(world, "work", number, 3)
    end = do(world, "collect")
    assert end.report is not None
    assert (end.state, end.report.stopped) == (State.FAILED, "max_failures")


def test_a_shard_whose_quota_is_used_up_pauses_the_job() -> None:
    world = a_world(count=9)
    do(world, "plan")
    world.job.plant = fails(Kind.QUOTA_EXHAUSTED, "w4", retry_after_seconds=1800)
    assert do(world, "work", 2, 3, **IN_BATCH).exit_code == 0
    assert world.records.status().resume_at is not None
    assert world.store.read(f"pending/{world.records.id}") is not None
    world.job.plant = lambda item, ctx: None
    assert do(world, "work", 2, 3).exit_code == 0
    assert world.records.status().resume_at is None


def test_collect_may_start_over_alone_with_what_the_shards_have_done() -> None:
    world = a_world(count=9)
    world.job.effect = "own"
    world.job.plant = fails(Kind.MISSING, "w1")
    do(world, "plan")
    for number in (1, 2, 3):
        do(world, "work", number, 3)
    rounds = iter([StartOver("The upload is gone.")])

    def again(ctx: Context) -> None:
        for wish in rounds:
            raise wish

    world.job.plant_collect = again
    end = do(world, "collect")
    assert end.report is not None
    assert (end.report.counts.total, end.report.counts.done, end.report.counts.failed) == (9, 8, 1)
    assert world.job.worked["w1"] == 1  # failed stays failed
    assert world.job.worked["w5"] == 3  # its shard, collect, and collect once more: nothing had settled it


def test_the_progress_of_the_shards_adds_up_while_they_run_and_in_the_status_after_a_while() -> None:
    world = a_world(count=9, shards=3, speed=1)
    do(world, "plan")
    do(world, "work", 1, 3)
    seen: list[Counts] = []
    statuses: list[Counts] = []

    def plant(item: Word, ctx: Context) -> None:
        if item.text == "w4":
            seen.append(standing(world.records, world.records.status()).counts)
            world.clock._start += timedelta(seconds=31)
            for _ in range(2000):
                statuses.append(world.records.status().counts)
                if statuses[-1].done:
                    break
                time.sleep(0.005)

    world.job.plant = plant
    do(world, "work", 2, 3, keep_seconds=0.005)
    assert seen[0].total == 9
    assert seen[0].done >= 3
    assert statuses[0].done == 0  # the plan's
    assert statuses[-1].done >= 3
    assert statuses[-1].total == 9


def test_shards_share_the_pace_of_the_job() -> None:
    world = a_world(count=12, limits={"starts_per_second": 4.0, "workers": 1}, speed=100)
    do(world, "plan")
    begin = world.clock.monotonic()
    do(world, "work", 2, 3)  # 4 items, each 3/4 s after the other
    assert world.clock.monotonic() - begin >= 3 * 0.75


def test_a_generation_that_was_retried_is_planned_and_worked_in_phases_like_the_first() -> None:
    world = a_world(count=9)
    world.job.plant = fails(Kind.MISSING, "w1")
    assert do_all(world, 3).state is State.PARTIAL
    world.records.start_retry()
    world.job.plant = lambda item, ctx: None
    world.job.worked.clear()
    assert do_all(world, 3).state is State.SUCCEEDED
    assert world.job.worked == Counter(["w1"])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(0, 24),
    shards=st.integers(1, 7),
    workers=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    effect=st.sampled_from(["item", "own"]),
    kills=st.integers(0, 5),
    cancels=st.booleans(),
    collects=st.integers(1, 2),
)
def test_any_mix_of_phases_shards_kills_and_cancels_ends_with_every_key_accounted_for_once(
    count: int, shards: int, workers: int, seed: int, effect: Any, kills: int, cancels: bool, collects: int
) -> None:
    chance = random.Random(seed)
    world = a_world(count=count, shards=shards, limits={"workers": workers, "attempts": 2}, speed=100_000)
    world.job.effect = effect
    kinds = [kind for kind in Kind if kind not in (Kind.QUOTA_EXHAUSTED, Kind.AUTH)]
    fate = {f"w{n}": chance.choice([None, None, None, *kinds]) for n in range(count)}
    cancels_at = f"w{chance.randrange(24)}" if cancels else None
    kills_left = [kills]
    kill_in = [chance.randrange(1, 12)]

    def plant(item: Word, ctx: Context) -> None:
        with world.job.lock:
            kill_in[0] -= 1
            if kill_in[0] <= 0 and kills_left[0]:
                kills_left[0] -= 1
                kill_in[0] = chance.randrange(1, 12)
                raise Killed
        if item.text == cancels_at:
            world.records.ask_to_cancel(1)
        kind = fate[item.text]
        if kind:
            raise ItemError(kind, "planted")
        if effect == "own" and chance.random() < 0.7:
            ctx.settle(item.text, Loud(text=item.text.upper()))

    world.job.plant = plant

    def until_not_killed(run: Callable[[], End]) -> End:
        while True:
            durable = fold(world.store, world.records.id, 1).outcomes
            worked = Counter(world.job.worked)
            try:
                return run()
            except Killed:
                continue
            finally:
                for key in durable:  # what was durable is not worked again
                    assert world.job.worked[key] == worked[key], key

    until_not_killed(lambda: do(world, "plan", keep_seconds=0.002))
    todo = [number for number in range(1, shards + 1) if chance.random() < 0.8]  # the others never come
    chance.shuffle(todo)

    def work(number: int) -> None:
        while chance.random() < 0.7:  # a killed shard is not always started again
            try:
                assert do(world, "work", number, shards, keep_seconds=0.002).exit_code == 0
                return
            except Killed:
                continue

    if chance.random() < 0.5:
        for number in todo:
            work(number)
    else:
        threads = [threading.Thread(target=work, args=(number,)) for number in todo]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert world.job.collected == []
    ends: list[End] = []
    waiting = Waiting(seconds=20, look_seconds=0.005)

    def collect() -> None:
        ends.append(until_not_killed(lambda: do(world, "collect", keep_seconds=0.002, waiting=waiting)))

    if collects == 1:
        collect()
    else:
        kills_left[0] = 0
        threads = [threading.Thread(target=collect) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (state,) = {end.state for end in ends}
    report = world.records.report(1)
    assert report is not None
    assert world.records.status().state is state is report.state
    assert [item.key for item in report.items] == [f"w{n}" for n in range(count)]
    if not cancels or cancels_at not in fate:
        assert {item.key: item.outcome for item in report.items} == {
            key: "failed" if kind else "done" for key, kind in fate.items()
        }
    if state in (State.SUCCEEDED, State.PARTIAL):
        assert sorted(outcome.key for outcome in world.job.collected) == sorted(fate)
        assert all(isinstance(outcome, Done | Failed) for outcome in world.job.collected)
