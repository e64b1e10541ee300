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
    code = "from batchlab.service.lambdas import api, public; print(api({}, None)['statusCode'])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(package), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("501\n", "")


def test_what_cannot_be_put_together_is_said_in_uvs_words_and_leaves_the_old_code(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "service.lock").write_text("no-such-distribution-of-batchlab\n")
    old = tmp_path / "functions"
    old.mkdir()
    (old / "handlers.py").write_text("")
    with pytest.raises(ServiceError, match="could not be put together"):
        build(tmp_path, old)
    assert (old / "handlers.py").exists()
