"""batchlab.service.dispatch: each generation of a job reaches AWS Batch once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from batchlab.document import JobDocument, load_document
from batchlab.errors import NotFound, UsageError
from batchlab.ids import new_id
from batchlab.records import JobRecords, submit_locally
from batchlab.service.dispatch import THROTTLED_TRIES, BatchPlace, Dispatcher, NotYet, Pace, batch_job_name
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.stores.memory import MemoryStore
from tests.client.service.conftest import DEFINITION, Simulated


def place(account: Simulated) -> BatchPlace:
    return BatchPlace(account.queue, account.express, DEFINITION)


class Clock:
    """A store's clock and a machine's, moved by whoever sleeps."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Killed(BaseException):
    """What a function that runs out of time does not live to see."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    store = MemoryStore("dispatch")
    store.now = clock.now  # type: ignore[method-assign]
    return store


@pytest.fixture
def dispatcher(account: Simulated, store: MemoryStore, clock: Clock) -> Dispatcher:
    return Dispatcher(
        store, account.batch, place(account), Pace(monotonic=clock.monotonic, sleep=clock.sleep)
    )


def submitted(store: MemoryStore, **fields: Any) -> JobDocument:
    document = load_document({"type": "self-test", **fields})
    submit_locally(store, document)
    return document


def answering(account: Simulated, *codes: str) -> list[float]:
    """AWS Batch answers the next SubmitJobs with these errors, without doing anything; returns one entry for each."""
    left = list(codes)
    seen: list[float] = []

    def hook(**_: Any) -> Any:
        seen.append(1.0)
        if not left:
            return None
        code = left.pop(0)
        status = 500 if code == "ServerException" else 429
        return SimpleNamespace(status_code=status, headers={}), {
            "Error": {"Code": code, "Message": "so it is"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }

    account.hook("before-call.batch.SubmitJob", hook)
    return seen


def after_submitting(account: Simulated, act: Callable[[], None]) -> None:
    """`act` happens once AWS Batch has a job, before the dispatcher hears of it."""
    account.hook("after-call.batch.SubmitJob", lambda **_: act())


def test_a_job_is_submitted_under_a_name_it_is_found_by_with_the_url_of_its_document(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher
) -> None:
    document = submitted(store)
    batch_job = dispatcher.dispatch(document.id)
    [job] = account.jobs()
    assert job["jobId"] == batch_job
    assert job["jobName"] == f"self-test-{document.id}-g1-all"
    assert job["parameters"] == {"job": f"memory://dispatch/jobs/{document.id}/job.json"}


def test_its_queue_and_size_are_those_that_the_document_asks_for(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher
) -> None:
    document = submitted(store, resources={"queue": "express", "vcpus": 4, "memory_mib": 8192})
    asked: list[dict[str, Any]] = []
    account.hook("provide-client-params.batch.SubmitJob", lambda params, **_: asked.append(params))
    dispatcher.dispatch(document.id)
    requirements = asked[0]["containerOverrides"]["resourceRequirements"]
    assert requirements == [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "8192"}]
    assert (len(account.jobs()), len(account.jobs(account.express))) == (0, 1)


def test_a_message_that_comes_five_times_is_one_job(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher
) -> None:
    document = submitted(store)
    assert len({dispatcher.dispatch(document.id) for _ in range(5)}) == 1
    assert len(account.jobs()) == 1


def test_of_eight_dispatchers_at_once_one_submits_and_the_others_come_back_later(
    account: Simulated, store: MemoryStore, clock: Clock
) -> None:
    document = submitted(store)

    def dispatch(_: int) -> str | None:
        pace = Pace(monotonic=clock.monotonic, sleep=clock.sleep)
        try:
            return Dispatcher(store, account.batch, place(account), pace).dispatch(document.id)
        except NotYet:
            return None

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(dispatch, range(8)))
    [job] = account.jobs()
    assert {each for each in told if each} == {job["jobId"]}


def test_a_dispatcher_killed_before_submitting_is_taken_over_after_a_minute(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher, clock: Clock
) -> None:
    document = submitted(store)
    store.create(f"jobs/{document.id}/g1/dispatch-all.json", {"at": clock.now().isoformat(), "token": "dead"})
    with pytest.raises(NotYet, match="another dispatcher"):
        dispatcher.dispatch(document.id)
    clock.sleep(60)
    assert dispatcher.dispatch(document.id) is not None
    assert len(account.jobs()) == 1


def test_a_dispatcher_killed_after_submitting_is_taken_over_without_a_second_job(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher, clock: Clock
) -> None:
    document = submitted(store)

    def die() -> None:
        raise Killed

    after_submitting(account, die)
    with pytest.raises(Killed):
        dispatcher.dispatch(document.id)
    clock.sleep(60)
    batch_job = dispatcher.dispatch(document.id)
    [job] = account.jobs()
    assert job["jobId"] == batch_job
    assert dispatcher.dispatch(document.id) == batch_job


def test_a_throttled_submission_is_tried_again_and_becomes_one_job(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher, clock: Clock
) -> None:
    document = submitted(store)
    seen = answering(account, "TooManyRequestsException", "ThrottlingException")
    assert dispatcher.dispatch(document.id) is not None
    assert len(seen) == 3
    assert sum(clock.slept) >= 0.125 + 0.25
    assert len(account.jobs()) == 1


def test_a_message_that_is_throttled_on_and_on_goes_back_to_the_queue_and_is_submitted_later(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher, clock: Clock
) -> None:
    document = submitted(store)
    answering(account, *["TooManyRequestsException"] * THROTTLED_TRIES)
    with pytest.raises(NotYet, match="takes no more jobs just now"):
        dispatcher.dispatch(document.id)
    clock.sleep(65)
    assert dispatcher.dispatch(document.id) is not None
    assert len(account.jobs()) == 1


def test_an_answer_that_may_hide_a_started_job_is_not_followed_by_a_second_submission(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher
) -> None:
    document = submitted(store)
    seen = answering(account, "ServerException")
    with pytest.raises(NotYet):
        dispatcher.dispatch(document.id)
    assert len(seen) == 1


def test_fifty_submissions_a_second_are_never_exceeded_by_two_dispatchers() -> None:
    starts: list[float] = []
    for _ in range(2):  # each on a machine of its own, from the same moment
        clock = Clock()
        pace = Pace(monotonic=clock.monotonic, sleep=clock.sleep)
        for _ in range(500):
            pace.wait()
            starts.append(clock.seconds)
    busiest = max(sum(start <= other < start + 1 for other in starts) for start in starts)
    assert 35 <= busiest <= 50


def test_every_attempt_of_a_submission_keeps_the_pace(
    account: Simulated, store: MemoryStore, clock: Clock
) -> None:
    pace = Pace(2, monotonic=clock.monotonic, sleep=clock.sleep)
    starts: list[float] = []
    answering(account, "TooManyRequestsException")
    account.hook("provide-client-params.batch.SubmitJob", lambda **_: starts.append(clock.seconds))
    for _ in range(3):
        Dispatcher(store, account.batch, place(account), pace).dispatch(submitted(store).id)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert len(gaps) == 3
    assert min(gaps) >= 0.499


def test_a_retry_is_a_job_of_its_own(account: Simulated, store: MemoryStore, dispatcher: Dispatcher) -> None:
    document = submitted(store)
    first = dispatcher.dispatch(document.id)
    records = JobRecords(store, document.id)
    records.save_status(records.status().model_copy(update={"state": State.FAILED}))
    records.start_retry()
    assert dispatcher.dispatch(document.id) not in (None, first)
    assert {job["jobName"] for job in account.jobs()} == {
        batch_job_name(document, 1),
        batch_job_name(document, 2),
    }


def test_a_job_that_has_ended_is_not_submitted(
    account: Simulated, store: MemoryStore, dispatcher: Dispatcher
) -> None:
    document = submitted(store)
    records = JobRecords(store, document.id)
    records.save_status(records.status().model_copy(update={"state": State.CANCELLED}))
    assert dispatcher.dispatch(document.id) is None
    assert account.jobs() == []


def test_a_submitted_job_is_no_longer_pending(
    store: MemoryStore, dispatcher: Dispatcher, clock: Clock
) -> None:
    document = submitted(store)
    JobRecords(store, document.id).save_pending(clock.now())
    dispatcher.dispatch(document.id)
    assert list(store.names("pending/")) == []


def test_a_job_that_does_not_exist_is_said_to_be_missing(dispatcher: Dispatcher) -> None:
    with pytest.raises(NotFound):
        dispatcher.dispatch(new_id())


@pytest.mark.parametrize("phase", ["all", "plan", "collect"])
def test_names_are_such_as_aws_batch_takes(phase: str) -> None:
    name = batch_job_name(load_document({"type": "self-test"}), 1_000, phase)
    assert len(name) <= 128
    assert name.replace("-", "").replace("_", "").isalnum()


def test_a_dispatcher_without_its_settings_says_which() -> None:
    with pytest.raises(UsageError, match="BATCHLAB_JOB_QUEUE and BATCHLAB_JOB_DEFINITION"):
        BatchPlace.of_settings(Settings())
