"""The parent restarts a child that crashed, tells it so, and passes everything else through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchlab_processor import supervisor


@pytest.fixture
def child(tmp_path: Path) -> Path:
    """A stand-in for the worker: a package batchlab_processor whose __main__ is the given script."""
    package = tmp_path / "batchlab_processor"
    package.mkdir()
    (package / "__init__.py").write_text("")
    return package / "__main__.py"


def parent(child: Path) -> subprocess.Popen[str]:
    source = Path(supervisor.__file__)
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('supervisor', {str(source)!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "sys.exit(module.supervise(['run']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(child.parent.parent)}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_exit_code_is_passed_through(child: Path) -> None:
    child.write_text("import sys; sys.exit(3)")
    with parent(child) as process:
        process.communicate(timeout=30)
        assert process.returncode == 3


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL"])
def test_after_a_crash_the_next_child_knows_the_run_and_the_signal(child: Path, name: str) -> None:
    child.write_text(
        "import os, signal\n"
        "crashed = os.environ['_BATCHLAB_CRASHED']\n"
        "print(os.environ['_BATCHLAB_RUN'], crashed, flush=True)\n"
        f"if not crashed: os.kill(os.getpid(), signal.{name})\n"
    )
    with parent(child) as process:
        said, _ = process.communicate(timeout=30)
        first, second = said.splitlines()
        assert process.returncode == 0
        assert second.split()[1] == f"{first.split()[0]}:{name}"


def test_a_child_that_somebody_kills_is_started_again_without_a_suspicion_but_not_for_ever(
    child: Path,
) -> None:
    child.write_text(
        "import os, signal\n"
        "print(repr(os.environ['_BATCHLAB_CRASHED']), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with parent(child) as process:
        said, _ = process.communicate(timeout=30)
        assert said.splitlines() == ["''"] * (1 + supervisor.UNEXPLAINED_RESTARTS)
        assert process.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_child_that_dies_of_a_wish_to_stop_was_interrupted(child: Path, name: str) -> None:
    child.write_text(
        f"import os, signal; signal.signal(signal.{name}, signal.SIG_DFL); os.kill(os.getpid(), signal.{name})"
    )
    with parent(child) as process:
        process.communicate(timeout=30)
        assert process.returncode == 75


def test_sigterm_reaches_the_child_whose_exit_code_comes_back(child: Path) -> None:
    child.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )
    with parent(child) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 75


def test_the_child_dies_with_its_parent(child: Path) -> None:
    source = Path(supervisor.__file__)
    child.write_text(
        "import importlib.util, os, time\n"
        f"spec = importlib.util.spec_from_file_location('supervisor', {str(source)!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "module.follow_parent()\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(30)\n"
    )
    with parent(child) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        process.wait()
        for _ in range(200):
            if not _runs(pid):
                break
            time.sleep(0.05)
        assert not _runs(pid)


def test_oom_kills_are_read_from_both_kinds_of_cgroup(tmp_path: Path) -> None:
    assert supervisor.oom_kills(tmp_path) == 0
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.oom_control").write_text("under_oom 0\noom_kill 2\n")
    assert supervisor.oom_kills(tmp_path) == 2
    (tmp_path / "memory.events").write_text("low 0\noom 5\noom_kill 3\noom_group_kill 0\n")
    assert supervisor.oom_kills(tmp_path) == 3


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_before_the_run_heeds_it_is_an_interruption_and_no_traceback() -> None:
    program = (
        "import sys; from batchlab_processor import __main__ as entry\n"
        "def interrupted(options): raise KeyboardInterrupt\n"
        "entry._COMMANDS['types'] = interrupted\n"
        "sys.exit(entry.main(['types']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (75, "")
