"""A deployment by the real CDK CLI in the environment of ./deploy.sh, from an empty account; docker is a stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.acceptance.deploy_machine import ROOT, make_machine

pytestmark = pytest.mark.stack
CDK = Path(__file__).with_name("cdk_on_moto.py")
PYTHON = ROOT / ".venv-deploy" / "bin" / "python"  # scripts/setup deploy
PASSWORD = "postgresql://lab:hunter2@db.example/lab"


@pytest.fixture
def aws() -> Iterator[str]:
    with servers.moto_server() as url:
        yield url


def test_an_empty_account_runs_a_job_and_the_second_deployment_changes_nothing(
    sources: Path, aws: str, tmp_path: Path
) -> None:
    machine = make_machine(tmp_path, sources, aws)

    def deploy(*options: str) -> tuple[str, str]:
        command = [PYTHON, "-m", "batchlab_infra.deploy", "--yes", f"--cdk={sys.executable} {CDK}", *options]
        command += [f"--worker-dir={tmp_path / 'worker'}", "--set=worker_access=sqs"]
        caches = {"HOME": os.environ["HOME"], "DATABASE_URL": PASSWORD, "GEMINI_API_KEY": ""}
        environment = {**os.environ, **machine.environment, **caches}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert PASSWORD not in ended.stdout + ended.stderr
        return ended.stdout, ended.stderr

    out, said = deploy()
    first = everything(machine.client)
    variables = dict(line.split("=", 1) for line in out.splitlines())
    assert variables["BATCH_SQS_QUEUE_URL"].endswith("/batchlab-jobs")
    assert len(variables["BATCH_AWS_SECRET_KEY"]) == 40
    assert "role AWSServiceRoleForEC2Spot: made" in said
    assert "smoke job: succeeded" in said
    assert "abort-uploads --abort-multipart-days 7" in said
    written = (tmp_path / "worker" / "aws-batch-integration.js").read_text()
    assert variables["BATCH_SQS_QUEUE_URL"] in written
    assert variables["BATCH_AWS_SECRET_KEY"] not in written
    [definition] = first["definitions"]
    [image] = first["images"]
    assert definition["image"].endswith(f"/batchlab@{image}")
    assert [secret["name"] for secret in definition["secrets"]] == ["DATABASE_URL"]

    out, said = deploy()
    assert everything(machine.client) == first
    assert said.count("(no changes)") == 2
    assert "BATCH_AWS_SECRET_KEY" not in out

    _, said = deploy("--diff")
    assert "Number of stacks with differences: 0" in said


def test_deploy_sh_says_what_it_can_do() -> None:
    asked = subprocess.run([ROOT / "deploy.sh", "--help"], capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    for option in (
        "--diff",
        "--rollback DIGEST",
        "--destroy",
        "--yes",
        "--region",
        "--name",
        "--rotate-worker-key",
    ):
        assert option in asked.stdout


def everything(client: Any) -> dict[str, Any]:
    """What a deployment makes, to its last revision."""
    cloudformation, secrets = client("cloudformation"), client("secretsmanager")
    resources = {
        stack["StackName"]: [
            [each.get(name) for name in ("LogicalResourceId", "PhysicalResourceId")]
            for each in cloudformation.describe_stack_resources(StackName=stack["StackName"])[
                "StackResources"
            ]
        ]
        for stack in cloudformation.describe_stacks()["Stacks"]
    }
    kept = [secrets.get_secret_value(SecretId=each["ARN"]) for each in secrets.list_secrets()["SecretList"]]
    batch: Any = client("batch")
    jobs = batch.list_jobs(jobQueue="batchlab-job-queue", jobStatus="SUCCEEDED")["jobSummaryList"]
    images = client("ecr").describe_images(repositoryName="batchlab")["imageDetails"]
    return {
        "resources": resources,
        "secrets": {each["Name"]: each["VersionId"] for each in kept},
        "images": [each["imageDigest"] for each in images],
        "definitions": [
            each["containerProperties"] for each in batch.describe_job_definitions()["jobDefinitions"]
        ],
        "jobs": [each["jobId"] for each in jobs],
        "keys": client("iam").list_access_keys(UserName="batchlab-worker")["AccessKeyMetadata"],
    }
