"""The small parent of every run: it starts the worker process and starts it again after a crash.

It imports nothing heavy, so that it survives what kills its child: a decoder's segmentation fault, the
OOM killer. It tells the next child which run crashed (_BATCHLAB_CRASHED); the engine does the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL)
EXIT_INTERRUPTED = 75
RESTARTS = 200  # every bad item costs two; a job that kills more than that is broken as a whole
UNEXPLAINED_RESTARTS = 3  # a child that somebody kills (kill -9) is started again, but not for ever
# Between this process, its child and the CLI; the underscore keeps them apart from settings.
PARENT, RUN, CRASHED = "_BATCHLAB_PARENT", "_BATCHLAB_RUN", "_BATCHLAB_CRASHED"
CALLER = "_BATCHLAB_CALLER"
JOB_BITS = "_BATCHLAB_JOB_BITS"  # in hex: the id of a document that brings none, one for all children
_PR_SET_PDEATHSIG = 1  # Source: prctl(2)


def supervise(arguments: list[str]) -> int:
    """Runs `python -m batchlab_processor ARGUMENTS` in a child until it ends by itself; returns its exit code."""
    signals = _Signals()
    crashed = ""
    unexplained = 0
    bits = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    os.environ[JOB_BITS] = f"{bits:032x}"
    for _ in range(RESTARTS):
        run = new_run()
        kills_before = oom_kills()
        environment = {**os.environ, PARENT: str(os.getpid()), RUN: run, CRASHED: crashed}
        environment.setdefault(
            "PYTHONUTF8", "1"
        )  # file names are UTF-8 whatever the locale of a cron job says
        # pydantic would read the metadata of all distributions for plugins, a twentieth of the start
        environment.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        child = subprocess.Popen([sys.executable, "-m", "batchlab_processor", *arguments], env=environment)
        code = signals.wait(child)
        if code >= 0:
            return code
        number = -code
        # A child that heeds neither yet, or no longer, dies of them.
        if signals.terminated or number in (signal.SIGINT, signal.SIGTERM):
            return EXIT_INTERRUPTED
        if number in CRASHES or (number == signal.SIGKILL and oom_kills() > kills_before):
            crashed = f"{run}:{signal.Signals(number).name}"
        else:
            unexplained += 1
            crashed = ""
            if number != signal.SIGKILL or unexplained > UNEXPLAINED_RESTARTS:
                return 128 + number
        _say(f"The worker process died ({signal.Signals(number).name}); starting it again.")
    return 1


def is_child() -> bool:
    """Whether this process was started by `supervise`."""
    return PARENT in os.environ


def follow_parent() -> None:
    """Called by the child: it dies with its parent, so that no orphan works on. Linux only; else no change."""
    _follow(os.environ.get(PARENT, ""))


def follow_caller() -> None:
    """The same for the parent, when the program that started it asked for it: `batchlab zip` in a terminal."""
    if not is_child():
        _follow(os.environ.pop(CALLER, ""))


def _follow(pid: str) -> None:
    if not pid or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(pid):
        os._exit(EXIT_INTERRUPTED)


def new_run() -> str:
    """A name for a run that sorts by time."""
    return f"{time.time_ns() // 1_000_000:013d}-{os.urandom(4).hex()}"


def oom_kills(root: Path = Path("/sys/fs/cgroup")) -> int:
    """How often the kernel's OOM killer struck in this container so far; 0 where that cannot be read."""
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            lines = (root / name).read_text().splitlines()
        except OSError:
            continue
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0


class _Signals:
    """SIGTERM goes on to the child, whenever it comes. Ctrl-C reaches the child by the process group already."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self.terminated = False
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGINT, lambda *_: None)  # a function, because a child would inherit SIG_IGN

    def _terminate(self, *_: object) -> None:
        self.terminated = True
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        self._child = child
        if self.terminated:
            child.terminate()
        return child.wait()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more
        print(text, file=sys.stderr, flush=True)  # noqa: T201  the parent has no logging
