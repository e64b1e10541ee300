"""batchlab_infra.deploy.worker: the Worker's file, run by Node against moto's SQS and Batch, and its key."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from batchlab.document import load_document
from batchlab_infra.deploy import worker
from tests import servers
from tests.acceptance.deploy_machine import ROOT, simulate
from tests.worker.function_url import function_url

pytestmark = pytest.mark.stack
PHOTOS = [
    "https://photos.example.com/1.jpg",
    {
        "url": "https://photos.example.com/2.jpg",
        "name": "dance/2.jpg",
        "id": 2,
        "takenAt": "2026-06-06T14:30",
    },
]
CALL = """
import { AWSBatchIntegration } from './aws-batch-integration.js';
const [env, photos, options] = JSON.parse(process.argv[2]);
const b = new AWSBatchIntegration(env);
try {
  console.log(JSON.stringify(await b.submitPhotoProcessingJob('Ana & Ben', photos, options)));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with servers.moto_server() as url:
        simulate(url)
        yield url


def client(service: str, url: str) -> Any:
    access = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=url, **access)  # type: ignore[call-overload]


def submit(
    folder: Path, access: str, env: dict[str, str], photos: list[Any], **options: Any
) -> dict[str, Any]:
    """What the Worker's call resolves to, or {"error": ...}."""
    deployed = {"BATCH_AWS_REGION": "us-east-1", **env}
    worker.write_file(folder, access, deployed, "s3://lab/exports")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "call.js").write_text(CALL)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(ROOT / "infra" / "node_modules")
    keys = {"BATCH_AWS_ACCESS_KEY": "a", "BATCH_AWS_SECRET_KEY": "b"}
    node = shutil.which("node", path=str(Path(sys.executable).parent))
    assert node is not None
    given = json.dumps([keys, photos, options])
    ended = subprocess.run([node, "call.js", given], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_photos_go_to_the_queue_as_a_document_whose_key_is_that_of_the_photos(
    aws: str, tmp_path: Path
) -> None:
    sqs = client("sqs", aws)
    url = sqs.create_queue(QueueName="lab-jobs")["QueueUrl"]
    answers = [submit(tmp_path, "sqs", {"BATCH_SQS_QUEUE_URL": url}, PHOTOS) for _ in range(2)]
    answers.append(submit(tmp_path, "sqs", {"BATCH_SQS_QUEUE_URL": url}, PHOTOS[:1], expires="7d"))
    messages = {
        message["MessageId"]: json.loads(message["Body"])
        for _ in answers
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    }
    assert [answer["mode"] for answer in answers] == ["sqs"] * 3
    first, again, other = (messages[answer["id"]] for answer in answers)
    assert first == again
    assert first["idempotency_key"] != other["idempotency_key"]
    document = load_document(first, name="message")
    assert (document.type, document.title, document.output) == ("zip-export", "Ana & Ben", "s3://lab/exports")
    assert [item.url for item in document.typed_params.items] == [
        "https://photos.example.com/1.jpg",
        "https://photos.example.com/2.jpg",
    ]
    assert document.typed_params.name == "Ana-Ben.zip"
    assert load_document(other, name="message").expires is not None


def test_photos_go_to_aws_batch_as_its_parameter(aws: str, tmp_path: Path) -> None:
    batch, iam = client("batch", aws), client("iam", aws)
    role = iam.create_role(RoleName="lab", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch.create_compute_environment(
        computeEnvironmentName="lab", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    order = [{"order": 1, "computeEnvironment": "lab"}]
    queue = batch.create_job_queue(
        jobQueueName="lab", state="ENABLED", priority=1, computeEnvironmentOrder=order
    )
    definition = batch.register_job_definition(
        jobDefinitionName="lab",
        type="container",
        containerProperties={"image": "lab", "vcpus": 2, "memory": 3584},
    )
    env = {
        "BATCH_ENDPOINT": aws,
        "BATCH_JOB_QUEUE_ARN": queue["jobQueueArn"],
        "BATCH_JOB_DEFINITION_ARN": definition["jobDefinitionArn"],
    }
    answer = submit(tmp_path, "batch", env, PHOTOS)
    [job] = batch.describe_jobs(jobs=[answer["id"]])["jobs"]
    assert job["jobName"] == "Ana-Ben"
    assert load_document(json.loads(job["parameters"]["job"]), name="job").type == "zip-export"
    many = [f"https://photos.example.com/{number}.jpg" for number in range(1000)]
    said = submit(tmp_path, "batch", env, many)["error"]
    assert "too many for SubmitJob (worker_access sqs takes more)" in said


def test_photos_go_to_the_endpoint_signed(tmp_path: Path) -> None:
    with function_url({"a": "b"}) as url:
        url.function = lambda event: {"statusCode": 202, "body": '{"id": "job"}', "headers": {}}
        answer = submit(tmp_path, "url", {"BATCHLAB_URL": url.url}, PHOTOS, idempotencyKey="order-17")
    assert answer == {"mode": "url", "id": "job", "job": {"id": "job"}}
    [event] = url.events
    assert (event["rawPath"], event["headers"]["idempotency-key"]) == ("/v1/jobs", "order-17")
    assert load_document(event["body"], name="body").output == "s3://lab/exports"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    said = submit(tmp_path, "sqs", {}, PHOTOS)["error"]
    assert said == "BATCH_SQS_QUEUE_URL is not set in the Worker; ./deploy.sh prints it."
    assert "has no photos" in submit(tmp_path, "sqs", {}, [])["error"]
    assert "--set worker_access=url" in submit(tmp_path, "none", {}, PHOTOS)["error"]
