from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchlab.client import Client
from batchlab.job import Job
from tests import servers
from tests.client.batch_account import queue_and_definition
from tests.client.client_conformance import ClientConformance, Place, opened
from tests.sources import Source, hostile_source

WHY = "jobs are run by batchlab-processor, which an environment with only the client has not"


@pytest.fixture(scope="class")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patched:
        yield patched


@pytest.fixture(scope="class")
def source() -> Iterator[Source]:
    pytest.importorskip("batchlab_processor", reason=WHY)
    with hostile_source() as server:
        yield server


@pytest.fixture(scope="class")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


def allowed(source: Source, output: str) -> dict[str, str]:
    return {
        "BATCHLAB_JOB_TYPES": "zip-export,self-test",
        "BATCHLAB_HTTP_HOSTS": f"127.0.0.1:{source.port}",
        "BATCHLAB_OUTPUT_ROOTS": output,
        "BATCHLAB_ALLOW_LOCAL": "1",
    }


def set_all(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        patch.setenv(name, value)


class TestOnThisMachine(ClientConformance):
    """file:///directory: a process that is left behind runs the jobs."""

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, source: Source, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Place]:
        output = (folder / "out").as_uri()
        told = {**allowed(source, output), "BATCHLAB_PUBLIC_BASE_URL": "http://127.0.0.1:9"}
        set_all(patch, told)
        with Client((folder / "store").as_uri()) as client:
            yield Place(client, source, output, environment=told)
        with (folder / "store" / ".attendant").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # its process leaves when nothing is left to run


class TestBehindAnEndpoint(ClientConformance):
    """https://host, here http on this machine: `batchlab serve`."""

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, source: Source, folder: Path) -> Iterator[Place]:
        pytest.importorskip("psutil", reason="the tests of serve look at its processes")
        from tests.served import served

        output = (folder / "out").as_uri()
        with served(folder / "served", **allowed(source, output)) as server, Client(server.url) as client:
            yield Place(client, source, output, opens=opened)


@pytest.mark.slow
class TestInBatch(ClientConformance):
    """batch://queue/definition: moto runs nothing, so the test runs the processor in the container's place."""

    @pytest.fixture(scope="class")
    @classmethod
    def place(
        cls,
        source: Source,
        moto_s3: servers.S3Server,
        patch: pytest.MonkeyPatch,
    ) -> Iterator[Place]:
        pytest.importorskip("docker", reason="moto's Batch wants the docker package")
        told = {
            **moto_s3.environment(),
            "AWS_ENDPOINT_URL": moto_s3.endpoint_url,
            "BATCHLAB_PUBLIC_BASE_URL": "https://photos.example.com",
            "BATCHLAB_ALLOW_LOCAL": "1",
        }
        set_all(patch, told)
        queue, definition = queue_and_definition(moto_s3.endpoint_url)
        with moto_s3.bucket() as bucket:
            store, output = f"s3://{bucket}/store", f"s3://{bucket}/exports"

            def work(job: Job) -> None:
                run = [str(Path(sys.executable).with_name("batchlab-processor")), "run", "--quiet"]
                run += ["--job", f"{store}/jobs/{job.id}/job.json", "--store", store]
                environment = {**os.environ, **allowed(source, output)}
                subprocess.run(run, env=environment, check=False, timeout=120)

            with Client(f"batch://{queue}/{definition}?store={store}") as client:
                yield Place(client, source, output, work=work, writes_logs=False, environment=told)
