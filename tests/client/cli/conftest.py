"""The command line in this process, with a directory of its own and a processor that does what a test wants."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchlab.cli import main

STUB = '''#!{python}
"""Stands in for batchlab-processor: ends the job as the file `plan` beside it says."""
import json, os, sys
from datetime import UTC, datetime
from pathlib import Path

here = Path(__file__).parent
plan = json.loads((here / "plan").read_text()) if (here / "plan").exists() else {{}}
said = {{"arguments": sys.argv[1:], "config": os.environ.get("BATCHLAB_CONFIG", "")}}
if said["config"]:
    said["entries"] = json.loads(Path(said["config"]).read_text())
(here / "called").write_text(json.dumps(said))
if sys.argv[1] == "types":
    print(json.dumps([{{"name": "zip-export", "summary": "Photos into one ZIP."}}]))
    sys.exit(0)
if "exit" in plan:
    print(plan.get("says", ""), file=sys.stderr)
    sys.exit(plan["exit"])

from batchlab.outcome import Done, Failed, Skipped
from batchlab.records import JobRecords
from batchlab.report import Artifact, Figures, build_report, render
from batchlab.status import exit_code
from batchlab.stores import open_store

url, store_url = sys.argv[sys.argv.index("--job") + 1], sys.argv[sys.argv.index("--store") + 1]
records = JobRecords(open_store(store_url), url.split("/")[-2])
status, document = records.status(), records.document()
outcomes = []
for item in document.params.get("items", [{{}}]):
    key = item if isinstance(item, str) else item.get("id", item.get("url", "0"))
    kind = plan.get("fails", {{}}).get(key)
    outcomes.append(Failed(key=key, kind=kind, message="not there", attempts=1) if kind
                    else Done(key=key, attempts=1, seconds=0.2, size_bytes=1000))
now = datetime.now(UTC)
artifacts = [Artifact(name="album.zip", url=document.output + "/album.zip", size_bytes=9)] if document.output else []
if all(isinstance(outcome, Failed) for outcome in outcomes):
    artifacts = []
report = build_report(document, outcomes, artifacts, Figures(started_at=now, ended_at=now),
                      generation=status.generation, effects_survive=False)
records.create_report(status.generation, report)
records.save_status(status.model_copy(update={{"state": report.state, "ended_at": now, "counts": report.counts}}))
print(report.model_dump_json() if "--json" in sys.argv else render(report))
sys.exit(exit_code(report.state))
'''


@dataclass
class Ran:
    """How one command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which the command runs and below which its user's state is kept."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("BATCHLAB_STORE", "BATCHLAB_CONFIG", "BATCHLAB_LOG_LEVEL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def batchlab(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `batchlab ARGUMENTS`; what a child process says is caught, too."""

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Ran(code, out, err)

    return run


@pytest.fixture
def no_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which only the client is installed."""
    empty = tmp_path / "no-processor"
    empty.mkdir()
    monkeypatch.setattr(sys, "executable", str(empty / "python"))
    monkeypatch.setenv("PATH", str(empty))


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a `batchlab-processor`: it obeys the JSON in `plan` and writes how it was `called`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    stub = folder / "batchlab-processor"
    stub.write_text(STUB.format(python=sys.executable))
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


@pytest.fixture
def photos(here: Path) -> Path:
    """A folder with three photos, one of them deeper, and what nobody wants in a ZIP."""
    folder = here / "wedding"
    (folder / "evening").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg", "evening/3.jpg"):
        (folder / name).write_bytes(b"\xff\xd8\xff" + name.encode())
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    return folder
