"""batchlab_infra.__main__: what the CDK CLI runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.synth import IMAGE, ROOT

pytestmark = pytest.mark.stack
CDK = ROOT / "infra" / "node_modules" / ".bin" / "cdk"


def synthesize(out: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """`python -m batchlab_infra` as cdk runs it."""
    known = json.loads((ROOT / "cdk.json").read_text())["context"]
    environment = {**os.environ, "CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps({**known, **context})}
    command = [sys.executable, "-m", "batchlab_infra"]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_bad_setting_stops_the_synth_with_one_clear_line(tmp_path: Path) -> None:
    done = synthesize(tmp_path / "out", image="batchlab:latest")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("batchlab: ")]
    assert len(lines) == 1
    assert "image: batchlab:latest is not pinned" in lines[0]
    assert "Traceback" not in done.stderr


def test_the_functions_code_comes_with_the_compute_stack(tmp_path: Path) -> None:
    done = synthesize(tmp_path, image=IMAGE)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("asset.*/batchlab/service/lambdas.py")] == ["lambdas.py"]


def test_the_pinned_cli_takes_what_the_app_synthesizes(tmp_path: Path) -> None:
    if not CDK.exists():
        pytest.skip("the CDK CLI is not installed here: scripts/setup deploy")
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(CDK), "synth", "--quiet", "--no-notices", "--output", str(tmp_path), "-c", "name=lab"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lab-foundation.template.json").exists()


def test_the_cli_is_locked_without_the_name_of_a_host() -> None:
    lock = (ROOT / "infra" / "package-lock.json").read_text()
    assert json.loads(lock)["packages"]["node_modules/aws-cdk"]["version"] == "2.1148.1"
    assert "resolved" not in lock
