"""batchlab.service.phases: what AWS Batch runs next follows from the documents and from what it says of its job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from batchlab.backend import Hope
from batchlab.records import JobRecords
from batchlab.service.phases import INTERRUPTED, PAUSED, STOOD_ASIDE, Start, next_step
from batchlab.status import State
from tests.client.service.scenes import Scene

LONG_AGO = 0  # ms since 1970


class Batch:
    """AWS Batch as the test wants it: what it says of each of its jobs."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def describe(self, batch_job: str) -> dict[str, Any] | None:
        return self.jobs.get(batch_job)

    def has(self, batch_job: str, status: str, exit_code: int | None = None, **more: Any) -> None:
        container = {} if exit_code is None else {"exitCode": exit_code}
        self.jobs[batch_job] = {"status": status, "container": container, "stoppedAt": LONG_AGO, **more}


class Way:
    """A job on its way through AWS Batch."""

    def __init__(self, **fields: Any) -> None:
        self.scene = Scene()
        self.batch = Batch()
        self.records = self.scene.submit(**fields)

    def dispatched(self, phase: str, batch_job: str = "b-1", **more: Any) -> None:
        body = {"at": self.scene.store.time.isoformat(), "batch_job": batch_job, "queue": "q", **more}
        self.scene.store.put(f"{self.records.folder}/g1/dispatch-{phase}.json", body)

    def next(self) -> Start | Hope:
        return next_step(self.records, self.batch.describe)


@pytest.fixture
def alone() -> Way:
    return Way()


@pytest.fixture
def shared() -> Way:
    return Way(shards=3)


def test_a_job_of_one_shard_is_one_container(alone: Way) -> None:
    assert alone.next() == Start("all")


def test_a_job_of_many_shards_is_planned_first(shared: Way) -> None:
    assert shared.next() == Start("plan")


def test_a_claim_without_a_batch_job_is_to_be_seen_to(alone: Way) -> None:
    alone.scene.store.put(f"{alone.records.folder}/g1/dispatch-all.json", {"at": "...", "token": "x"})
    assert alone.next() == Start("all")


@pytest.mark.parametrize(
    ("status", "hope"),
    [
        ("SUBMITTED", Hope.WAITING),
        ("PENDING", Hope.WAITING),
        ("RUNNABLE", Hope.WAITING),
        ("STARTING", Hope.RUNNING),
        ("RUNNING", Hope.RUNNING),
    ],
)
def test_while_batch_has_it_nothing_is_due(alone: Way, status: str, hope: Hope) -> None:
    alone.dispatched("all")
    alone.batch.has("b-1", status)
    assert alone.next() is hope


def test_an_array_runs_when_one_of_its_children_does(shared: Way) -> None:
    shared.dispatched("work")
    shared.batch.has("b-1", "PENDING", arrayProperties={"statusSummary": {"RUNNABLE": 2, "RUNNING": 1}})
    assert shared.next() is Hope.RUNNING


def test_what_batch_does_not_know_is_over_only_when_it_may_have_forgotten_it(alone: Way) -> None:
    alone.dispatched("all")
    assert alone.next() is Hope.UNKNOWN
    alone.scene.store.pass_time(days=6, hours=23)
    assert alone.next() is Hope.UNKNOWN
    alone.scene.store.pass_time(hours=1)
    assert alone.next() is Hope.OVER


def test_a_job_that_batch_gave_up_is_over(alone: Way) -> None:
    alone.dispatched("all")
    alone.batch.has("b-1", "FAILED", 137, statusReason="OutOfMemoryError: Container killed")
    assert alone.next() is Hope.OVER


@pytest.mark.parametrize(
    "why",
    [
        {"exit_code": 75},
        {"exit_code": None, "statusReason": "Host EC2 (instance i-0a1b2c3d) terminated."},
    ],
)
def test_a_run_that_was_interrupted_until_batch_had_no_start_left_is_started_anew_twice(
    alone: Way, why: dict[str, Any]
) -> None:
    earlier: list[dict[str, str]] = []
    for number in (1, 2):
        alone.dispatched("all", f"b-{number}", earlier=list(earlier))
        alone.batch.has(f"b-{number}", "FAILED", **why)
        assert alone.next() == Start("all", after=f"b-{number}", why=INTERRUPTED)
        earlier.append({"batch_job": f"b-{number}", "why": INTERRUPTED})
    alone.dispatched("all", "b-3", earlier=earlier)
    alone.batch.has("b-3", "FAILED", **why)
    assert alone.next() is Hope.OVER


@pytest.mark.parametrize(
    "more",
    [
        {"isTerminated": True, "statusReason": "by hand"},
        {"isCancelled": True},
        {"statusReason": "Job attempt duration exceeded timeout"},
    ],
)
def test_what_somebody_or_the_time_limit_ended_in_batch_is_not_started_anew(
    alone: Way, more: dict[str, Any]
) -> None:
    alone.dispatched("all")
    alone.batch.has("b-1", "FAILED", 75, **more)
    assert alone.next() is Hope.OVER


def test_a_run_that_stood_aside_waits_for_whoever_was_at_work_and_is_repeated_once(alone: Way) -> None:
    alone.dispatched("all")
    now_ms = int(alone.scene.store.time.timestamp() * 1000)
    alone.batch.has("b-1", "SUCCEEDED", 0, stoppedAt=now_ms)
    assert alone.next() is Hope.WAITING
    alone.scene.store.pass_time(seconds=60)
    assert alone.next() == Start("all", after="b-1", why=STOOD_ASIDE)
    alone.dispatched("all", "b-2", earlier=[{"batch_job": "b-1", "why": STOOD_ASIDE}])
    alone.batch.has("b-2", "SUCCEEDED", 0)
    assert alone.next() is Hope.OVER


def test_a_paused_job_waits_and_is_then_started_as_often_as_its_quota_is_used_up(alone: Way) -> None:
    earlier: list[dict[str, str]] = []
    for number in range(1, 5):
        alone.dispatched("all", f"b-{number}", earlier=list(earlier))
        alone.batch.has(f"b-{number}", "SUCCEEDED", 0)
        resume_at = alone.scene.store.time + timedelta(hours=1)
        alone.scene.move(alone.records, State.RUNNING, resume_at=resume_at)
        assert alone.next() is Hope.WAITING
        alone.scene.store.pass_time(hours=1)
        assert alone.next() == Start("all", after=f"b-{number}", why=PAUSED)
        earlier.append({"batch_job": f"b-{number}", "why": PAUSED})


def test_a_start_after_a_pause_that_dies_at_once_is_not_taken_for_another_pause(alone: Way) -> None:
    alone.scene.move(alone.records, State.RUNNING, resume_at=alone.scene.store.time)
    alone.scene.store.pass_time(minutes=1)
    alone.dispatched("all", "b-2", earlier=[{"batch_job": "b-1", "why": PAUSED}])
    alone.batch.has("b-2", "FAILED", 1)
    assert alone.next() is Hope.OVER


def test_a_wish_to_cancel_leaves_a_job_that_is_over_to_its_end(shared: Way) -> None:
    shared.scene.plan(shared.records, "a", "b", "c")
    shared.records.ask_to_cancel(1)
    for phase in ("plan", "work", "collect"):
        shared.dispatched(phase)
        shared.batch.has("b-1", "FAILED", 75)
        assert shared.next() is Hope.OVER


# -- phases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("items", "children"), [(1, 1), (2, 2), (3, 3), (500, 3)])
def test_after_the_plan_come_as_many_children_as_there_is_work_for(
    shared: Way, items: int, children: int
) -> None:
    shared.dispatched("plan")
    shared.scene.plan(shared.records, *(f"i-{number}" for number in range(items)))
    shared.batch.has("b-1", "SUCCEEDED", 0)
    assert shared.next() == Start("work", shards=children)


def test_a_plan_without_items_is_collected_at_once(shared: Way) -> None:
    shared.dispatched("plan")
    shared.scene.plan(shared.records)
    shared.batch.has("b-1", "SUCCEEDED", 0)
    assert shared.next() == Start("collect")


def test_a_planner_killed_after_it_had_saved_its_plan_has_planned(shared: Way) -> None:
    shared.dispatched("plan")
    shared.scene.plan(shared.records, "a")
    shared.batch.has("b-1", "FAILED", 137)
    assert shared.next() == Start("work", shards=1)


def test_a_planner_that_died_without_a_plan_ends_the_job(shared: Way) -> None:
    shared.dispatched("plan")
    shared.batch.has("b-1", "FAILED", 1)
    assert shared.next() is Hope.OVER


@pytest.mark.parametrize(("status", "exit_code"), [("SUCCEEDED", 0), ("FAILED", 139), ("FAILED", 75)])
def test_after_the_work_comes_collect_however_the_shards_ended(
    shared: Way, status: str, exit_code: int
) -> None:
    shared.dispatched("plan")
    shared.dispatched("work")
    shared.scene.plan(shared.records, "a", "b")
    shared.batch.has("b-1", status, exit_code)
    assert shared.next() == Start("collect")


def test_shards_that_were_forgotten_are_collected_too(shared: Way) -> None:
    shared.dispatched("work")
    shared.scene.store.pass_time(days=8)
    assert shared.next() == Start("collect")


def test_a_dead_collect_ends_the_job(shared: Way) -> None:
    shared.dispatched("work", "b-1")
    shared.dispatched("collect", "b-2")
    shared.batch.has("b-2", "FAILED", 137)
    assert shared.next() is Hope.OVER


def test_a_pause_of_one_shard_starts_all_shards_again(shared: Way) -> None:
    shared.dispatched("work")
    shared.scene.plan(shared.records, "a", "b")
    shared.batch.has("b-1", "SUCCEEDED", 0)
    resume_at = shared.scene.store.time + timedelta(hours=1)
    shared.scene.move(shared.records, State.RUNNING, resume_at=resume_at)
    shared.scene.store.pass_time(hours=1)
    assert shared.next() == Start("work", shards=2, after="b-1", why=PAUSED)


def test_a_retry_begins_with_its_own_plan(shared: Way) -> None:
    shared.dispatched("collect")
    shared.scene.move(shared.records, State.FAILED)
    shared.records.start_retry()
    assert shared.next() == Start("plan")


def test_the_same_question_has_the_same_answer(shared: Way) -> None:
    records: JobRecords = shared.records
    shared.dispatched("work")
    shared.batch.has("b-1", "SUCCEEDED", 0)
    before = shared.scene.names("")
    assert {str(next_step(records, shared.batch.describe)) for _ in range(5)} == {str(Start("collect"))}
    assert shared.scene.names("") == before
