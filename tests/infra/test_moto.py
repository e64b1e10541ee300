"""Both stacks deploy by CloudFormation, and a job goes from its submission to its end; on moto."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchlab_infra.names import COMPUTE_OUTPUTS
from tests import servers
from tests.infra.account import Account

pytestmark = pytest.mark.stack
NAME = "batchlab"


@pytest.fixture(scope="module")
def account(synthesized: Path) -> Iterator[Account]:
    with servers.moto_s3() as server:
        account = Account(server.endpoint_url)
        account.tell(batch={"use_docker": False}, **{"lambda": {"use_docker": False}})
        account.deploy(synthesized / "full")
        yield account
        account.tell(batch={"use_docker": False})
        account.close()


def test_both_stacks_are_created_with_their_outputs(account: Account) -> None:
    foundation = account.outputs(f"{NAME}-foundation")
    assert foundation["StoreUrl"] == "s3://batchlab-123456789012-us-east-1/store"
    assert set(account.outputs(f"{NAME}-stack")) == set(COMPUTE_OUTPUTS)


def test_a_job_is_submitted_seen_and_ends(account: Account) -> None:
    batch = account.client("batch")
    submitted = batch.submit_job(
        jobName="test-wedding-photos", jobQueue=f"{NAME}-job-queue", jobDefinition=f"{NAME}-job-def"
    )
    [job] = batch.describe_jobs(jobs=[submitted["jobId"]])["jobs"]
    assert job["jobQueue"] == account.outputs(f"{NAME}-stack")["JobQueueArn"]
    assert job["status"] == "SUCCEEDED"
    listed = batch.list_jobs(jobQueue=f"{NAME}-job-queue", jobStatus="SUCCEEDED")["jobSummaryList"]
    assert submitted["jobId"] in [each["jobId"] for each in listed]


def test_a_job_that_waits_is_cancelled(account: Account) -> None:
    batch = account.client("batch")
    account.tell(batch={"use_docker": True})  # jobs that succeed at once cannot be cancelled
    job = batch.submit_job(
        jobName="cancelled",
        jobQueue=f"{NAME}-express-job-queue",
        jobDefinition=f"{NAME}-job-def",
        dependsOn=[{"jobId": "never-ends"}],
    )["jobId"]
    assert _status(batch, job, "PENDING")["status"] == "PENDING"
    batch.cancel_job(jobId=job, reason="asked by its owner")
    ended = _status(batch, job, "FAILED")
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "asked by its owner")


def _status(batch: Any, job: str, wanted: str) -> Any:
    """The job once it has this status; as it is after a minute without."""
    deadline = time.monotonic() + 60
    while True:
        [found] = batch.describe_jobs(jobs=[job])["jobs"]
        if found["status"] == wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_the_environment_that_deploy_prints_is_the_one_to_scale(account: Account) -> None:
    batch = account.client("batch")
    name = account.outputs(f"{NAME}-stack")["SpotEnvironment"]
    batch.update_compute_environment(computeEnvironment=name, computeResources={"maxvCpus": 200})
    [environment] = batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    assert environment["computeEnvironmentName"] == name
    assert environment["computeResources"]["type"] == "SPOT"


def test_the_dispatchers_queue_hands_hopeless_messages_on(account: Account) -> None:
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{NAME}-jobs")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{NAME}-jobs-dead")
