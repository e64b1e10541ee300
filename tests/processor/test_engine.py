"""One run of one job, and several runs of one job: what the engine promises, in memory and with kills."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
import weakref
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab.lease import Waiting
from batchlab.ledger import fold
from batchlab.outcome import Done
from batchlab.status import State
from batchlab_processor.display import Quiet
from batchlab_processor.engine import End
from batchlab_processor.job import Context, Entry, Plan
from tests.processor.shouting import Killed, Loud, Word, World, fails, lose_lease


def test_a_job_without_faults_succeeds_and_its_report_accounts_for_every_item() -> None:
    world = World()
    end = world.run()
    assert (end.state, end.exit_code) == (State.SUCCEEDED, 0)
    assert end.report is not None
    assert (end.report.counts.total, end.report.counts.done, end.report.size_bytes) == (10, 10, 10)
    assert [artifact.name for artifact in end.report.artifacts] == ["words.txt"]
    assert world.records.status().state is State.SUCCEEDED
    assert world.records.report(1) == end.report


def test_a_failed_item_makes_the_job_partial_and_is_named_with_kind_and_attempts() -> None:
    world = World()
    world.job.plant = fails(Kind.API_ERROR, "w3")
    end = world.run()
    assert (end.state, end.exit_code) == (State.PARTIAL, 3)
    assert end.report is not None
    (failure,) = end.report.failures
    assert (failure.key, failure.kind, failure.attempts) == ("w3", Kind.API_ERROR, 3)
    assert world.job.worked["w3"] == 3


def test_when_nothing_could_be_delivered_the_job_failed() -> None:
    world = World()
    world.job.plant = fails(Kind.MISSING, *[f"w{n}" for n in range(10)])
    assert world.run().state is State.FAILED


def test_a_defect_of_the_job_type_fails_that_item_as_a_bug() -> None:
    world = World()
    world.job.plant = lambda item, ctx: 1 // (item.text != "w5")
    end = world.run()
    assert end.report is not None
    assert [(f.key, f.kind, f.attempts) for f in end.report.failures] == [("w5", Kind.BUG, 1)]


def test_an_error_while_planning_fails_the_job_and_says_why() -> None:
    world = World()
    world.job.plant_plan = lambda ctx: (_ for _ in ()).throw(ItemError(Kind.MISSING, "no manifest"))
    end = world.run()
    assert end.state is State.FAILED
    assert end.report is not None
    assert end.report.error == "no manifest"


def test_a_passing_fault_while_planning_is_tried_again() -> None:
    world = World()
    faults = iter([ItemError(Kind.NETWORK, "away"), ItemError(Kind.API_ERROR, "503")])

    def plant(ctx: Context) -> None:
        fault = next(faults, None)
        if fault:
            raise fault

    world.job.plant_plan = plant
    assert world.run().state is State.SUCCEEDED


def test_an_error_while_collecting_fails_the_job_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    world = World()
    world.job.effect = "job"
    world.job.plant_collect = lambda ctx: 1 // 0
    end = world.run()
    assert end.state is State.FAILED
    assert end.report is not None
    assert "ZeroDivisionError" in (end.report.error or "")
    assert set(threading.enumerate()) <= before


def test_a_job_that_has_ended_is_not_run_again() -> None:
    world = World()
    world.run()
    world.job.worked.clear()
    assert world.run().state is State.SUCCEEDED
    assert not world.job.worked


def test_two_runs_on_one_job_one_works_and_the_other_stands_aside() -> None:
    world = World(speed=1)
    started, go_on = threading.Event(), threading.Event()

    def plant(item: Word, ctx: Context) -> None:
        started.set()
        go_on.wait(10)

    world.job.plant = plant
    ends: list[End] = []
    thread = threading.Thread(target=lambda: ends.append(world.run()))
    thread.start()
    started.wait(10)
    aside = world.run()
    go_on.set()
    thread.join()
    assert (aside.exit_code, aside.report) == (0, None)
    assert ends[0].state is State.SUCCEEDED
    assert set(world.job.worked.values()) == {1}


def test_a_run_that_lost_its_lease_completes_nothing() -> None:
    world = World()

    world.job.plant_collect = lambda ctx: lose_lease(world)
    end = world.run()
    assert (end.exit_code, end.report) == (75, None)
    assert world.records.report(1) is None
    assert not world.records.status().ended


def test_cancel_skips_what_has_not_started_and_does_not_collect() -> None:
    world = World(params={"count": 200}, speed=1)

    def plant(item: Word, ctx: Context) -> None:
        if item.text == "w7":
            world.records.ask_to_cancel(1)
        time.sleep(0.005)

    world.job.plant = plant
    end = world.run()
    assert (end.state, end.exit_code) == (State.CANCELLED, 4)
    assert end.report is not None
    counts = end.report.counts
    assert counts.skipped > 0
    assert counts.done + counts.skipped == counts.total == 200
    assert end.report.artifacts == ()


def test_a_job_cancelled_before_its_run_starts_nothing() -> None:
    world = World()
    world.records.ask_to_cancel(1)
    assert world.run().state is State.CANCELLED
    assert not world.job.worked


def test_cancel_after_the_last_outcome_is_too_late_and_the_job_succeeds() -> None:
    world = World()

    def plant(ctx: Context) -> None:
        world.records.ask_to_cancel(1)
        time.sleep(0.1)

    world.job.plant_collect = plant
    assert world.run().state is State.SUCCEEDED


def test_a_deadline_still_collects_what_is_done() -> None:
    world = World(params={"count": 100}, limits={"deadline": "60s", "workers": 2}, speed=50)
    world.job.plant = lambda item, ctx: world.clock.sleep(5)
    end = world.run()
    assert end.state is State.PARTIAL
    assert end.report is not None
    assert end.report.skipped_by_reason["not_started"] > 50
    assert end.report.artifacts


def test_too_many_failures_stop_the_job() -> None:
    world = World(params={"count": 100}, limits={"max_failures": "5%"})
    world.job.plant = fails(Kind.MISSING, *[f"w{n}" for n in range(50)])
    world.job.effect = "job"
    end = world.run()
    assert end.state is State.FAILED
    assert end.report is not None
    assert "max_failures (5)" in (end.report.error or "")


def test_a_used_up_quota_pauses_the_job_and_a_later_run_ends_it() -> None:
    world = World()
    quota = [3]

    def plant(item: Word, ctx: Context) -> None:
        with world.job.lock:
            quota[0] -= 1
            if quota[0] < 0:
                raise ItemError(Kind.QUOTA_EXHAUSTED, "per day", retry_after_seconds=7200)

    world.job.plant = plant
    end = world.run()
    assert (end.exit_code, end.report) == (75, None)
    status = world.records.status()
    assert status.state is State.RUNNING
    assert status.resume_at is not None
    assert world.store.read(f"pending/{world.records.id}") is not None
    quota[0] = 100
    end = world.run()
    assert end.state is State.SUCCEEDED
    assert world.records.status().resume_at is None
    assert world.store.read(f"pending/{world.records.id}") is None


def test_a_quota_that_is_back_in_the_far_future_pauses_for_a_week_at_most() -> None:
    world = World()
    world.job.plant = fails(Kind.QUOTA_EXHAUSTED, "w0", retry_after_seconds=1e18)
    assert world.run().exit_code == 75
    resume_at = world.records.status().resume_at
    assert resume_at is not None
    assert resume_at - world.clock.now() <= timedelta(days=7)


def interrupted(ctx: Context) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert ctx.stop.wait(20)


def test_a_signal_after_the_last_outcome_ends_a_delivery_that_asks_whether_to_go_on() -> None:
    world = World()

    def plant(ctx: Context) -> None:
        interrupted(ctx)
        ctx.confirm()

    world.job.plant_collect = plant
    end = world.run()
    assert (end.exit_code, end.report) == (75, None)
    world.job.plant_collect = lambda ctx: None
    assert world.run().state is State.SUCCEEDED


def test_a_signal_while_collect_maps_ends_the_map() -> None:
    world = World()

    def gone(number: int) -> None:
        raise ItemError(Kind.NETWORK, "gone")

    def plant(ctx: Context) -> None:
        interrupted(ctx)
        list(ctx.map(gone, range(3)))

    world.job.plant_collect = plant
    assert world.run().exit_code == 75


def test_a_signal_once_everything_is_delivered_is_too_late() -> None:
    world = World()
    world.job.plant_collect = interrupted
    assert world.run().state is State.SUCCEEDED


def test_a_signal_while_the_report_is_written_does_not_kill_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    create = world.records.create_report

    def signalled(*report: Any) -> Any:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        return create(*report)

    monkeypatch.setattr(world.records, "create_report", signalled)
    assert world.run().state is State.SUCCEEDED


def test_crashes_while_collecting_are_no_items_fault() -> None:
    world = World()
    world.job.effect = "job"

    class Dead(BaseException):
        pass

    def plant(ctx: Context) -> None:
        raise Dead

    world.job.plant_collect = plant
    crashed = ""
    for number in range(3):
        with pytest.raises(Dead):
            world.run(run=f"{number}-run", crashed=crashed)
        crashed = f"{number}-run:SIGKILL"
    end = world.run(crashed=crashed)
    assert end.report is not None
    assert "killed its process" in (end.report.error or "")
    assert end.report.failures == ()


def test_a_run_that_waited_while_the_job_was_retried_leaves_the_retry_to_whoever_works_on_it() -> None:
    world = World()
    world.job.plant = fails(Kind.MISSING, "w2")
    first = world.records.lease(1, "first")
    assert first is not None

    def meanwhile(seconds: float) -> None:
        status = world.records.status()
        if status.generation == 2:
            return
        world.records.save_status(status.model_copy(update={"state": State.PARTIAL}))
        world.records.start_retry()
        assert world.records.lease(2, "another") is not None
        first.release()

    end = world.run(waiting=Waiting(seconds=1, sleep=meanwhile))
    assert (end.exit_code, end.report) == (0, None)
    assert not world.job.worked


def test_a_store_that_is_away_while_planning_does_not_end_the_job() -> None:
    world = World()
    world.job.plant_plan = lambda ctx: (_ for _ in ()).throw(ServiceError("the store is away"))
    with pytest.raises(ServiceError):
        world.run()
    assert not world.records.status().ended
    world.job.plant_plan = lambda ctx: None
    assert world.run().state is State.SUCCEEDED


def test_a_display_that_breaks_does_not_take_the_wish_to_cancel_with_it() -> None:
    class Broken(Quiet):
        def show(self, snapshot: Any) -> None:
            raise BrokenPipeError

    world = World(params={"count": 500}, speed=1)

    def plant(item: Word, ctx: Context) -> None:
        if item.text == "w7":
            world.records.ask_to_cancel(1)
        time.sleep(0.005)

    world.job.plant = plant
    assert world.run(display=Broken()).state is State.CANCELLED


def test_what_a_map_returned_is_not_kept_for_the_rest_of_the_run() -> None:
    world = World()
    seen: list[weakref.ref[Loud]] = []

    def plant_plan(ctx: Context) -> None:
        seen.extend(weakref.ref(loud) for _, loud in ctx.map(lambda text: Loud(text=text), ["a", "b"]))

    world.job.plant_plan = plant_plan
    world.job.plant_collect = lambda ctx: gc.collect()
    world.run()
    assert len(seen) == 2
    assert [loud() for loud in seen] == [None, None]


def test_a_retry_takes_only_what_failed_or_was_not_started() -> None:
    world = World()
    world.job.plant = fails(Kind.MISSING, "w2", "w4")
    world.run()
    world.records.start_retry()
    world.job.plant = lambda item, ctx: None
    world.job.worked.clear()
    end = world.run()
    assert world.job.worked == {"w2": 1, "w4": 1}
    assert end.state is State.SUCCEEDED
    assert end.report is not None
    assert (end.report.generation, end.report.counts.done) == (2, 10)
    assert sorted(outcome.key for outcome in world.job.collected) == [f"w{n}" for n in range(10)]


def test_a_job_that_is_durable_as_a_whole_starts_over_when_retried() -> None:
    world = World()
    world.job.effect = "job"
    world.job.plant = fails(Kind.MISSING, "w2")
    world.run()
    world.records.start_retry()
    world.job.plant = lambda item, ctx: None
    world.job.worked.clear()
    assert world.run().state is State.SUCCEEDED
    assert len(world.job.worked) == 10


def test_results_of_earlier_runs_reach_collect_as_the_types_own_model() -> None:
    world = World()
    world.job.plant_collect = lambda ctx: ctx.stop.set() or engine_stop(world)

    def engine_stop(world: World) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.job.plant_collect = lambda ctx: None
    world.job.worked.clear()
    assert world.run().state is State.SUCCEEDED
    assert not world.job.worked
    assert all(
        isinstance(outcome.result, Loud) for outcome in world.job.collected if isinstance(outcome, Done)
    )


def test_the_plan_is_saved_before_the_first_work_and_made_once() -> None:
    world = World()
    plans: list[int] = []
    world.job.plant_plan = lambda ctx: plans.append(1)
    seen: list[bool] = []

    def plant(item: Word, ctx: Context) -> None:
        seen.append(world.records.plan(1) is not None)
        if item.text == "w9":
            raise SystemExit

    world.job.plant = plant
    with pytest.raises(SystemExit):
        world.run()
    world.job.plant = lambda item, ctx: None
    assert world.run().state is State.SUCCEEDED
    assert plans == [1]
    assert all(seen)


def test_after_a_crash_the_suspects_run_alone_and_the_second_death_is_the_items_own() -> None:
    world = World(params={"count": 30}, limits={"workers": 5})

    class Dead(BaseException):
        """What a segmentation fault is to this test: the run ends at once, without a word."""

    alone: dict[str, int] = {}
    flying: set[str] = set()

    def plant(item: Word, ctx: Context) -> None:
        with world.job.lock:
            flying.add(item.text)
            alone[item.text] = len(flying)
        try:
            if item.text == "w11":
                raise Dead
            time.sleep(0.001)
        finally:
            with world.job.lock:
                flying.discard(item.text)

    world.job.plant = plant
    with pytest.raises(Dead):
        world.run(run="1-first")
    with pytest.raises(Dead):
        world.run(run="2-second", crashed="1-first:SIGSEGV")
    assert alone["w11"] == 1
    end = world.run(run="3-third", crashed="2-second:SIGSEGV")
    assert end.state is State.PARTIAL
    assert end.report is not None
    assert [(f.key, f.kind) for f in end.report.failures] == [("w11", Kind.CRASH)]
    assert end.report.runs == 3


def test_planning_that_kills_its_process_three_times_fails_the_job() -> None:
    world = World()

    class Dead(BaseException):
        pass

    def plant(ctx: Context) -> None:
        raise Dead

    world.job.plant_plan = plant
    crashed = ""
    for number in range(3):
        with pytest.raises(Dead):
            world.run(run=f"{number}-run", crashed=crashed)
        crashed = f"{number}-run:SIGSEGV"
    end = world.run(crashed=crashed)
    assert end.state is State.FAILED
    assert end.report is not None
    assert "killed its process" in (end.report.error or "")


def test_a_failed_stage_skips_the_later_ones() -> None:
    world = World(params={"count": 9})
    world.job.stages = 3
    world.job.plant = fails(Kind.MISSING, "w1")
    end = world.run()
    assert end.report is not None
    assert end.report.skipped_by_reason == {"stage": 3}
    assert end.state is State.PARTIAL


def test_map_lends_workers_and_attempts_and_gives_failures_as_results() -> None:
    world = World(limits={"workers": 3})
    got: list[Any] = []

    def plant(ctx: Context) -> None:
        tries: Counter[int] = Counter()

        def probe(number: int) -> int:
            tries[number] += 1
            if number == 3:
                raise ItemError(Kind.MISSING, "gone")
            if number == 5 and tries[number] == 1:
                raise ItemError(Kind.NETWORK, "once")
            return number * 10

        got.extend(ctx.map(probe, range(8)))

    world.job.plant_plan = plant
    assert world.run().state is State.SUCCEEDED
    assert [item for item, _ in got] == list(range(8))
    assert [result if isinstance(result, int) else result.kind for _, result in got] == [
        0, 10, 20, Kind.MISSING, 40, 50, 60, 70,
    ]  # fmt: skip


def test_a_long_planning_says_now_and_then_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    world = World(limits={"workers": 1}, speed=1000)
    world.job.plant_plan = lambda ctx: list(ctx.map(lambda _: world.clock.sleep(1), range(30)))
    with caplog.at_level("INFO", logger="batchlab"):
        assert world.run().state is State.SUCCEEDED
    said = [record.getMessage() for record in caplog.records if "Planning" in record.getMessage()]
    assert said
    assert all(line.endswith(" of 30.") for line in said)


def test_twenty_refused_probes_in_a_row_stop_the_job_while_it_plans() -> None:
    world = World()

    def probe(number: int) -> int:
        raise ItemError(Kind.AUTH, "403")

    world.job.plant_plan = lambda ctx: list(ctx.map(probe, range(1000)))
    end = world.run()
    assert end.state is State.FAILED
    assert end.report is not None
    assert "refused (auth)" in (end.report.error or "")


def test_for_own_durability_only_what_was_settled_survives() -> None:
    world = World()
    world.job.effect = "own"

    def plant(item: Word, ctx: Context) -> None:
        if item.text == "w1":
            assert ctx.key is not None
            ctx.settle(ctx.key, Loud(text="kept"))

    world.job.plant = plant

    def killed_after_a_flush(ctx: Context) -> None:
        while not list(world.store.names(f"jobs/{world.records.id}/g1/ledger/")):
            time.sleep(0.001)
        raise KeyboardInterrupt

    world.job.plant_collect = killed_after_a_flush
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert set(fold(world.store, world.records.id, 1).outcomes) == {"w1"}
    world.job.plant_collect = lambda ctx: None
    world.job.worked.clear()
    assert world.run().state is State.SUCCEEDED
    assert set(world.job.worked) == {f"w{n}" for n in range(10)} - {"w1"}


def test_notes_survive_a_kill() -> None:
    world = World()

    def first(ctx: Context) -> None:
        ctx.note("upload", {"id": "u-1"})
        raise KeyboardInterrupt

    world.job.plant_plan = first
    with pytest.raises(KeyboardInterrupt):
        world.run()
    seen: list[Any] = []
    world.job.plant_plan = lambda ctx: seen.extend(ctx.notes("upload"))
    world.run()
    assert [note["id"] for note in seen] == ["u-1"]


def test_an_item_in_flight_when_the_job_is_cancelled_is_not_failed_by_that() -> None:
    world = World(limits={"workers": 2, "attempts": 1}, speed=1)

    def plant(item: Word, ctx: Context) -> None:
        world.records.ask_to_cancel(1)
        ctx.stop.wait(10)
        raise ItemError(Kind.NETWORK, "broken off because the run stops")

    world.job.plant = plant
    end = world.run()
    assert end.state is State.CANCELLED
    assert end.report is not None
    assert end.report.failures == ()
    assert end.report.counts.skipped == 10


def test_a_run_that_lost_its_lease_says_nothing_of_an_error_either() -> None:
    world = World()

    def plant(ctx: Context) -> None:
        lose_lease(world)
        raise ItemError(Kind.NETWORK, "the upload failed")

    world.job.plant_collect = plant
    assert world.run().exit_code == 75
    assert world.records.report(1) is None


def test_outcomes_that_collect_does_not_take_are_accounted_for_all_the_same() -> None:
    world = World(params={"count": 500})
    world.job.collect = lambda outcomes, ctx: []  # type: ignore[method-assign]
    end = world.run()
    assert end.report is not None
    assert end.report.counts.done == 500


@pytest.mark.parametrize("keys", [["a", "b", "a"], ["a", ""]])
def test_a_plan_with_a_key_twice_or_empty_fails_the_job(keys: list[str]) -> None:
    world = World()
    world.job.plan = lambda ctx: Plan([Entry(key, Word(text=key)) for key in keys])  # type: ignore[method-assign]
    end = world.run()
    assert end.state is State.FAILED
    assert end.report is not None
    assert "Keys must be unique" in (end.report.error or "")
    assert not world.job.worked


def test_a_run_whose_job_was_retried_meanwhile_leaves_the_new_generation_alone() -> None:
    world = World()

    def plant(ctx: Context) -> None:
        for state in (State.PARTIAL, None):
            if state is None:
                world.records.start_retry()
            else:
                world.records.save_status(world.records.status().model_copy(update={"state": state}))
        time.sleep(0.1)

    world.job.plant_collect = plant
    assert world.run().exit_code == 75
    status = world.records.status()
    assert (status.generation, status.state) == (2, State.QUEUED)
    assert world.records.report(1) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(0, 30),
    workers=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    effect=st.sampled_from(["item", "job"]),
    ordered=st.booleans(),
    kills=st.integers(0, 4),
    cancels=st.booleans(),
)
def test_any_mix_of_failures_kills_and_cancels_ends_with_every_key_accounted_for_once(
    count: int, workers: int, seed: int, effect: Any, ordered: bool, kills: int, cancels: bool
) -> None:
    chance = random.Random(seed)
    world = World(params={"count": count}, limits={"workers": workers, "attempts": 2}, speed=100_000)
    world.job.effect = effect
    type(world.job).ordered = ordered
    kinds = [kind for kind in Kind if kind not in (Kind.QUOTA_EXHAUSTED, Kind.AUTH)]
    fate = {f"w{n}": chance.choice([None, None, None, *kinds]) for n in range(count)}
    kill_in = [chance.randrange(1, 12)]

    def plant(item: Word, ctx: Context) -> None:
        with world.job.lock:
            kill_in[0] -= 1
            if kill_in[0] == 0 and kills_left[0]:
                raise Killed
            if cancels and item.text == "w8":
                world.records.ask_to_cancel(1)
        kind = fate[item.text]
        if kind and chance.random() < 0.8:
            raise ItemError(kind, "planted")

    kills_left = [kills]
    world.job.plant = plant
    for _ in range(kills + 1):
        try:
            end = world.run(keep_seconds=0.002)
            break
        except Killed:
            kills_left[0] -= 1
            kill_in[0] = chance.randrange(1, 12)
    else:
        kills_left[0] = 0
        end = world.run(keep_seconds=0.002)
    type(world.job).ordered = False
    assert end.report is not None, end
    keys = [item.key for item in end.report.items]
    assert keys == [f"w{n}" for n in range(count)]
    counts = end.report.counts
    assert counts.done + counts.failed + counts.skipped == count
    assert world.records.status().state is end.state is end.report.state
    if end.state in (State.SUCCEEDED, State.PARTIAL) and end.report.artifacts:
        seen = [outcome.key for outcome in world.job.collected]
        assert sorted(seen) == sorted(keys)
        assert sum(isinstance(outcome, Done) for outcome in world.job.collected) == counts.done


@pytest.mark.parametrize("effect", ["item", "job", "own"])
def test_the_plan_says_when_effects_survive_for_whoever_ends_the_job_without_a_run(effect: Any) -> None:
    world = World()
    world.job.effect = effect
    world.run()
    plan = world.records.plan(1)
    assert plan is not None
    assert plan["durable"] == effect


def test_what_was_delivered_is_kept_from_its_end_as_long_as_the_document_says() -> None:
    world = World(expires="7d")
    world.run()
    status = world.records.status()
    assert status.ended_at is not None
    assert status.expires_at == status.ended_at + timedelta(days=7)


def test_what_delivered_nothing_does_not_expire() -> None:
    world = World(expires="7d")
    world.job.plant = fails(Kind.MISSING, *(f"w{number}" for number in range(10)))
    world.run()
    assert (world.records.status().state, world.records.status().expires_at) == (State.FAILED, None)
