"""Running jobs on this machine: the job is written to the store, and `batchlab-processor` runs it from there.

The processor is a distribution of its own and may be absent; nothing of it is imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from batchlab.errors import Interrupted, ServiceError, UsageError

PROCESSOR = "batchlab-processor"
INSTALL = "pip install batchlab-processor"
CALLER = "_BATCHLAB_CALLER"  # the processor ends when this process does, however that ends
_LEAVE_SECONDS = 10.0  # for a server that only has to notice that its standard input is closed


def processor_command() -> str:
    """The path of `batchlab-processor`: the one beside this Python, else the one on PATH.

    Raises UsageError that names the install command when there is none.
    """
    beside = Path(sys.executable).parent / PROCESSOR
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(PROCESSOR)
    if found is None:
        raise UsageError(
            f"{PROCESSOR} is not installed here, and it is what runs jobs. Install it: {INSTALL}"
        )
    return found


def job_url(store_url: str, job_id: str) -> str:
    """Where the job's document is in the store."""
    return f"{store_url}/jobs/{job_id}/job.json"


def run_job(
    store_url: str,
    job_id: str,
    *,
    as_json: bool = False,
    quiet: bool = False,
    summary: bool = True,
    dry_run: bool = False,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Runs the job to its end and returns the exit code of design section 3; 75 when the run was interrupted.

    The processor's report goes to our stdout, unless `summary` is False, and its progress to stderr. With `dry_run`
    it only plans, and says what it would do.
    """
    arguments = ["run", "--job", job_url(store_url, job_id), "--store", store_url]
    arguments += ["--json"] if as_json else []
    arguments += ["--quiet"] if quiet else []
    arguments += ["--dry-run"] if dry_run else []
    return run_processor(arguments, stdout=None if summary else subprocess.DEVNULL, environment=environment)


def run_processor(
    arguments: Sequence[str], *, stdout: int | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Runs `batchlab-processor ARGUMENTS` and returns its exit code; 75 when it was ended by a signal."""
    with _passing_signals_on() as follow:
        child = subprocess.Popen(
            [processor_command(), *arguments],
            env={**os.environ, **(environment or {}), "_BATCHLAB_CALLER": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
        )
        follow(child)
        code = child.wait()
    return code if code >= 0 else Interrupted.exit_code


def processor_says(arguments: Sequence[str]) -> Any:
    """The JSON that `batchlab-processor ARGUMENTS` prints; raises ServiceError when it fails."""
    done = subprocess.run(
        [processor_command(), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    try:
        if done.returncode == 0:
            return json.loads(done.stdout)
    except ValueError:
        pass
    said = done.stderr.strip().splitlines()
    raise ServiceError(
        f"`{PROCESSOR} {' '.join(arguments)}` failed: {said[-1] if said else 'it said nothing we can read'}"
    )


@contextlib.contextmanager
def processor_serving(arguments: Sequence[str]) -> Iterator[Any]:
    """Inside, `batchlab-processor ARGUMENTS` runs; yields the JSON of its first line. It ends with its stdin.

    Raises ServiceError when it ends before it says anything.
    """
    child = subprocess.Popen(
        [processor_command(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        line = child.stdout.readline()
        if not line.strip():
            raise ServiceError(f"`{PROCESSOR} {' '.join(arguments)}` ended with exit code {child.wait()}.")
        yield json.loads(line)
    finally:
        child.stdin.close()
        try:
            child.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


@contextlib.contextmanager
def _passing_signals_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Inside, SIGTERM and SIGHUP go on to the child that is named, also when they came before it was.

    Ctrl-C reaches it anyway, as one process group.
    """
    children: list[subprocess.Popen[bytes]] = []
    came = False

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        for child in children:
            if child.poll() is None:
                child.terminate()

    def follow(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        if came:
            child.terminate()

    # A function for SIGINT, too: an ignored signal would be inherited.
    reactions = {signal.SIGINT: lambda *_: None, signal.SIGTERM: terminate, signal.SIGHUP: terminate}
    before = {number: signal.signal(number, reaction) for number, reaction in reactions.items()}
    try:
        yield follow
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
