"""What a job type may ask beside its three verbs: to fail the job, to start over, to be told of a loss."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab.ledger import fold
from batchlab.outcome import Done, Failed, Outcome
from batchlab.report import Artifact
from batchlab.status import State
from batchlab_processor.engine import STARTS_OVER
from batchlab_processor.job import Context, JobFailed, StartOver
from batchlab_processor.schedule import RunStopped, StopReason
from tests.processor.shouting import Killed, Loud, Shout, Word, World, fails, lose_lease


def fails_the_job(*keys: str) -> Any:
    def plant(item: Word, ctx: Context) -> None:
        if item.text in keys:
            raise JobFailed("the upload is refused")

    return plant


@pytest.mark.parametrize("verb", ["plan", "work", "collect"])
def test_job_failed_out_of_any_verb_ends_the_whole_job_with_its_message(verb: str) -> None:
    world = World(limits={"workers": 2}, params={"count": 200})
    if verb == "work":
        world.job.plant = fails_the_job("w3")
    else:
        setattr(world.job, f"plant_{verb}", lambda ctx: fails_the_job("x")(Word(text="x"), ctx))
    end = world.run()
    assert end.state is State.FAILED
    assert end.report is not None
    assert (end.report.error, end.report.stopped) == ("the upload is refused", None)
    assert end.report.counts.failed == 0  # no item is blamed
    if verb == "work":
        assert world.job.worked["w3"] == 1
        assert len(world.job.worked) < 200


def test_job_failed_in_a_map_inside_an_item_ends_the_whole_job() -> None:
    world = World()

    def plant(item: Word, ctx: Context) -> None:
        list(ctx.map(lambda number: fails_the_job("w1")(item, ctx), range(3)))

    world.job.plant = plant
    end = world.run()
    assert end.report is not None
    assert (end.state, end.report.error) == (State.FAILED, "the upload is refused")


class Again(Shout):
    """Starts over `times` times; what is settled then is what the test says."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.stands: set[str] = set()  # keys that are settled in later rounds
        self.rounds: list[list[Outcome]] = []
        self.takes = 1000

    def settled(self, key: str, item: Word, ctx: Context) -> Loud | None:
        return Loud(text="stands") if self.rounds and key in self.stands else None

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> list[Artifact]:
        taken = [outcome for _, outcome in zip(range(self.takes), outcomes, strict=False)]
        self.rounds.append(taken)
        if self.times:
            self.times -= 1
            raise StartOver("The upload is gone.")
        return super().collect(iter([*taken, *outcomes]), ctx)


def test_starting_over_works_again_on_what_does_not_stand_any_more_and_counts_each_key_once() -> None:
    job = Again(1)
    job.stands = {"w1", "w2"}
    world = World(job)
    end = world.run()
    assert end.report is not None
    assert (end.state, end.report.counts.total, end.report.counts.done) == (State.SUCCEEDED, 10, 10)
    assert job.worked == Counter({f"w{n}": 1 if n in (1, 2) else 2 for n in range(10)})
    last = {outcome.key: outcome for outcome in job.rounds[-1]}
    assert len(job.rounds[-1]) == len(last) == 10
    assert {key for key, outcome in last.items() if outcome.result == Loud(text="stands")} == job.stands  # type: ignore[union-attr]


def test_what_failed_stays_failed_when_the_job_starts_over() -> None:
    job = Again(2)
    job.plant = fails(Kind.MISSING, "w4")
    world = World(job)
    end = world.run()
    assert end.report is not None
    assert (end.state, end.report.counts.done, end.report.counts.failed) == (State.PARTIAL, 9, 1)
    assert job.worked["w4"] == 1
    assert [f.key for f in end.report.failures] == ["w4"]


def test_an_item_that_fails_only_in_the_second_round_has_failed() -> None:
    job = Again(1)
    job.plant = lambda item, ctx: fails(Kind.MISSING, "w4")(item, ctx) if job.rounds else None
    end = World(job).run()
    assert end.report is not None
    assert ([f.key for f in end.report.failures], end.report.counts.done) == (["w4"], 9)


def test_starting_over_before_all_outcomes_are_taken_leaves_nothing_of_the_first_round_behind() -> None:
    before = set(threading.enumerate())
    job = Again(1)
    job.takes = 3
    job.plant = lambda item, ctx: ctx.stop.wait(0.001)
    world = World(job, params={"count": 100}, limits={"workers": 4})
    end = world.run()
    assert end.report is not None
    assert (end.state, end.report.counts.done) == (State.SUCCEEDED, 100)
    assert sorted(outcome.key for outcome in job.collected) == sorted(f"w{n}" for n in range(100))
    assert set(threading.enumerate()) <= before


def test_a_job_that_starts_over_for_ever_fails_and_says_so() -> None:
    job = Again(100)
    end = World(job).run()
    assert end.report is not None
    assert end.state is State.FAILED
    assert end.report.error == f"The upload is gone. (after starting over {STARTS_OVER} times)"
    assert len(job.rounds) == STARTS_OVER + 1


def test_the_default_settled_keeps_what_is_durable_when_the_job_starts_over() -> None:
    world = World()
    rounds = iter([StartOver("once")])

    def plant(ctx: Context) -> None:
        for wish in rounds:
            raise wish

    world.job.plant_collect = plant
    assert world.run().state is State.SUCCEEDED
    assert set(world.job.worked.values()) == {1}
    assert all(isinstance(one, Done) and isinstance(one.result, Loud) for one in world.job.collected)


@pytest.mark.parametrize("reason", ["signal", "cancel"])
def test_a_wish_to_stop_is_heeded_by_the_second_round_too(reason: str) -> None:
    job = Again(1)
    world = World(job, speed=1)

    def plant(item: Word, ctx: Context) -> None:
        if job.rounds:
            if reason == "cancel":
                world.records.ask_to_cancel(1)
            else:
                lose_lease(world)
            ctx.stop.wait(10)

    job.plant = plant
    end = world.run()
    assert end.exit_code == (4 if reason == "cancel" else 75)


class Losing(Shout):
    """Writes down what it was told of losses."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[tuple[str, Failed, str, int]] = []
        self.plant_loss: Any = lambda key, ctx: None

    def gave_up(self, key: str, item: Word, failed: Failed, ctx: Context) -> None:
        assert ctx.key == key == item.text
        self.lost.append((key, failed, threading.current_thread().name, self.worked[key]))
        self.plant_loss(key, ctx)


def test_a_job_type_is_told_of_each_lost_item_once_in_its_worker_and_before_the_failure_is_recorded() -> None:
    job = Losing()
    job.plant = fails(Kind.NETWORK, "w2", "w7")
    world = World(job, limits={"workers": 3})
    recorded: list[set[str]] = []
    job.plant_loss = lambda key, ctx: recorded.append(set(fold(world.store, world.records.id, 1).outcomes))
    end = world.run()
    assert end.state is State.PARTIAL
    assert sorted((key, failed.kind, tries) for key, failed, _, tries in job.lost) == [
        ("w2", Kind.NETWORK, 3),
        ("w7", Kind.NETWORK, 3),
    ]
    assert all(thread.startswith("worker-") for _, _, thread, _ in job.lost)
    assert all(key not in known for (key, *_), known in zip(job.lost, recorded, strict=True))


def test_a_loss_that_cannot_be_coped_with_fails_the_job() -> None:
    job = Losing()
    job.plant = fails(Kind.MISSING, "w2")
    job.plant_loss = lambda key, ctx: fails(Kind.NETWORK, key)(Word(text=key), ctx)
    end = World(job).run()
    assert end.report is not None
    assert (end.state, end.report.error) == (State.FAILED, "planted for w2")


def test_a_store_that_is_away_while_a_loss_is_recorded_leaves_the_job_to_a_later_run() -> None:
    job = Losing()
    job.plant = fails(Kind.MISSING, "w2")
    world = World(job)

    def away(key: str, ctx: Context) -> None:
        raise ServiceError("The store does not answer.")

    job.plant_loss = away
    with pytest.raises(ServiceError):
        world.run()
    job.plant_loss = lambda key, ctx: None
    assert world.run().state is State.PARTIAL
    assert [key for key, *_ in job.lost] == ["w2", "w2"]


def test_an_interrupted_call_of_gave_up_is_repeated_by_the_next_run() -> None:
    job = Losing()
    job.plant = fails(Kind.MISSING, "w2")
    world = World(job, speed=1)

    def broken_off(key: str, ctx: Context) -> None:
        lose_lease(world)
        ctx.stop.wait(10)
        raise ItemError(Kind.NETWORK, "broken off")

    job.plant_loss = broken_off
    assert world.run().exit_code == 75
    assert "w2" not in fold(world.store, world.records.id, 1).outcomes
    world.store.delete(f"jobs/{world.records.id}/g1/lease-all-0.json")  # the thief's
    job.plant_loss = lambda key, ctx: None
    assert world.run().state is State.PARTIAL
    assert [key for key, *_ in job.lost] == ["w2", "w2"]


@pytest.mark.parametrize("reason", list(StopReason))
def test_a_run_that_stops_says_whether_the_job_goes_on_later(reason: StopReason) -> None:
    later = {StopReason.INTERRUPT, StopReason.LEASE_LOST, StopReason.PAUSE, StopReason.BROKEN}
    assert RunStopped(reason, "").resumable is (reason in later)


def test_a_sink_learns_from_a_cancel_that_the_job_is_over_and_from_a_lost_lease_that_it_is_not() -> None:
    for stop, resumable in ((lambda world: world.records.ask_to_cancel(1), False), (lose_lease, True)):
        world = World(speed=1)
        seen: list[bool] = []

        def collect(outcomes: Iterator[Outcome], ctx: Context, seen: list[bool] = seen) -> list[Artifact]:
            try:
                list(outcomes)
            except RunStopped as stopped:
                seen.append(stopped.resumable)
                raise
            return []

        def plant(item: Word, ctx: Context, world: World = world, stop: Any = stop) -> None:
            stop(world)
            ctx.stop.wait(10)

        world.job.collect = collect  # type: ignore[method-assign]
        world.job.plant = plant
        world.run()
        assert seen == [resumable]


def test_notes_without_a_flush_are_written_in_batches_of_the_workers_and_all_of_them_in_the_end() -> None:
    world = World(params={"count": 1}, limits={"workers": 4})
    segments = lambda: len(list(world.store.names(f"jobs/{world.records.id}/g1/ledger/")))  # noqa: E731
    seen: list[int] = []

    def plant(item: Word, ctx: Context) -> None:
        for number in range(9):
            ctx.note("part", {"number": number}, flush=False)
            seen.append(segments())

    world.job.plant = plant
    world.run(keep_seconds=60)
    assert seen == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    notes = fold(world.store, world.records.id, 1).notes
    assert [note["number"] for note in notes] == list(range(9))


def test_a_note_without_a_flush_is_durable_after_a_moment() -> None:
    world = World(params={"count": 1}, limits={"workers": 4}, speed=1)
    written = threading.Event()
    append = world.store.append
    world.store.append = lambda *all: (append(*all), written.set())  # type: ignore[method-assign,assignment,func-returns-value]

    def plant(item: Word, ctx: Context) -> None:
        ctx.note("part", {"number": 1}, flush=False)
        assert written.wait(20)
        raise Killed

    world.job.plant = plant
    with pytest.raises(Killed):
        world.run(keep_seconds=0.01)
    assert [note["number"] for note in fold(world.store, world.records.id, 1).notes] == [1]


def test_a_run_that_a_service_ends_keeps_its_notes() -> None:
    world = World(params={"count": 1}, limits={"workers": 4})

    def plant(item: Word, ctx: Context) -> None:
        ctx.note("part", {"number": 1}, flush=False)
        raise ServiceError("The target is away.")

    world.job.plant = plant
    with pytest.raises(ServiceError):
        world.run(keep_seconds=60)
    assert [note["number"] for note in fold(world.store, world.records.id, 1).notes] == [1]


def test_a_new_generation_learns_what_the_last_one_delivered() -> None:
    world = World()
    seen: list[Any] = []
    world.job.plant_plan = lambda ctx: seen.append(ctx.earlier())
    world.job.plant = fails(Kind.MISSING, "w3")
    first = world.run().report
    assert seen == [None]
    world.records.start_retry()
    world.job.plant_plan = lambda ctx: fails_the_job("x")(Word(text="x"), ctx)
    assert world.run().state is State.FAILED  # delivers nothing, and has no plan
    world.records.start_retry()
    world.job.plant_plan = lambda ctx: seen.append(ctx.earlier())
    world.job.plant = lambda item, ctx: None
    assert world.run().state is State.SUCCEEDED
    earlier = seen[-1]
    assert (earlier.generation, earlier.report, earlier.facts) == (1, first, {"made": "by plan"})


def test_the_last_generation_is_told_of_although_none_delivered_anything() -> None:
    world = World()
    world.job.plant_plan = lambda ctx: fails_the_job("x")(Word(text="x"), ctx)
    world.run()
    world.records.start_retry()
    seen: list[Any] = []
    world.job.plant_plan = lambda ctx: seen.append(ctx.earlier())
    world.run()
    assert (seen[0].generation, seen[0].report.state, seen[0].facts) == (1, State.FAILED, {})
