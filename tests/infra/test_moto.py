"""Both stacks deploy by CloudFormation, and a job goes from its submission to its end; on moto."""

from __future__ import annotations

import io
import json
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from batchlab_infra.names import COMPUTE_OUTPUTS
from tests import servers
from tests.infra.adapter import adapted

pytestmark = pytest.mark.stack
NAME = "batchlab"


class Account:
    """A simulated account with both stacks in it."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._open = ExitStack()

    def client(self, service: str) -> Any:
        client = boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self._endpoint_url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )
        self._open.callback(client.close)
        return client

    def tell(self, **config: Any) -> None:
        """Sets how moto simulates."""
        request = urllib.request.Request(f"{self._endpoint_url}/moto-api/config", json.dumps(config).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def close(self) -> None:
        self._open.close()

    def deploy(self, path: Path) -> None:
        template = json.loads(path.read_text())
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("handlers.py", "")
        for function in template["Resources"].values():
            if function["Type"] == "AWS::Lambda::Function":
                code = function["Properties"]["Code"]
                key = code["S3Key"]
                self.client("s3").put_object(Bucket=ASSETS, Key=key, Body=archive.getvalue())
        self.client("cloudformation").create_stack(
            StackName=path.name.split(".")[0],
            TemplateBody=json.dumps(adapted(template)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )

    def outputs(self, stack: str) -> dict[str, str]:
        [found] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        assert found["StackStatus"] == "CREATE_COMPLETE"
        return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


ASSETS = "cdk-hnb659fds-assets-123456789012-us-east-1"


@pytest.fixture(scope="module")
def account(synthesized: Path) -> Iterator[Account]:
    with servers.moto_s3() as server:
        told = json.dumps({"batch": {"use_docker": False}, "lambda": {"use_docker": False}}).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{server.endpoint_url}/moto-api/config", told), timeout=10
        )
        account = Account(server.endpoint_url)
        account.client("ssm").put_parameter(
            Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String"
        )
        account.client("s3").create_bucket(Bucket=ASSETS)
        for path in sorted((synthesized / "full").glob("*.template.json")):
            account.deploy(path)
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
