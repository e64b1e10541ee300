"""tests.worker.workerd: nothing of it outlives the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.worker
ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from tests.worker.workerd import example_worker
with example_worker({"R2_BUCKET": "shop", "EXPORT_TOKEN": "x"}, Path(sys.argv[1])) as worker:
    print(worker.url, flush=True)
    sys.stdin.read()
"""


def test_node_and_workerd_end_when_the_tests_are_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline().startswith(b"http://127.0.0.1:")
        started = psutil.Process(tests.pid).children(recursive=True)
        assert {"node", "workerd"} <= {process.name() for process in started}
        tests.kill()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive
