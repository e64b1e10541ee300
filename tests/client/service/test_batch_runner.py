"""batchlab.batch.runner, over moto's AWS Batch: phases, restarts, cancelling and logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from batchlab import aws
from batchlab.backend import Hope
from batchlab.batch.runner import BatchRunner
from batchlab.document import JobDocument
from batchlab.errors import DocumentError, ServiceError, UsageError
from batchlab.records import JobRecords, submit_locally
from batchlab.service.core import Service
from batchlab.service.follow import look
from batchlab.service.submission import cancel, submit
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.stores.memory import MemoryStore
from tests.client.service.conftest import DEFINITION, Simulated
from tests.client.service.runner_conformance import RunnerConformance
from tests.client.service.scenes import self_test, sharing


class Store(MemoryStore):
    """Its clock is this machine's, which moto's is too, and some time."""

    later = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later


@pytest.fixture
def store() -> Store:
    return Store("batch-runner")


@pytest.fixture
def settings(account: Simulated, store: Store) -> Settings:
    return Settings(
        store=store.url,
        job_queue=account.queue,
        express_job_queue=account.express,
        job_definition=DEFINITION,
        aws_region="us-east-1",
    )


@pytest.fixture
def runner(
    account: Simulated, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> BatchRunner:
    monkeypatch.setattr(aws, "service_client", lambda name, *_, **__: getattr(account, name))
    return BatchRunner(settings, store)


@pytest.fixture
def service(settings: Settings, runner: BatchRunner, store: Store) -> Service:
    return Service.of_settings(settings, runner, store)


class TestBatchRunner(RunnerConformance):
    """moto's jobs succeed at once, and nothing runs in them."""


def say(account: Simulated, **said: Any) -> None:
    """AWS Batch says so of every job from now on, whatever moto thinks."""

    def answer(parsed: Any, **_: Any) -> None:
        for job in parsed["jobs"]:
            job |= said

    account.unhook()
    account.hook("after-call.batch.DescribeJobs", answer)


def names(account: Simulated) -> list[str]:
    """The phases that AWS Batch has a job for, in order."""
    jobs = sorted(account.jobs(), key=lambda job: job["createdAt"])
    return [str(job["jobName"]).rpartition("-")[2] for job in jobs if ":" not in job["jobId"]]


def plan(records: JobRecords, *keys: str) -> None:
    entries = [{"key": key, "item": {}} for key in keys]
    records.save_plan(1, {"facts": {}, "entries": entries, "durable": "item"})


@pytest.mark.parametrize(
    ("said", "hope"),
    [
        ({"status": "RUNNABLE"}, Hope.WAITING),
        ({"status": "RUNNING"}, Hope.RUNNING),
        ({"status": "FAILED", "statusReason": "Essential container in task exited"}, Hope.OVER),
    ],
)
def test_hope_is_what_aws_batch_says_of_the_job_it_was_given(
    runner: BatchRunner, account: Simulated, store: Store, said: dict[str, Any], hope: Hope
) -> None:
    records = submit_locally(store, self_test())
    runner.start(records)
    say(account, **said)
    assert runner.hope(records) is hope


def test_an_aws_batch_that_does_not_answer_is_asked_again_later(
    runner: BatchRunner, account: Simulated, store: Store
) -> None:
    records = submit_locally(store, self_test())
    runner.start(records)
    answer = (
        SimpleNamespace(status_code=500, headers={}),
        {
            "Error": {"Code": "ServerException", "Message": "busy"},
            "ResponseMetadata": {"HTTPStatusCode": 500},
        },
    )
    account.hook("before-call.batch.DescribeJobs", lambda **_: answer)
    with pytest.raises(ServiceError):
        runner.hope(records)


def test_a_job_of_shards_goes_from_plan_to_an_array_to_collect_event_by_event(
    service: Service, account: Simulated, store: Store
) -> None:
    asked: list[dict[str, Any]] = []
    account.batch.meta.events.register(
        "provide-client-params.batch.SubmitJob", lambda params, **_: asked.append(params), unique_id="phases"
    )
    records = submit(service, sharing(shards=3))
    plan(records, *(f"i-{number}" for number in range(10)))
    for _ in range(4):  # each event twice, and one too many
        look(service, records.id)
        look(service, records.id)
    account.batch.meta.events.unregister("provide-client-params.batch.SubmitJob", unique_id="phases")
    assert names(account) == ["plan", "work", "collect"]
    url = f"{store.url}/jobs/{records.id}/job.json"
    commands = [each["containerOverrides"]["command"] for each in asked]
    assert commands == [["run", "--job", url, "--phase", phase] for phase in ("plan", "work", "collect")]
    assert [each.get("arrayProperties") for each in asked] == [None, {"size": 3}, None]


def test_the_work_of_one_item_needs_no_array(service: Service, account: Simulated) -> None:
    records = submit(service, sharing(shards=3))
    plan(records, "a")
    asked: list[dict[str, Any]] = []
    account.hook("provide-client-params.batch.SubmitJob", lambda params, **_: asked.append(params))
    look(service, records.id)
    assert "arrayProperties" not in asked[0]
    assert asked[0]["containerOverrides"]["command"][-4:] == ["--phase", "work", "--shard", "1/1"]


def test_a_dead_collect_ends_the_job_with_what_the_shards_did(service: Service, account: Simulated) -> None:
    records = submit(service, sharing(shards=2))
    plan(records, "a", "b")
    for _ in range(2):
        look(service, records.id)
    assert names(account)[-1] == "collect"
    say(account, status="FAILED", statusReason="OutOfMemoryError")
    look(service, records.id)
    assert records.status().state is State.FAILED


def test_a_run_that_stood_aside_is_repeated_once_and_then_the_job_ends(
    service: Service, account: Simulated, store: Store
) -> None:
    records = submit(service, self_test())
    for _ in range(4):
        store.later += timedelta(minutes=5)
        look(service, records.id)
    assert names(account) == ["all", "all"]
    assert records.status().state is State.FAILED


def test_a_dispatcher_killed_at_a_second_start_is_taken_over_without_a_third(
    service: Service, account: Simulated, store: Store, runner: BatchRunner
) -> None:
    class Killed(BaseException):
        pass

    def die(**_: Any) -> None:
        raise Killed

    records = submit(service, self_test())
    store.later = timedelta(minutes=5)
    account.hook("after-call.batch.SubmitJob", die)
    with pytest.raises(Killed):
        look(service, records.id)
    account.unhook()
    store.later = timedelta(minutes=7)
    look(service, records.id)
    assert names(account) == ["all", "all"]
    claim = records.dispatched(1, "all")
    assert claim is not None
    first, second = (job["jobId"] for job in sorted(account.jobs(), key=lambda job: job["createdAt"]))
    assert (claim["earlier"][0]["batch_job"], claim["batch_job"]) == (first, second)


def test_a_job_that_waits_in_aws_batch_is_cancelled_there_and_then_here(
    service: Service, account: Simulated, store: Store
) -> None:
    records = submit(service, self_test())
    cancelled: list[str] = []
    account.hook(
        "provide-client-params.batch.CancelJob", lambda params, **_: cancelled.append(params["jobId"])
    )
    account.hook(
        "after-call.batch.DescribeJobs",
        lambda parsed, **_: [
            job.update({"status": "FAILED", "isCancelled": True} if cancelled else {"status": "RUNNABLE"})
            for job in parsed["jobs"]
        ],
    )
    assert cancel(service, records).state is State.CANCELLED
    assert len(cancelled) == 1


def test_a_container_that_runs_is_left_to_see_the_wish_by_itself(
    service: Service, account: Simulated
) -> None:
    records = submit(service, self_test())
    say(account, status="RUNNING")
    asked: list[str] = []
    for operation in ("CancelJob", "TerminateJob"):
        account.hook(f"provide-client-params.batch.{operation}", lambda **_: asked.append("asked"))
    assert cancel(service, records).state is State.CANCELLING
    assert asked == []
    assert records.cancel_requested(1)


def test_what_waits_only_in_our_queue_never_begins_when_it_is_cancelled(
    service: Service, account: Simulated, store: Store, runner: BatchRunner
) -> None:
    records = submit_locally(store, self_test())
    assert cancel(service, records).state is State.CANCELLED
    runner.start(records)
    assert account.jobs() == []


def test_the_log_is_that_of_every_start_and_goes_on_where_it_was_read_to(
    service: Service, account: Simulated, runner: BatchRunner, moto_clients: dict[str, Any]
) -> None:
    records = submit(service, self_test())
    logs = moto_clients["logs"]
    group, stream = f"/aws/batch/{account.queue}", "job/default/1"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(*lines: str) -> None:
        now = int(datetime.now(UTC).timestamp() * 1000)
        events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    options = {"options": {"awslogs-group": group}}
    say(account, container={"logStreamName": stream, "logConfiguration": options}, attempts=[])
    write("planned", "5 photos")
    page = runner.logs(records, None)
    assert [line.text for line in page.lines] == ["planned", "5 photos"]
    write("done")
    page = runner.logs(records, page.next)
    assert [line.text for line in page.lines] == ["done"]
    page = runner.logs(records, page.next)
    assert (page.lines, page.ended) == ((), False)
    records.save_status(records.status().model_copy(update={"state": State.SUCCEEDED}))
    assert runner.logs(records, page.next).ended


@pytest.mark.parametrize("cursor", ["!", "WzFd", "eyJhIjogMX0"])
def test_a_cursor_that_is_none_is_refused(runner: BatchRunner, store: Store, cursor: str) -> None:
    records = submit_locally(store, self_test())
    with pytest.raises(DocumentError, match="cursor"):
        runner.logs(records, cursor)


def test_an_express_job_goes_to_the_express_queue(service: Service, account: Simulated) -> None:
    document: JobDocument = self_test(resources={"queue": "express"})
    submit(service, document)
    assert (len(account.jobs()), len(account.jobs(account.express))) == (0, 1)


def test_a_runner_without_queue_or_definition_says_which_is_missing(store: Store) -> None:
    with pytest.raises(UsageError, match="BATCHLAB_JOB_QUEUE"):
        BatchRunner(Settings(store=store.url), store)
