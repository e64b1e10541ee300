"""Participants from a file, for those who have no such database."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.processor.jobs.contact_sheets.marathon import GALLERY, Sheets

PEOPLE = [
    {
        "reference": "1001",
        "name": "Ana",
        "verified": True,
        "photos": ["1.jpg", {"key": "2.jpg", "topic": "Blue"}],
    },
    {"reference": 1002, "name": "Ben", "photos": []},
]
CSV = "reference,name,url,topic,verified\r\n1001,Ana,1.jpg,Red,yes\r\n1002,Ben,,,\r\n1001,,2.jpg,Blue,\r\n"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    for name in ("1.jpg", "2.jpg"):
        (folder / name).write_bytes((GALLERY / "002-cat.jpg").read_bytes())
    return folder


def planned(sheets: Sheets, path: Path, content: str | bytes, **more: Any) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return "\n".join(
        sheets.preview(domain="x", manifest=path.as_uri(), require_valid_photo_count=False, **more)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.json", json.dumps(PEOPLE)),
        ("list.json", json.dumps({"participants": PEOPLE, "sponsors": []}, indent=2)),
        ("list.jsonl", "\n".join(map(json.dumps, PEOPLE))),
        ("list.csv", CSV),
        (
            "list.csv",
            CSV.replace("reference", "Reference ").replace("url", "URL").replace("verified", "VERIFIED"),
        ),
        ("list.csv", CSV.replace("1002", ",,,,\r\n\r\n1002") + ",,,,\r\n"),
        ("list.csv.gz", gzip.compress(b"\xef\xbb\xbf" + CSV.encode())),
    ],
)
def test_every_form_of_a_list_says_the_same(
    sheets: Sheets, lists: Path, name: str, content: str | bytes
) -> None:
    said = planned(sheets, lists / name, content)
    assert said.splitlines() == [
        "2 participants found; 1 sheets of 2 photos would be made.",
        "  1001  2 photos -> x/1001/contact-sheet.jpg",
        "1 left out: has no photos",
        "  1002",
    ]
    assert "  1001" in planned(sheets, lists / name, content, only_verified_participants=True)


def test_a_dry_run_prints_hostile_references_on_one_line(sheets: Sheets, lists: Path) -> None:
    people = [
        {"reference": name, "photos": ["1.jpg"]} for name in ("a\nb", "\u202etxt", "c\ud83d", "\x1b[31m")
    ]
    said = planned(sheets, lists / "list.json", json.dumps(people))
    assert len(said.splitlines()) == 5
    assert all(line.isprintable() for line in said.splitlines())


def test_a_manifest_becomes_sheets_without_any_database(sheets: Sheets, lists: Path) -> None:
    (lists / "list.csv").write_text(CSV)
    again = {"domain": "x", "manifest": (lists / "list.csv").as_uri(), "require_valid_photo_count": False}
    report = sheets(**again)
    assert report.state == "succeeded"
    assert sheets.made() == ["x/1001/contact-sheet.jpg"]
    assert report.facts["database_updates"] == {"succeeded": 0, "failed": 0}
    assert sheets(**again).facts["generation"]["unchanged"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "its first line has no column reference"),
        ("name,url\nAna,1.jpg\n", "its first line has no column reference"),
        ("reference,url\n1001,1.jpg,2.jpg\n", "line 2 has more cells than the header line"),
        ("reference,url\n", "it lists no participants"),
        ("[]", "it lists no participants"),
        ("[1]", "[0] is no object with reference and photos"),
        ('[{"name": "Ana"}]', "[0] has no reference"),
        ('[{"reference": "1", "photos": "1.jpg"}]', "photos is a list"),
        ('[{"reference": "1", "photos": [{}]}]', "a photo is a URL, a path, or an object with url or key"),
        ('[{"reference": "1", "team": ["a"], "photos": []}]', "[0]: team is no text"),
        ('{"reference": "1"}\nnonsense', "cannot be read"),
        ('{"participants": {}}', "participants and sponsors are lists"),
        ("[" * 100_000, "cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        ('[{"reference": "1"}, {"reference": "1"}]', "Two participants have the reference '1'"),
    ],
)
def test_what_is_wrong_is_one_line(sheets: Sheets, lists: Path, content: str | bytes, said: str) -> None:
    path = lists / "list"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = sheets(domain="x", manifest=path.as_uri())
    assert report.state == "failed"
    assert report.error is not None
    assert said in report.error
    assert len(report.error.splitlines()) == 1
