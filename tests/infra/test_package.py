"""batchlab_infra.package: the functions' code."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchlab.errors import ServiceError
from batchlab_infra.package import build
from tests.infra.synth import ROOT

pytestmark = pytest.mark.stack
DOORS = """
import sys
from batchlab.service.lambdas import api, public

def get(door, path):  # as a function URL calls its function
    return door({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "abc.lambda-url.us-east-1.on.aws"},
        "requestContext": {"http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"}},
        "isBase64Encoded": False,
    }, None)["statusCode"]

print(get(api, "/v1/job-types"), get(public, "/healthz"))
"""
LARGEST_MIB = 250  # Source: AWS Lambda quotas, deployment package, unzipped


def digest(directory: Path) -> str:
    """Of every file's name and content."""
    found = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(directory)).encode() + path.read_bytes())
    return found.hexdigest()


def test_the_same_sources_give_the_same_files(tmp_path: Path) -> None:
    first, second = (build(ROOT, tmp_path / name / "functions") for name in ("one", "two"))
    assert digest(first) == digest(second)
    assert not list(first.rglob("direct_url.json"))  # it would name this machine's folder
    assert not list(first.rglob("__pycache__"))
    assert sum(path.stat().st_size for path in first.rglob("*")) < LARGEST_MIB << 20


def test_its_handlers_start_with_what_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    package = build(ROOT, tmp_path / "functions", python=here)
    settings = {
        "BATCHLAB_STORE": "s3://bucket/store",
        "BATCHLAB_JOB_QUEUE": "queue",
        "BATCHLAB_EXPRESS_JOB_QUEUE": "express",
        "BATCHLAB_JOB_DEFINITION": "definition",
        "BATCHLAB_INTAKE_QUEUE_URL": "https://sqs.example.com/1/intake",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", DOORS],
        env=settings | {"PYTHONPATH": str(package), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("200 200\n", "")


def test_what_cannot_be_put_together_is_said_in_uvs_words_and_leaves_the_old_code(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "service.lock").write_text("no-such-distribution-of-batchlab\n")
    old = tmp_path / "functions"
    old.mkdir()
    (old / "handlers.py").write_text("")
    with pytest.raises(ServiceError, match="could not be put together"):
        build(tmp_path, old)
    assert (old / "handlers.py").exists()
