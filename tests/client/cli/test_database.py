"""batchlab db, --config, and the dry run that asks the processor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.cli.conftest import Command

DOCUMENT = """
type: contact-sheets
output: ./sheets
params: {domain: spring, database: race}
"""


@pytest.fixture
def sheets(here: Path) -> Path:
    (here / "sheets.yaml").write_text(DOCUMENT)
    (here / "entries.yaml").write_text("databases: {race: {env: RACE_URL}}\n")
    return here


def called(processor: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((processor / "called").read_text())
    return said


def test_a_file_of_entries_is_the_processor_s_configuration_for_one_job(
    batchlab: Command, processor: Path, sheets: Path
) -> None:
    assert batchlab("run", "sheets.yaml", "--config", "entries.json").code == 2
    (sheets / "entries.json").write_text('{"databases": {"race": "postgresql://me@db/race"}}')
    ran = batchlab("run", "sheets.yaml", "--config", "entries.json")
    assert ran.code == 0, ran.err
    assert called(processor)["config"] == str(sheets / "entries.json")


def test_a_file_of_entries_that_cannot_be_read_stops_before_anything_is_made(
    batchlab: Command, processor: Path, sheets: Path
) -> None:
    (sheets / "entries.yaml").write_text("database: {}\n")
    ran = batchlab("run", "sheets.yaml", "--config", "entries.yaml")
    assert ran.code == 2
    assert ran.err.startswith("batchlab: --config: database is no section. Did you mean databases?")
    assert not (processor / "called").exists()


def test_a_dry_run_lets_the_processor_plan_and_leaves_nothing(
    batchlab: Command, processor: Path, sheets: Path, tmp_path: Path
) -> None:
    (processor / "plan").write_text('{"exit": 0, "says": "planned"}')
    ran = batchlab("run", "sheets.yaml", "--dry-run")
    assert ran.code == 0
    assert "planned" in ran.err
    assert "Nothing was written." in ran.err
    arguments = called(processor)["arguments"]
    assert "--dry-run" in arguments
    store = Path(arguments[arguments.index("--store") + 1].removeprefix("file://"))
    assert not store.exists()
    assert not (tmp_path / "state").exists()


def test_pending_updates_of_the_latest_job_are_applied_by_the_processor(
    batchlab: Command, processor: Path, sheets: Path, tmp_path: Path
) -> None:
    (sheets / "entries.json").write_text('{"databases": {}}')
    assert batchlab("run", "sheets.yaml").code == 0
    (processor / "plan").write_text('{"exit": 3}')
    ran = batchlab("db", "apply", "latest", "--config", "entries.json")
    assert ran.code == 3
    said = called(processor)
    assert said["arguments"][:3] == ["db", "apply", "--job"]
    assert said["arguments"][3].startswith(f"file://{tmp_path}/state/batchlab/jobs/")
    assert said["config"] == str(sheets / "entries.json")


def test_the_tables_are_printed_by_the_processor(batchlab: Command, processor: Path) -> None:
    (processor / "plan").write_text('{"exit": 0}')
    assert batchlab("db", "schema").code == 0
    assert called(processor)["arguments"] == ["db", "schema"]
