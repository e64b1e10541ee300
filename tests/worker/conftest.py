"""The whole way, offline: the example Worker in workerd, a function URL that verifies signatures, the functions of
the AWS stack in processes of their own, and moto in place of S3, R2's S3 door, SQS and AWS Batch."""

from __future__ import annotations

import itertools
import json
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests import servers
from tests.worker.container import Container, containers
from tests.worker.function_url import FunctionUrl, function_url
from tests.worker.workerd import Worker, example_worker

KEYS = {"AKIDLAB": "lab-secret"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LAMBDAS = 3  # containers that answer the endpoint at the same time, as many as two cores carry


@dataclass
class System:
    """All parts, and what stands in for the clockwork of AWS between them."""

    endpoint: FunctionUrl
    worker: Worker
    lambdas: list[Container]
    moto: str
    store_bucket: str
    shop_bucket: str  # R2's, which the Worker has bound
    queue_url: str
    job_queue: str
    environment: Mapping[str, str]
    _next: Iterator[int] = field(default_factory=itertools.count)

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.moto,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def call(self, handler: str, event: dict[str, Any]) -> dict[str, Any]:
        """By the next container."""
        return self.lambdas[next(self._next) % len(self.lambdas)].call(handler, event)

    def dispatch(self) -> None:
        """AWS Lambda feeds the dispatcher with the intake queue until that is empty."""
        sqs = self.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            records = [
                {"messageId": each["MessageId"], "receiptHandle": each["ReceiptHandle"], "body": each["Body"]}
                for each in messages
            ]
            assert self.call("dispatcher", {"Records": records}) == {"batchItemFailures": []}
            for each in records:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=each["receiptHandle"])

    def batch_jobs(self) -> list[dict[str, Any]]:
        """What AWS Batch was given."""
        batch = self.client("batch")
        listed = batch.list_jobs(jobQueue=self.job_queue, filters=[{"name": "JOB_NAME", "values": ["*"]}])[
            "jobSummaryList"
        ]
        return list(batch.describe_jobs(jobs=[each["jobId"] for each in listed])["jobs"]) if listed else []

    def tell(self, batch_job: Mapping[str, Any]) -> None:
        """EventBridge puts AWS Batch's event before the notifier."""
        detail = {
            "jobId": batch_job["jobId"],
            "jobName": batch_job["jobName"],
            "status": "SUCCEEDED",
            "parameters": batch_job["parameters"],
        }
        event = {"detail-type": "Batch Job State Change", "source": "aws.batch", "detail": detail}
        record = {"messageId": secrets.token_hex(8), "body": json.dumps(event)}
        assert self.call("notifier", {"Records": [record]}) == {"batchItemFailures": []}

    def documents(self, prefix: str) -> list[str]:
        """Names in the store."""
        pages = self.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.store_bucket, Prefix=f"store/{prefix}")
        return [each["Key"].removeprefix("store/") for page in found for each in page.get("Contents", [])]

    def r2_to_worker(self) -> None:
        """R2 is one place with two doors; moto stands for one, workerd's binding for the other."""
        s3 = self.client("s3")
        for each in s3.list_objects_v2(Bucket=self.shop_bucket).get("Contents", []):
            body = s3.get_object(Bucket=self.shop_bucket, Key=each["Key"])["Body"].read()
            self.worker.write(each["Key"], body)

    def worker_to_r2(self) -> None:
        for key in self.worker.names():
            self.client("s3").put_object(Bucket=self.shop_bucket, Key=key, Body=self.worker.read(key))


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with servers.moto_server() as url:
        told = json.dumps({"batch": {"use_docker": False}}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/config", told), timeout=10)
        yield url


@pytest.fixture(scope="session")
def system(moto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder: Path = tmp_path_factory.mktemp("worker")
    with function_url(dict(KEYS)) as endpoint:
        variables = {
            "BATCHLAB_URL": endpoint.url,
            "BATCH_AWS_ACCESS_KEY": "AKIDLAB",
            "BATCH_AWS_SECRET_KEY": KEYS["AKIDLAB"],
            "BATCH_AWS_REGION": "us-east-1",
            "R2_BUCKET": "shop",
            "BATCHLAB_PAGES_ROOT": "r2://shop/lab",
            "BATCHLAB_OUTPUT": "r2://shop/exports",
            "BATCHLAB_WEBHOOK_SECRET": SECRET,
            "EXPORT_TOKEN": secrets.token_hex(8),
        }
        with example_worker(variables, folder / "workerd.log") as worker:
            environment = _environment(moto, worker.url)
            with containers(LAMBDAS, environment) as started:
                made = System(
                    endpoint=endpoint,
                    worker=worker,
                    lambdas=started,
                    moto=moto,
                    store_bucket="lab",
                    shop_bucket="shop",
                    queue_url=environment["BATCHLAB_INTAKE_QUEUE_URL"],
                    job_queue=environment["BATCHLAB_JOB_QUEUE"],
                    environment=environment,
                )
                endpoint.function = lambda event: made.call("api", event)
                yield made


def _environment(moto: str, worker_url: str) -> dict[str, str]:
    """The account, and what its functions are told."""

    def client(service: str) -> Any:
        access = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=moto, **access)  # type: ignore[call-overload]

    for bucket in ("lab", "shop", "photos"):
        client("s3").create_bucket(Bucket=bucket)
    role = client("iam").create_role(RoleName="lab", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch = client("batch")
    batch.create_compute_environment(
        computeEnvironmentName="lab", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    order = [{"order": 1, "computeEnvironment": "lab"}]
    batch.create_job_queue(jobQueueName="lab", state="ENABLED", priority=1, computeEnvironmentOrder=order)
    container = {"image": "lab", "vcpus": 2, "memory": 3584}
    batch.register_job_definition(
        jobDefinitionName="lab-job-def", type="container", containerProperties=container
    )
    host = worker_url.removeprefix("http://")
    return {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "R2_ENDPOINT": moto,
        "R2_ACCESS_KEY": "test",
        "R2_SECRET_KEY": "test",
        "R2_BUCKET": "shop",
        "BATCHLAB_STORE": "s3://lab/store",
        "BATCHLAB_JOB_TYPES": "zip-export self-test",
        "BATCHLAB_SOURCE_ROOTS": "s3://photos r2://shop/lists",
        "BATCHLAB_OUTPUT_ROOTS": "r2://shop/exports",
        "BATCHLAB_PAGES_ROOT": "r2://shop/lab",
        "BATCHLAB_PUBLIC_BASE_URL": worker_url,
        "BATCHLAB_WEBHOOK_HOSTS": host,
        "BATCHLAB_WEBHOOK_SECRET": SECRET,
        "BATCHLAB_ALLOW_LOCAL": "1",
        "BATCHLAB_JOB_QUEUE": "lab",
        "BATCHLAB_JOB_DEFINITION": "lab-job-def",
        "BATCHLAB_INTAKE_QUEUE_URL": client("sqs").create_queue(QueueName="lab-jobs")["QueueUrl"],
    }
