"""batchlab.leaving: a Ctrl-C in the last tenths of a second changes nothing any more."""

from __future__ import annotations

import subprocess
import sys

import pytest

# An object that is taken down with its module: then nothing of Python's own handles signals.
LATE = """
import os, signal, sys
{before}
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):
        kill(pid, number)
sys.modules["last"] = Last()
sys.exit(75)
"""


@pytest.mark.parametrize(
    ("before", "code"),
    [("from batchlab.leaving import keep_exit_code; keep_exit_code()", 75), ("", -2)],
)
def test_ctrl_c_while_python_takes_itself_down_keeps_the_exit_code(before: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", LATE.format(before=before)], check=False, timeout=60)
    assert done.returncode == code
