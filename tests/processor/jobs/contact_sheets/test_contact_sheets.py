"""Whole jobs: a marathon in Postgres, photos in a directory, sheets out, rows updated."""

from __future__ import annotations

from typing import Any

import pytest

from batchlab_processor.job import Context
from batchlab_processor.jobs.contact_sheets.making import SheetFactory
from batchlab_processor.jobs.contact_sheets.participant import Made, Participant
from batchlab_processor.testing import FastClock
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


def test_a_second_job_makes_only_what_is_new(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("1001", 8)
    sheets_of(**params(marathon))
    marathon.add("1002", 8)
    report = sheets_of(**params(marathon))
    assert list(report.facts["sheets"]) == ["1002"]
    assert report.facts["participants"]["left_out"] == {"has_a_sheet": 1}


def test_when_existing_sheets_are_not_excluded_only_the_changed_ones_are_made_again(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    for reference in ("1001", "1002", "1003"):
        marathon.add(reference, 8)
    again = params(marathon, exclude_existing_contact_sheets=False)
    sheets_of(**again)
    before = {name: (sheets_of.directory / name).read_bytes() for name in sheets_of.made()}
    photos = sorted((marathon.photos / "1002").iterdir())
    photos[0].write_bytes(photos[1].read_bytes())
    report = sheets_of(**again)
    assert report.state == "succeeded"
    assert report.facts["generation"]["unchanged"] == 2
    changed = [name for name in sheets_of.made() if (sheets_of.directory / name).read_bytes() != before[name]]
    assert changed == ["spring/1002/contact-sheet.jpg"]
    assert sheets_of(**again, quality=50).facts["generation"]["unchanged"] == 0, "another look, another sheet"


def test_the_same_inputs_give_the_same_bytes(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("1001", 8)
    sheets_of(**params(marathon))
    (name,) = sheets_of.made()
    first = (sheets_of.directory / name).read_bytes()
    (sheets_of.directory / name).unlink()
    sheets_of(**params(marathon, exclude_existing_contact_sheets=False))
    assert (sheets_of.directory / name).read_bytes() == first


def test_a_file_that_no_job_of_ours_made_is_never_replaced(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("1001", 8)
    theirs = sheets_of.directory / "spring" / "1001" / "contact-sheet.jpg"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"a photographer's own")
    report = sheets_of(**params(marathon))
    assert [(failure.key, str(failure.kind)) for failure in report.failures] == [("1001", "validation")]
    assert "exists already" in report.failures[0].message
    assert theirs.read_bytes() == b"a photographer's own"
    assert marathon.rows() == {"1001": (None, None)}
    sheets_of.overwrite = True
    assert sheets_of(**params(marathon)).state == "succeeded"
    assert theirs.read_bytes() != b"a photographer's own"


def test_a_participant_whose_photos_are_over_gets_further_pages(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 25)
    report = sheets_of(**params(marathon, valid_photo_counts=[25]))
    assert report.facts["sheets"] == {
        "1001": ["spring/1001/contact-sheet.jpg", "spring/1001/contact-sheet-2.jpg"]
    }
    assert marathon.rows() == {"1001": ("spring/1001/contact-sheet.jpg", 2)}
    again = sheets_of(**params(marathon, valid_photo_counts=[25], exclude_existing_contact_sheets=False))
    assert again.facts["generation"]["unchanged"] == 1
    for each in (report, again):
        assert [(artifact.name, artifact.size_bytes) for artifact in each.artifacts] == [
            (name, (sheets_of.directory / name).stat().st_size) for name in report.facts["sheets"]["1001"]
        ]


def test_a_photo_that_is_gone_leaves_a_grey_field_and_is_said(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("1001", 8)
    (marathon.photos / "1001" / "03.jpg").unlink()
    (marathon.photos / "1001" / "05.jpg").write_bytes(b"")
    (marathon.photos / "1001" / "06.jpg").write_bytes(b"\xff\xd8\xff" + b"junk" * 100)
    report = sheets_of(**params(marathon))
    assert report.state == "succeeded"
    errors = [(error["stage"], error["kind"], error["message"][:9]) for error in report.facts["errors"]]
    assert errors == [
        ("photo", "missing", "3: 03.jpg"),
        ("photo", "corrupt", "5: 05.jpg"),
        ("photo", "corrupt", "6: 06.jpg"),
    ]
    assert (
        sheets_of(**params(marathon, exclude_existing_contact_sheets=False)).facts["generation"]["unchanged"]
        == 1
    )


def test_with_fail_one_bad_photo_costs_its_participant_and_nobody_else(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    marathon.add("1002", 8)
    (marathon.photos / "1001" / "03.jpg").unlink()
    report = sheets_of(**params(marathon, on_bad_photo="fail"))
    assert report.state == "partial"
    assert [(failure.key, str(failure.kind)) for failure in report.failures] == [("1001", "missing")]
    assert report.facts["generation"]["succeeded"] == 1
    assert marathon.rows()["1001"] == (None, None)


def test_a_photo_that_may_not_be_read_fails_its_participant_and_never_becomes_a_grey_field(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    marathon.execute("UPDATE submissions SET key = 'file:///etc/3.jpg' WHERE id = 3")
    report = sheets_of(**params(marathon))
    assert [(failure.key, str(failure.kind)) for failure in report.failures] == [("1001", "blocked_url")]
    assert sheets_of.made() == []


def test_logos_of_the_database_are_on_the_sheets_and_a_missing_one_stops_the_job_at_once(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    marathon.execute("INSERT INTO sponsors (marathon_id, name, key) VALUES (1, 'Acme', 'acme.png')")
    strip = {"position": "bottom", "height_mm": 8}
    lost = sheets_of(**params(marathon, sponsors=strip))
    assert lost.state == "failed"
    assert lost.error is not None
    assert "acme.png, cannot be had" in lost.error
    (marathon.photos / "acme.png").write_bytes((marathon.photos / "1001" / "01.jpg").read_bytes())
    assert sheets_of(**params(marathon, sponsors=strip)).state == "succeeded"


def test_nobody_to_make_a_sheet_for_is_a_job_well_done(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("1001", 3)
    report = sheets_of(**params(marathon))
    assert (report.state, report.counts.total) == ("succeeded", 0)
    assert "left out: 1 participant, has not 8 or 24 photos" in report.facts["summary"]


def test_a_photo_of_more_bytes_than_allowed_is_bad_and_stays_so(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    sizes = sorted(path.stat().st_size for path in (marathon.photos / "1001").iterdir())
    again = params(marathon, max_photo_bytes=sizes[-2], exclude_existing_contact_sheets=False)
    report = sheets_of(**again)
    (error,) = report.facts["errors"]
    assert (error["stage"], error["kind"]) == ("photo", "too_large")
    assert f"has more than {sizes[-2]:,} bytes (max_photo_bytes)." in error["message"]
    assert sheets_of(**again).facts["generation"]["unchanged"] == 1


def test_what_no_text_of_a_sheet_shows_makes_no_new_sheet(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("1001", 8)
    again = params(marathon, title="{reference} {name}", exclude_existing_contact_sheets=False)
    again["paper"] = {"width_mm": 120, "height_mm": 90}
    sheets_of(**again)
    marathon.execute("UPDATE marathons SET name = 'Another name'; UPDATE topics SET name = 'Another topic'")
    assert sheets_of(**again).facts["generation"]["unchanged"] == 1
    marathon.execute("UPDATE participants SET firstname = 'Eva'")
    assert sheets_of(**again).facts["generation"]["unchanged"] == 0


def test_what_was_done_when_the_deadline_came_is_told_to_the_database(
    marathon: Marathon, sheets_of: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        marathon.add(str(number), 8)
    clock = FastClock()
    real = SheetFactory.make

    def make_the_second_one_late(factory: SheetFactory, participant: Participant, ctx: Context) -> Made:
        if participant.reference == "1":
            clock.sleep(3600)
        return real(factory, participant, ctx)

    monkeypatch.setattr(SheetFactory, "make", make_the_second_one_late)
    sheets_of.clock = clock
    report = sheets_of(workers=1, deadline="1h", **params(marathon))
    assert (report.state, report.stopped) == ("partial", "deadline")
    assert report.counts.done == report.facts["database_updates"]["succeeded"] == 2
    assert [reference for reference, (key, _) in marathon.rows().items() if key] == ["0", "1"]
