"""Whose sheets are made, and why the others' are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchlab.jobs.contact_sheets import ContactSheetsParams
from batchlab_processor.jobs.contact_sheets.planning import sheet_key
from tests.processor.jobs.contact_sheets.marathon import Marathon, Sheets


@pytest.fixture
def crowd(marathon: Marathon, sheets_of: Sheets) -> Sheets:
    """Six participants, each of another kind."""
    for reference, photos, verified in (
        ("1001", 8, True),
        ("1002", 24, False),
        ("1003", 7, True),
        ("1004", 0, True),
        ("1005", 8, True),
        ("1006", 8, True),
    ):
        marathon.insert(reference, [f"{reference}/{n}.jpg" for n in range(photos)], verified=verified)
    marathon.execute("UPDATE participants SET contact_sheet_key = 'x' WHERE reference = '1005'")
    return sheets_of


def planned(sheets: Sheets, **more: Any) -> tuple[list[str], str]:
    """Who would get a sheet, and all that a dry run says."""
    said = sheets.preview(domain="spring", database="race", photos="file:///uploads", **more)
    return [line.split()[0] for line in said if " -> " in line], "\n".join(said)


def test_a_dry_run_says_who_would_get_a_sheet_and_why_the_others_not(crowd: Sheets) -> None:
    made, said = planned(crowd)
    assert made == ["1001", "1002", "1006"]
    assert said.splitlines()[0] == "6 participants found; 3 sheets of 40 photos would be made."
    assert "1 left out: has not 8 or 24 photos\n  1003" in said
    assert "1 left out: has no photos\n  1004" in said
    assert "1 left out: has a sheet already\n  1005" in said
    assert crowd.made() == []


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({"requireValidPhotoCount": False}, ["1001", "1002", "1003", "1006"]),
        (
            {"requireValidPhotoCount": False, "requireSubmissions": False},
            ["1001", "1002", "1003", "1004", "1006"],
        ),
        ({"requireSubmissions": False}, ["1001", "1002", "1006"]),
        ({"validPhotoCounts": [7]}, ["1003"]),
        ({"excludeExistingContactSheets": False}, ["1001", "1002", "1005", "1006"]),
        ({"limitParticipants": 2}, ["1001", "1002"]),
        ({"onlyParticipantRefs": ["1006", "1001"]}, ["1001", "1006"]),
        ({"onlyVerifiedParticipants": True}, ["1001", "1006"]),
        ({"only_verified_participants": True, "limit_participants": 1}, ["1001"]),
    ],
)
def test_each_option_takes_whom_it_says(crowd: Sheets, options: dict[str, Any], made: list[str]) -> None:
    assert planned(crowd, **options)[0] == made


def test_references_that_nobody_has_are_said(crowd: Sheets) -> None:
    made, said = planned(crowd, onlyParticipantRefs=["1001", "9999"])
    assert made == ["1001"]
    assert "1 asked for and not found\n  9999" in said


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("1001", "spring/1001/contact-sheet.jpg"),
        ("../../etc/passwd", "spring/_.._etc_passwd/contact-sheet.jpg"),
        ("..", "spring/_/contact-sheet.jpg"),
        ("Zoë 7", "spring/Zoë_7/contact-sheet.jpg"),
        ("a\\b?c#d%2Fe", "spring/a_b_c_d_2Fe/contact-sheet.jpg"),
    ],
)
def test_a_reference_makes_no_folder_and_leaves_none(reference: str, key: str) -> None:
    params = ContactSheetsParams(domain="spring", database="race")
    assert sheet_key(params, reference) == key


def test_two_participants_with_one_key_are_told_apart_by_failing_the_second(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    for reference in ("a/1", "a?1"):
        marathon.insert(reference, [f"{n}.jpg" for n in range(8)])
    made, said = planned(sheets_of)
    assert made == ["a/1"]
    assert "Their sheet would have the key of participant a/1" in said


def test_a_key_that_is_no_url_needs_a_place(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.insert("1001", [f"1001/{n}.jpg" for n in range(8)])
    said = sheets_of.preview(domain="spring", database="race")
    assert "Name in params.photos what such keys are below" in "\n".join(said)


def test_without_pyvips_the_install_command_is_named(
    crowd: Sheets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("batchlab_processor.jobs.contact_sheets.planning.find_spec", lambda name: None)
    report = crowd(domain="spring", database="race", photos="file:///uploads")
    assert report.error == (
        "contact-sheets needs pyvips. Install it: pip install 'batchlab-processor[sheets]'"
    )
