from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batchlab import local
from batchlab.errors import ServiceError, UsageError


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory beside this Python, as far as batchlab sees, with nothing in it yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def put_processor(folder: Path, script: str) -> Path:
    path = folder / "batchlab-processor"
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_processor_beside_this_python_comes_before_the_one_on_path(
    install: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    other = put_processor(tmp_path / "other", "true")
    monkeypatch.setenv("PATH", f"{other.parent}:{os.environ['PATH']}")
    assert local.processor_command() == str(other)
    beside = put_processor(install, "true")
    assert local.processor_command() == str(beside)


def test_without_a_processor_the_install_command_is_named(
    install: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(install))
    with pytest.raises(UsageError, match="pip install batchlab-processor"):
        local.processor_command()


def test_the_exit_code_is_the_processors(install: Path) -> None:
    put_processor(install, "exit 3")
    assert local.run_job("file:///s", "01ab") == 3


def test_a_processor_that_somebody_kills_was_interrupted(install: Path) -> None:
    put_processor(install, "kill -9 $$")
    assert local.run_job("file:///s", "01ab") == 75


def test_the_processor_is_told_the_job_the_store_and_its_caller(
    install: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put_processor(install, 'echo "$@" "$_BATCHLAB_CALLER" "$EXTRA"')
    local.run_job("s3://bucket/jobs", "01ab", as_json=True, quiet=True, environment={"EXTRA": "more"})
    assert capfd.readouterr().out == (
        "run --job s3://bucket/jobs/jobs/01ab/job.json --store s3://bucket/jobs --json --quiet "
        f"{os.getpid()} more\n"
    )


def test_without_a_summary_stdout_stays_empty(install: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put_processor(install, "echo report; echo progress >&2")
    local.run_job("file:///s", "01ab", summary=False)
    assert capfd.readouterr() == ("", "progress\n")


RUNNER = """
import sys
sys.executable = sys.argv[1]
from batchlab import local
sys.exit(local.run_job("file:///s", "01ab"))
"""


@pytest.mark.parametrize(
    ("number", "to_group"), [(signal.SIGTERM, False), (signal.SIGHUP, False), (signal.SIGINT, True)]
)
def test_a_signal_reaches_the_processor_and_its_exit_code_comes_back(
    install: Path, tmp_path: Path, number: signal.Signals, to_group: bool
) -> None:
    ready = tmp_path / "ready"
    put_processor(
        install, f"trap 'exit 75' TERM INT; touch {ready}; for i in $(seq 200); do sleep 0.05; done; exit 9"
    )
    runner = subprocess.Popen(
        [sys.orig_argv[0], "-c", RUNNER, sys.executable],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(local.__file__).parents[1])},
    )
    try:
        until = time.monotonic() + 30
        while not ready.exists() and time.monotonic() < until:
            time.sleep(0.02)
        (os.killpg if to_group else os.kill)(runner.pid, number)
        assert runner.wait(30) == 75
    finally:
        if runner.poll() is None:
            os.killpg(runner.pid, signal.SIGKILL)
            runner.wait()


def test_a_signal_that_comes_while_the_processor_is_started_reaches_it(
    install: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_processor(install, "exec sleep 20")
    start = subprocess.Popen

    def interrupted(*arguments: Any, **options: Any) -> Any:
        child = start(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)  # before anybody knows the child
        return child

    monkeypatch.setattr(local.subprocess, "Popen", interrupted)
    assert local.run_job("file:///s", "01ab") == 75


def test_our_own_reactions_to_signals_are_back_afterwards(install: Path) -> None:
    put_processor(install, "true")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    local.run_job("file:///s", "01ab")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_what_the_processor_says_is_read_as_json(install: Path) -> None:
    put_processor(install, """echo '[{"name": "zip-export"}]'""")
    assert local.processor_says(["types", "--json"]) == [{"name": "zip-export"}]


@pytest.mark.parametrize("script", ["echo broken >&2; exit 1", "echo no json", "true"])
def test_a_processor_that_fails_to_say_it_is_told_in_a_line(install: Path, script: str) -> None:
    put_processor(install, script)
    with pytest.raises(ServiceError, match="`batchlab-processor types` failed"):
        local.processor_says(["types"])


def test_a_server_runs_until_we_leave_and_ends_with_its_stdin(install: Path, tmp_path: Path) -> None:
    put_processor(install, f"""echo '{{"url": "here"}}'; cat >/dev/null; touch {tmp_path}/left""")
    with local.processor_serving(["demo"]) as served:
        assert served == {"url": "here"}
        assert not (tmp_path / "left").exists()
    assert (tmp_path / "left").exists()


def test_a_server_that_does_not_leave_is_ended(install: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LEAVE_SECONDS", 0.1)
    put_processor(install, "echo $$; exec sleep 60")
    with local.processor_serving(["demo"]) as pid:
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_cannot_begin_is_told_in_a_line(install: Path) -> None:
    put_processor(install, "exit 2")
    with (
        pytest.raises(ServiceError, match="ended with exit code 2"),
        local.processor_serving(["demo"]),
    ):
        pass
