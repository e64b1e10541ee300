"""A deployment that is killed anywhere is started again and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests import servers

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parents[2]
STUBS = Path(__file__).with_name("deploy_stubs.py")
SECRETS = {"DATABASE_URL": "postgresql://somewhere", "GEMINI_API_KEY": "g-123"}


@dataclass(frozen=True)
class Machine:
    """Somebody's machine with docker, the CDK CLI and an AWS account, all of them stand-ins."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        sources = self.folder / "sources"  # a copy, because a changed source is another image
        return {
            "PYTHONPATH": f"{sources / 'infra'}:{sources / 'client'}",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "STUBS_FOLDER": str(self.folder),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            **SECRETS,
        }

    def start(self, *more: str, kill: str = "", **environment: str) -> subprocess.Popen[str]:
        options = ["--yes", f"--cdk={self.folder / 'bin' / 'cdk'}", f"--out={self.folder / 'cdk.out'}"]
        options += [f"--worker-dir={self.folder / 'worker'}"]
        return subprocess.Popen(
            [sys.executable, "-m", "batchlab_infra.deploy", *options, *more],
            env={**self.environment, **environment, "STUBS_KILL": kill},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *more: str, **options: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        with self.start(*more, **options) as process:
            out, said = process.communicate()
        return process.returncode, out, said

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def client(self, service: str) -> Any:
        access = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=self.url, **access)

    def state(self) -> dict[str, Any]:
        """All that a deployment makes."""
        secrets = self.client("secretsmanager")
        names = sorted(each["Name"] for each in secrets.list_secrets()["SecretList"])
        iam, batch, queue = self.client("iam"), self.client("batch"), "batchlab-job-queue"
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        keys = iam.list_access_keys(UserName="batchlab-worker")["AccessKeyMetadata"]
        filters = [{"name": "JOB_NAME", "values": ["batchlab*"]}]
        return {
            "stacks": sorted((each["StackName"], str(each["CreationTime"])) for each in stacks),
            "images": len(self.client("ecr").describe_images(repositoryName="batchlab")["imageDetails"]),
            "secrets": {name: secrets.get_secret_value(SecretId=name)["VersionId"] for name in names},
            "keys": [each["AccessKeyId"] for each in keys],
            "definitions": len(batch.describe_job_definitions()["jobDefinitions"]),
            "jobs": len(batch.list_jobs(jobQueue=queue, filters=filters)["jobSummaryList"]),
        }


@pytest.fixture(scope="session")
def account() -> Iterator[str]:
    with servers.moto_server() as url:
        yield url


@pytest.fixture
def machine(tmp_path: Path, account: str) -> Machine:
    made = Machine(tmp_path, account)
    (tmp_path / "bin").mkdir()
    (tmp_path / "worker").mkdir()
    for name in ("infra", "client", "processor", "requirements"):
        shutil.copytree(
            ROOT / name, tmp_path / "sources" / name, ignore=shutil.ignore_patterns("node_modules", "*.pyc")
        )
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copyfile(ROOT / name, tmp_path / "sources" / name)
    for program in ("docker", "cdk"):
        path = tmp_path / "bin" / program
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {STUBS} {program} "$@"\n')
        path.chmod(0o755)
    for path, body in (("reset", b""), ("config", b'{"batch": {"use_docker": false}}')):
        urllib.request.urlopen(f"{account}/moto-api/{path}", data=body).close()
    return made


def test_a_whole_deployment_and_a_second_one_that_changes_nothing(machine: Machine) -> None:
    code, out, said = machine.run()
    assert code == 0, said
    first, calls = machine.state(), machine.calls()
    variables = dict(line.split("=", 1) for line in out.splitlines())
    assert variables["BATCH_AWS_REGION"] == "us-east-1"
    assert variables["BATCH_JOB_QUEUE_ARN"].endswith(":job-queue/batchlab-job-queue")
    assert variables["BATCH_AWS_ACCESS_KEY"] == first["keys"][0] and variables["BATCH_AWS_SECRET_KEY"]
    assert "smoke job: succeeded" in said and "batchlab-Spot1A2B" in said
    for value in SECRETS.values():
        assert value not in out + said
    assert [call.split(" --")[0] for call in calls if call.startswith("docker") and "ps" not in call] == [
        call for call in calls if call.startswith(("docker build", "docker login", "docker push"))
    ]
    written = (machine.folder / "worker" / "aws-batch-integration.js").read_text()
    assert "batchlab-job-queue" in written and variables["BATCH_AWS_SECRET_KEY"] not in written

    code, out, said = machine.run()
    assert code == 0, said
    assert machine.state() == first
    again = machine.calls()[len(calls) :]
    assert not [call for call in again if call.startswith(("docker build", "docker push", "cdk bootstrap"))]
    assert said.count("no changes") == 2 and "SECRET" not in out


KILLS = [
    "cdk bootstrap before",
    *(
        f"{call} after"
        for call in (
            "cdk bootstrap",
            "cdk synth",
            "cdk deploy batchlab-foundation",
            "docker build",
            "docker login",
        )
    ),
    "docker push after",
    "cdk deploy batchlab-stack after",
]


@pytest.mark.parametrize("kill", KILLS)
def test_killed_in_a_program_it_runs_it_goes_on_from_there(machine: Machine, kill: str) -> None:
    code, _, said = machine.run(kill=kill)
    assert code == -signal.SIGKILL, said
    code, _, said = machine.run()
    assert code == 0, said
    _is_whole(machine, said)


@pytest.mark.parametrize(
    "line",
    [
        "== secrets",
        "secret batchlab/DATABASE_URL",
        "== image",
        "== worker",
        "worker file",
        "== smoke",
        "smoke job: ",
    ],
)
def test_killed_in_a_step_of_its_own_it_goes_on_from_there(machine: Machine, line: str) -> None:
    process = machine.start()
    assert process.stderr is not None
    with process:
        for text in process.stderr:
            if text.startswith(line):
                process.kill()
                break
        else:
            pytest.fail(f"it never said {line}")
    code, _, said = machine.run("--rotate-worker-key")  # the key may be made and never have been shown
    assert code == 0, said
    _is_whole(machine, said)


def _is_whole(machine: Machine, said: str) -> None:
    """Everything is there once."""
    state = machine.state()
    assert [name for name, _ in state["stacks"]] == ["batchlab-foundation", "batchlab-stack"]
    assert (state["images"], state["definitions"], state["jobs"]) == (1, 1, 1)
    assert sorted(state["secrets"]) == ["batchlab/DATABASE_URL", "batchlab/GEMINI_API_KEY"]
    assert "smoke job: succeeded" in said


def test_a_program_that_fails_is_named_and_the_next_run_goes_on(machine: Machine) -> None:
    (machine.folder / "broken").write_text("docker push")
    code, _, said = machine.run()
    assert code == 7
    assert "it is broken today" in said and "`docker push" in said and "goes on from here" in said
    (machine.folder / "broken").unlink()
    code, _, said = machine.run()
    assert code == 0, said
    _is_whole(machine, said)


def test_rollback_runs_an_earlier_image_and_lists_them_when_there_is_no_such(machine: Machine) -> None:
    assert machine.run()[0] == 0
    [first] = machine.client("ecr").describe_images(repositoryName="batchlab")["imageDetails"]
    assert machine.run("--rebuild")[0] == 0
    assert machine.state()["images"] == 2
    code, _, said = machine.run("--rollback", "sha256:" + "0" * 64)
    assert code == 2 and first["imageDigest"] in said
    code, _, said = machine.run("--rollback", first["imageDigest"])
    assert code == 0, said
    [stack] = machine.client("cloudformation").describe_stacks(StackName="batchlab-stack")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert outputs["Image"].endswith(first["imageDigest"])


def test_destroy_says_what_would_go_and_leaves_nothing(machine: Machine) -> None:
    assert machine.run()[0] == 0
    bucket = "batchlab-123456789012-us-east-1"
    machine.client("s3").put_object(Bucket=bucket, Key="store/jobs/x", Body=b"x" * 5000)
    code, _, said = machine.run("--destroy")
    assert code == 0, said
    assert "1 objects" in said or "1 object" in said
    assert "DATABASE_URL" in said and "1 image" in said
    assert machine.client("cloudformation").describe_stacks()["Stacks"] == []
    assert machine.client("s3").list_buckets()["Buckets"] == []
    assert machine.client("ecr").describe_repositories()["repositories"] == []
    assert machine.run("--destroy")[0] == 5
    code, _, said = machine.run()
    assert code == 0, said  # the name can be used again


def test_diff_changes_nothing(machine: Machine) -> None:
    code, _, said = machine.run("--diff")
    assert code == 0, said
    assert machine.client("cloudformation").describe_stacks()["Stacks"] == []
    assert json.loads((machine.folder / "cdk.out" / "context.json").read_text())["name"] == "batchlab"
    assert [call for call in machine.calls() if call.startswith("cdk diff")]
