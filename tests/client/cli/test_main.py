from __future__ import annotations

import os
import subprocess
import sys

import pytest

from batchlab.cli import main
from batchlab.errors import Denied, ServiceError
from tests.client.cli.conftest import Command

COMMANDS = [
    *("demo", "zip", "run", "retry", "status", "items", "list", "link", "cancel"),
    *("submit", "estimate", "watch", "logs", "serve", "explain", "doctor", "scale", "types", "db", "webhook"),
]


def test_no_command_shows_the_help_with_every_command(batchlab: Command) -> None:
    ran = batchlab()
    assert ran.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_begins_with_one_whole_sentence_and_has_an_example(
    batchlab: Command, command: str
) -> None:
    ran = batchlab(command, "--help")
    assert ran.code == 0
    assert ran.out.splitlines()[2].endswith(".")
    assert f"    batchlab {command}" in ran.out or f"| batchlab {command}" in ran.out
    assert "--json" in ran.out or command in ("demo", "serve", "db", "webhook")
    assert max(len(line) for line in ran.out.splitlines()) <= 100
    assert "..." not in "".join(
        line for line in batchlab().out.splitlines() if line.startswith(f"  {command} ")
    )


def test_the_version_is_that_of_the_distribution(batchlab: Command) -> None:
    assert batchlab("--version").out.startswith("batchlab 0.")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["zpi"], "Did you mean 'zip'? See: batchlab --help"),
        (["zip", "x"], "Missing option '--to'. See: batchlab zip --help"),
        (["zip", "x", "--to", "a.zip", "--worker", "1"], "--workers"),
        (["zip", "x", "--to", "a.zip", "--workers", "many"], "--workers"),
        (["status"], "Missing argument 'ID'. See: batchlab status --help"),
    ],
)
def test_a_command_line_that_is_not_understood_ends_with_2_and_one_line(
    batchlab: Command, arguments: list[str], says: str
) -> None:
    ran = batchlab(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert says in ran.err
    assert ran.err.startswith("batchlab: ")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Denied("access was refused"), 6),
        (ServiceError("no answer"), 7),
        (RuntimeError("surprise at https://user:pw@example.com/?token=geheim"), 1),
        (KeyboardInterrupt(), 75),
        (PermissionError(13, "Permission denied", "/root/jobs"), 1),
    ],
)
def test_whatever_happens_is_one_line_without_secrets(
    batchlab: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("batchlab.cli.choosing.choose_job", fail)
    ran = batchlab("status", "latest")
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1
    assert "geheim" not in ran.err


def test_the_traceback_is_shown_when_debugging(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHLAB_LOG_LEVEL", "DEBUG")
    assert main(["status", "latest"]) == 5
    assert "Traceback" in capfd.readouterr().err


def test_bad_settings_are_told_by_name(batchlab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHLAB_STORE", "ftp://x")
    ran = batchlab("list")
    assert ran.code == 2
    assert ran.err.startswith("batchlab: BATCHLAB_STORE: ")


def test_a_misspelt_setting_is_said(batchlab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHLAB_STOR", "s3://bucket/jobs")
    ran = batchlab("list")
    assert ran.code == 0
    assert "Did you mean BATCHLAB_STORE?" in ran.err


def in_new_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_the_help_imports_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys; from batchlab.cli import main; main(['--help'])\n"
        "heavy = {'boto3', 'botocore', 'httpx', 'pydantic', 'yaml', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    done = in_new_process(code)
    assert done.returncode == 0, done.stderr


def test_without_typer_the_install_command_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom batchlab.cli import main; sys.exit(main(['list']))"
    done = in_new_process(code)
    assert done.returncode == 2
    assert "pip install 'batchlab[cli]'" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = (
        f'{sys.executable} -c \'from batchlab.cli import main; main(["types", "--schema"])\' | head -n 1'
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert "Error" not in done.stderr
    assert done.stdout == "{\n"


def test_shells_can_complete_the_commands() -> None:
    done = in_new_process(
        "import sys; from batchlab.cli import main; sys.argv[0] = 'batchlab'; sys.exit(main([]))",
        _BATCHLAB_COMPLETE="complete_bash",
        COMP_WORDS="batchlab z",
        COMP_CWORD="1",
    )
    assert done.stdout.split() == ["zip"]
