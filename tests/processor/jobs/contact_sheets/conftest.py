from __future__ import annotations

from pathlib import Path

import pytest

from tests.processor.jobs.contact_sheets.marathon import Marathon, Sheets


@pytest.fixture
def marathon(database_url: str, tmp_path: Path) -> Marathon:
    """The default tables with a marathon in them, and nobody in it yet."""
    made = Marathon(database_url, tmp_path / "uploads")
    made.photos.mkdir()
    made.create()
    return made


@pytest.fixture
def sheets(tmp_path: Path) -> Sheets:
    """The job, with leave to read `uploads` and `lists`, and without a database."""
    return Sheets(
        tmp_path / "out", [(tmp_path / "uploads").as_uri() + "/", (tmp_path / "lists").as_uri() + "/"]
    )


@pytest.fixture
def sheets_of(marathon: Marathon, sheets: Sheets) -> Sheets:
    """The job, with the marathon's database named `race`."""
    sheets.entries = {"databases": {"race": marathon.url}}
    return sheets
