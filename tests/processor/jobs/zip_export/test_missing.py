from __future__ import annotations

import csv
import io

import pytest

from batchlab.kinds import Kind
from batchlab.outcome import Failed, Skipped
from batchlab_processor.jobs.zip_export.missing import (
    COLUMNS,
    Missing,
    NothingDelivered,
    missing,
    missing_csv,
)


def read(table: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))


def test_the_table_names_what_is_missing_and_why() -> None:
    failed = Failed(key="7", kind=Kind.MISSING, message="It is not there.", attempts=1)
    skipped = Skipped(key="8", reason="not_started")
    table = read(missing_csv([missing(failed, "a.jpg", "id-7"), missing(skipped, "b.jpg", "")]))
    assert table == [
        list(COLUMNS),
        ["a.jpg", "id-7", "missing", "It is not there.", "1"],
        ["b.jpg", "", "not_started", "The job ended before this photo was started.", "0"],
    ]


def test_excel_knows_that_the_table_is_utf_8() -> None:
    table = missing_csv([Missing("Zoë.jpg", "", "missing", "Weg.", 1)])
    assert table.startswith(b"\xef\xbb\xbfname,")
    assert table.endswith(b"\r\n")
    assert read(table)[1][0] == "Zoë.jpg"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    [_, row] = read(missing_csv([Missing(cell, cell, "missing", cell, 1)]))
    assert all(row[column].startswith("'") for column in (0, 1, 3))


def test_every_photo_takes_one_line_whatever_its_reason_says() -> None:
    table = missing_csv([Missing('a,"b".jpg', "", "bug", "one\r\ntwo\u2028three", 1)])
    assert table.count(b"\r\n") == 2
    assert read(table)[1] == ['a,"b".jpg', "", "bug", "one two three", "1"]


def test_half_characters_do_not_break_the_table() -> None:
    assert b"?" in missing_csv([Missing("\ud800", "", "missing", "", 1)])


def test_the_customer_is_not_told_where_photos_are_kept() -> None:
    message = "s3://private-bucket/e/1.jpg: access denied (403). See https://x.example/help."
    row = missing(Failed(key="1", kind=Kind.AUTH, message=message), "1.jpg", "")
    assert row.reason == "1.jpg: access denied (403). See 1.jpg."


def test_no_archive_at_all_is_explained_by_kinds_and_counts() -> None:
    rows = [Missing(f"{n}.jpg", "", "missing", "It is not there.", 1) for n in range(3)]
    error = NothingDelivered([*rows, Missing("x.jpg", "", "auth", "Refused.", 1)])
    assert "Missing: 3 missing, 1 auth." in error.message
    assert "It is not there." in error.message
    assert "upload it again" in error.message
