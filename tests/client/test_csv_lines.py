"""CSV as spreadsheets write it."""

from __future__ import annotations

import csv
import io

import pytest

from batchlab.csv_lines import ITEM_COLUMNS, Row, read_table


def rows(text: str) -> list[Row]:
    return list(read_table(io.StringIO(text, newline=""), ITEM_COLUMNS).rows)


@pytest.mark.parametrize(
    "header",
    ["url,takenAt", "URL,TAKENAT", " Url , takenat ", '"URL","takenAT"', "url;TakenAt", "URL\tTakenAt"],
)
def test_known_columns_are_found_in_any_case_and_with_blanks_around_them(header: str) -> None:
    separator = next(each for each in ",;\t" if each in header)
    text = f"{header}\r\nhttps://a.example/1.jpg{separator}2026-06-06\r\n"
    assert rows(text) == [Row(2, {"url": "https://a.example/1.jpg", "takenAt": "2026-06-06"}, False)]


def test_an_unknown_column_is_told_as_it_stands_there() -> None:
    assert read_table(["URL,Nam \n"], ITEM_COLUMNS).columns == ("url", "Nam")


def test_rows_that_hold_nothing_are_left_out_and_lines_are_counted_all_the_same() -> None:
    text = "\r\n \r\nurl,name\r\n\r\n1.jpg,\r\n,\r\n , \r\n,,,\r\n2.jpg,b\r\n\r\n"
    assert rows(text) == [Row(5, {"url": "1.jpg"}, False), Row(9, {"url": "2.jpg", "name": "b"}, False)]


def test_empty_cells_beyond_the_header_line_are_none_too_many() -> None:
    assert [row.too_many for row in rows("url,name\n1.jpg,a,,\n2.jpg,b,,c\n")] == [False, True]


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(csv.Error, match="has the column url twice"):
        rows("url,URL\n1.jpg,2.jpg\n")


@pytest.mark.parametrize("text", ["", "\n\n", "url,name\n", "url,name"])
def test_a_table_without_rows_has_none(text: str) -> None:
    assert rows(text) == []
