"""AWS Batch, SQS and S3 on moto, on a real socket."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import servers

DEFINITION = "lab-job-def"


@dataclass(frozen=True)
class Simulated:
    """Clients of the simulated account; `batch` does not retry, as the dispatcher's."""

    batch: Any
    sqs: Any
    s3: Any
    logs: Any
    secretsmanager: Any
    queue: str  # of this test alone
    express: str
    hooks: list[tuple[str, Callable[..., Any]]] = field(default_factory=list)

    def jobs(self, queue: str = "") -> list[dict[str, Any]]:
        """What AWS Batch has in the queue, described."""
        listed = self.batch.list_jobs(
            jobQueue=queue or self.queue, filters=[{"name": "JOB_NAME", "values": ["*"]}]
        )
        ids = [job["jobId"] for job in listed["jobSummaryList"]]
        return list(self.batch.describe_jobs(jobs=ids)["jobs"]) if ids else []

    def hook(self, event: str, handler: Callable[..., Any]) -> None:
        """`handler` is called at this point of every request of `batch`, until the test ends."""
        self.batch.meta.events.register(event, handler)
        self.hooks.append((event, handler))

    def unhook(self) -> None:
        while self.hooks:
            self.batch.meta.events.unregister(*self.hooks.pop())


@pytest.fixture(scope="session")
def moto_clients(moto_s3: servers.S3Server) -> Iterator[dict[str, Any]]:
    """Clients of an account with a compute environment and a job definition, made once: they take 0.1 s each."""
    pytest.importorskip(
        "docker", reason="moto's Batch wants the docker package, which the client alone has not"
    )
    from batchlab import aws

    told = json.dumps({"batch": {"use_docker": False}}).encode()
    urllib.request.urlopen(
        urllib.request.Request(f"{moto_s3.endpoint_url}/moto-api/config", told), timeout=10
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", moto_s3.endpoint_url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        clients = {
            name: aws.service_client(name, "us-east-1")
            for name in ("sqs", "s3", "iam", "logs", "secretsmanager")
        }
        clients["batch"] = aws.service_client("batch", "us-east-1", attempts=1)
    role = clients["iam"].create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    clients["batch"].create_compute_environment(
        computeEnvironmentName="lab", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    container = {"image": "busybox", "vcpus": 2, "memory": 3584, "command": ["run", "--job", "Ref::job"]}
    clients["batch"].register_job_definition(
        jobDefinitionName=DEFINITION,
        type="container",
        parameters={"job": "{}"},
        containerProperties=container,
    )
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def account(moto_clients: dict[str, Any]) -> Iterator[Simulated]:
    """The account with two queues of this test's own."""
    test = secrets.token_hex(4)
    queues = f"{test}-job-queue", f"{test}-express-job-queue"
    for queue in queues:
        moto_clients["batch"].create_job_queue(
            jobQueueName=queue,
            state="ENABLED",
            priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "lab"}],
        )
    clients = (moto_clients[name] for name in ("batch", "sqs", "s3", "logs", "secretsmanager"))
    made = Simulated(*clients, *queues)
    yield made
    made.unhook()
