from __future__ import annotations

import time
from typing import Any

import pytest

from batchlab.batch.address import BatchAddress
from batchlab.batch.jobs import BatchJobs
from batchlab.document import JobDocument, load_document
from batchlab.errors import DocumentError, NotFound, UsageError
from batchlab.opening import in_batch
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores import open_store
from tests.client.batch.conftest import REGION, Planted

GONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def jobs(planted: Planted) -> BatchJobs:
    planted.clients["s3"].create_bucket(Bucket=planted.name)
    return BatchJobs(address(planted, "store"))


def address(planted: Planted, folder: str) -> BatchAddress:
    return BatchAddress(planted.queue, planted.definition, f"s3://{planted.name}/{folder}", REGION)


def document(**more: Any) -> JobDocument:
    return load_document({"type": "self-test", **more})


def test_a_job_submitted_twice_is_one_job_with_its_document_in_the_store(
    jobs: BatchJobs, planted: Planted
) -> None:
    wanted = document(resources={"vcpus": 1, "memory_mib": 1024})
    backend = in_batch(address(planted, "store"), Settings())
    assert backend.submit(wanted).id == wanted.id
    assert backend.submit(wanted).id == wanted.id
    [submitted] = jobs.list()
    parameters = jobs.one(submitted["jobId"])["parameters"]
    assert parameters == {"job": f"s3://{planted.name}/store/jobs/{wanted.id}/job.json"}
    assert JobRecords(open_store(f"s3://{planted.name}/store"), wanted.id).document() == wanted


def test_a_url_without_definition_or_store_submits_nothing() -> None:
    with pytest.raises(UsageError, match="needs a job definition and a store"):
        in_batch(BatchAddress("queue"), Settings())


def test_what_aws_batch_would_not_take_is_refused_before_it_is_asked(
    jobs: BatchJobs, planted: Planted
) -> None:
    backend = in_batch(address(planted, "/".join("x" * 200 for _ in range(3))), Settings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchlab.batch.request.LARGEST_PAYLOAD_BYTES", 500)
        with pytest.raises(DocumentError, match="Put the document into the store"):
            backend.submit(document())
    assert list(jobs.list()) == []


def test_hundreds_of_jobs_are_described_in_chunks(jobs: BatchJobs, planted: Planted) -> None:
    asked: list[int] = []
    client = jobs._client("batch")
    client.meta.events.register(
        "provide-client-params.batch.DescribeJobs", lambda params, **_: asked.append(len(params["jobs"]))
    )
    ids = [planted.submit() for _ in range(3)]
    found = jobs.describe([*ids, *[GONE] * 248])
    assert asked == [100, 100, 51]
    assert [job["jobId"] for job in found] == ids


def test_a_throttled_question_is_asked_again(jobs: BatchJobs, planted: Planted) -> None:
    job, asked = planted.submit(), []

    def throttle(**_: Any) -> Any:
        asked.append(1)
        if len(asked) > 2:
            return None
        from botocore.awsrequest import AWSResponse

        return AWSResponse("http://x", 429, {"x-amzn-errortype": "TooManyRequestsException"}, Raw())

    jobs._client("batch").meta.events.register("before-send.batch.DescribeJobs", throttle)
    assert jobs.one(job)["jobId"] == job
    assert len(asked) == 3


class Raw:
    """An empty body."""

    def stream(self) -> list[bytes]:
        return [b"{}"]


def test_a_job_that_has_ended_cannot_be_cancelled_and_one_that_is_gone_is_not_found(
    jobs: BatchJobs, planted: Planted
) -> None:
    first = planted.submit()
    assert jobs.one(first)["status"] == "SUCCEEDED"
    assert not jobs.cancel(first, "test")
    with pytest.raises(NotFound, match="7 days"):
        jobs.cancel(GONE, "test")


def test_a_job_that_waits_is_cancelled_and_one_that_runs_is_terminated(
    jobs: BatchJobs, planted: Planted
) -> None:
    first = planted.submit()
    client, called = jobs._client("batch"), []
    for operation in ("CancelJob", "TerminateJob"):
        client.meta.events.register(
            f"provide-client-params.batch.{operation}",
            lambda params, model, **_: called.append((model.name, params["reason"])),
        )

    def waiting(parsed: Any, **_: Any) -> None:
        parsed["jobs"][0]["status"] = "RUNNABLE"

    client.meta.events.register("after-call.batch.DescribeJobs", waiting)
    assert jobs.cancel(first, "not needed")
    jobs.terminate(first, "stalled")
    assert called == [("CancelJob", "not needed"), ("TerminateJob", "stalled")]


def test_the_logs_of_all_starts_are_read_to_their_ends(jobs: BatchJobs, planted: Planted) -> None:
    logs, group = planted.clients["logs"], f"/aws/batch/{planted.name}"
    logs.create_log_group(logGroupName=group)
    now = int(time.time() * 1000) - 5000
    for number, stream in enumerate(("job/1", "job/2")):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        at = now + number * 1000
        events = [{"timestamp": at, "message": f"{stream} line {line}"} for line in range(3)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    job = planted.submit()

    def described(parsed: Any, **_: Any) -> None:
        container = {"logStreamName": "job/2", "logConfiguration": {"options": {"awslogs-group": group}}}
        first = {"container": {"logStreamName": "job/1"}}
        missing = {"container": {"logStreamName": "job/never-ran"}}
        parsed["jobs"][0] |= {"container": container, "attempts": [missing, first]}

    jobs._client("batch").meta.events.register("after-call.batch.DescribeJobs", described)
    lines = list(jobs.logs(job, follow=True))
    assert [line.text for line in lines] == [
        f"job/{stream} line {line}" for stream in (1, 2) for line in range(3)
    ]
    assert (lines[3].at - lines[0].at).total_seconds() == 1
