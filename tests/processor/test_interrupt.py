"""SIGTERM and Ctrl-C reach the run once; a second one, or the end of the grace, ends the process with 75."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from batchlab_processor.interrupt import SAME_WISH_SECONDS

SCRIPT = """
import sys, threading
from batchlab_processor.interrupt import on_signal
done = threading.Event()
held = threading.Lock()
def react(name):
    with held: pass
    print(name, flush=True); {then}
with on_signal(react, grace_seconds={grace}):
    print("ready", flush=True)
    for _ in range(3000):
        with held: done.wait(0.01)
        if done.is_set(): break
sys.exit(7)
"""


def start(then: str, grace: float = 20) -> subprocess.Popen[str]:
    code = SCRIPT.format(then=then, grace=grace)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_first_signal_is_told_by_name_and_the_run_ends_in_its_own_way() -> None:
    for number, name in [(signal.SIGTERM, "SIGTERM\n"), (signal.SIGINT, "SIGINT\n")]:
        with start("done.set()") as process:
            process.send_signal(number)
            assert process.communicate(timeout=30)[0] == name
        assert process.returncode == 7


def test_a_second_signal_ends_the_process_but_not_the_same_wish_told_twice() -> None:
    with start("pass") as process:
        assert process.stdout is not None
        process.terminate()
        assert process.stdout.readline() == "SIGTERM\n"
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2 * SAME_WISH_SECONDS)
        process.terminate()
        assert process.wait(timeout=30) == 75


def test_the_end_of_the_grace_ends_the_process() -> None:
    with start("pass", grace=0.2) as process:
        begin = time.monotonic()
        process.terminate()
        assert process.wait(timeout=30) == 75
        assert time.monotonic() - begin < 20
