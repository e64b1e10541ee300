"""Somebody's machine with docker, the CDK CLI and an AWS account, all of them stand-ins (deploy_stubs.py)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[2]
STUBS = Path(__file__).with_name("deploy_stubs.py")
SECRETS = {"DATABASE_URL": "postgresql://somewhere", "GEMINI_API_KEY": "g-123"}


@dataclass(frozen=True)
class Machine:
    """Where ./deploy.sh is called."""

    folder: Path
    sources: Path  # a copy, because a changed source is another image
    url: str  # of AWS

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{self.sources / 'infra'}:{self.sources / 'client'}",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "STUBS_FOLDER": str(self.folder),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
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


def make_machine(folder: Path, sources: Path, url: str) -> Machine:
    """A new machine in `folder`, and an AWS account with nothing in it."""
    for name in ("bin", "worker"):
        (folder / name).mkdir()
    for program in ("docker", "cdk"):
        path = folder / "bin" / program
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {STUBS} {program} "$@"\n')
        path.chmod(0o755)
    simulate(url)
    return Machine(folder, sources, url)


def simulate(url: str) -> None:
    """moto at `url` holds nothing, and runs neither jobs nor functions in containers."""
    config = b'{"batch": {"use_docker": false}, "lambda": {"use_docker": false}}'
    for path, body in (("reset", b""), ("config", config)):
        urllib.request.urlopen(f"{url}/moto-api/{path}", data=body).close()


def copy_sources(target: Path) -> Path:
    """All that ./deploy.sh needs of the workspace, where nobody works on it."""
    installed = shutil.ignore_patterns("node_modules")
    for name in ("infra", "client", "processor", "requirements", "scripts"):
        shutil.copytree(ROOT / name, target / name, ignore=installed)
    for name in ("Dockerfile", ".dockerignore", "deploy.sh", "cdk.json", "pyproject.toml", ".npmrc"):
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target / name)
    return target
