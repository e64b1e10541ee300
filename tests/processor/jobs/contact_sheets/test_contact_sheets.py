"""Whole jobs: a marathon in Postgres, photos in a directory, sheets out, rows updated."""

from __future__ import annotations

from typing import Any

from tests.processor.jobs.contact_sheets.marathon import Marathon, Sheets


def params(marathon: Marathon, **more: Any) -> dict[str, Any]:
    return {"domain": marathon.domain, "database": "race", "photos": marathon.photos.as_uri(), **more}


def test_every_participant_with_8_or_24_photos_gets_a_sheet_and_their_row_knows_it(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    for reference, photos in (("1001", 8), ("1002", 24), ("1003", 7), ("1004", 0)):
        marathon.add(reference, photos)
    report = sheets_of(**params(marathon))
    assert report.state == "succeeded", report
    assert sheets_of.made() == ["spring/1001/contact-sheet.jpg", "spring/1002/contact-sheet.jpg"]
    assert marathon.rows() == {
        "1001": ("spring/1001/contact-sheet.jpg", 1),
        "1002": ("spring/1002/contact-sheet.jpg", 1),
        "1003": (None, None),
        "1004": (None, None),
    }
    facts = report.facts
    assert facts["participants"]["left_out"] == {"photo_count": 1, "no_photos": 1}
    assert facts["generation"] == {"succeeded": 2, "failed": 0, "unchanged": 0, "unreadable_photos": 0}
    assert facts["database_updates"] == {"succeeded": 2, "failed": 0}
    assert facts["sheets"]["1001"] == ["spring/1001/contact-sheet.jpg"]
