"""`aws batch submit-job` on the stacks as they are deployed: AWS is moto's, the container is the real one."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from batchlab.ids import id_from_batch_job
from tests.containers.conftest import Built
from tests.containers.podman import ROOT
from tests.infra.account import KEYS, Account
from tests.servers import S3Server, moto_server
from tests.sources import hostile_source, photo

pytestmark = pytest.mark.containers
BUCKET = "batchlab-123456789012-us-east-1"  # the stack's: <name>-<account>-<region>


@dataclass(frozen=True)
class Lab:
    """An account with both stacks in it, whose jobs run the image under test."""

    account: Account
    environment: dict[str, str]  # what says that S3 is SeaweedFS, and that photos may come from this machine

    def run(self, parameters: dict[str, str] | None = None) -> dict[str, Any]:
        """Submits a job as the README does; how AWS Batch describes it at its end."""
        told = [{"name": name, "value": value} for name, value in self.environment.items()]
        asked = {
            "jobName": "test-wedding-photos",
            "jobQueue": "batchlab-job-queue",
            "jobDefinition": "batchlab-job-def",
            "parameters": parameters or {},
            "containerOverrides": {"environment": told},
        }
        batch = self.account.client("batch")
        job_id = self._by_command(asked) if shutil.which("aws") else batch.submit_job(**asked)["jobId"]
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
            if job["status"] in ("SUCCEEDED", "FAILED"):
                return dict(job)
            time.sleep(0.5)
        raise AssertionError(f"job {job_id} has not ended in 3 minutes")

    def _by_command(self, asked: dict[str, Any]) -> str:
        """The same by the AWS CLI, which is not on every machine."""
        keys = {name.upper(): value for name, value in KEYS.items()}
        environment = {**os.environ, **keys, "AWS_DEFAULT_REGION": KEYS["region_name"]}
        command = ["aws", "--endpoint-url", self.account.endpoint_url, "batch", "submit-job"]
        command += ["--job-name", asked["jobName"], "--job-queue", asked["jobQueue"]]
        command += ["--job-definition", asked["jobDefinition"]]
        command += ["--container-overrides", json.dumps(asked["containerOverrides"])]
        match asked["parameters"]:
            case {"job": str(url)} if "://" in url and not url.startswith("{"):
                command += ["--parameters", f"job={url}"]
            case {"job": _} as parameters:
                command += ["--parameters", json.dumps(parameters)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["jobId"])

    def log(self, job: dict[str, Any]) -> str:
        logs = self.account.client("logs")
        stream = job["container"]["logStreamName"]
        events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)["events"]
        return "\n".join(each["message"] for each in events)


@pytest.fixture(scope="module")
def lab(built: Built, seaweedfs: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    settings = {"image": built.image, "http_hosts": "127.0.0.1:*", "job_types": "zip-export"}
    command = [sys.executable, "-m", "tests.infra.synth", str(folder), json.dumps(settings)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-4000:]
    scratch = folder / "scratch"
    scratch.mkdir()
    scratch.chmod(0o1777)
    environment = {**seaweedfs.environment(), "BATCHLAB_ALLOW_LOCAL": "1"}
    with (
        built.podman.service() as docker,
        moto_server({"DOCKER_HOST": docker, "MOTO_DOCKER_NETWORK_MODE": "host"}) as url,
        seaweedfs.bucket(BUCKET),
    ):
        account = Account(url)
        account.deploy(folder / "asked", str(scratch))
        yield Lab(account, environment)
        account.close()


def test_a_document_in_a_bucket_exports_photos_from_http_to_the_stacks_bucket(
    lab: Lab, seaweedfs: S3Server
) -> None:
    s3 = seaweedfs.client()
    with hostile_source() as source:
        names = [f"{number:02d}.jpg" for number in range(20)]
        items = [{"id": name, "url": source.url(f"/photo/{name}?size=50000"), "name": name} for name in names]
        items.append({"id": "gone.jpg", "url": source.url("/status/404/gone.jpg"), "name": "gone.jpg"})
        params = {"name": "album.zip", "items": items}
        document = {"type": "zip-export", "params": params, "output": f"s3://{BUCKET}/exports"}
        s3.put_object(Bucket=BUCKET, Key="submitted/job.json", Body=json.dumps(document).encode())
        job = lab.run({"job": f"s3://{BUCKET}/submitted/job.json"})
    assert job["status"] == "SUCCEEDED", lab.log(
        job
    )  # a photo is missing, but Batch is not to start it all again
    job_id = id_from_batch_job(job["jobId"])
    report = json.load(s3.get_object(Bucket=BUCKET, Key=f"store/jobs/{job_id}/g1/report.json")["Body"])
    assert report["state"] == "partial"
    assert [failure["key"] for failure in report["failures"]] == ["gone.jpg"]
    assert report["environment"]["batch"]["job_id"] == job["jobId"]
    body = s3.get_object(Bucket=BUCKET, Key=f"exports/{job_id}/g1/album.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist() if name != "_missing.csv"}
    assert found == {name: photo(name, 50_000) for name in names}


def test_no_parameters_run_the_self_test(lab: Lab) -> None:
    job = lab.run()
    assert job["status"] == "SUCCEEDED", lab.log(job)
    assert "store-compare-and-set" in lab.log(job)


def test_a_document_that_may_not_run_fails_and_its_log_names_the_setting(lab: Lab) -> None:
    params = {"name": "a.zip", "items": [{"url": "https://photos.example/1.jpg"}]}
    document = {"type": "zip-export", "params": params, "output": "s3://elsewhere/exports"}
    job = lab.run({"job": json.dumps(document)})
    assert job["status"] == "FAILED"
    assert "BATCHLAB_OUTPUT_ROOTS" in lab.log(job)
