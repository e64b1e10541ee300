from __future__ import annotations

from pathlib import Path

import pytest

from batchlab.cli.lists import read_list
from batchlab.errors import DocumentError


def test_a_text_file_lists_one_url_or_path_in_a_line(here: Path) -> None:
    (here / "lists").mkdir()
    file = here / "lists" / "photos.txt"
    file.write_text("\ufeff# the wedding\nhttps://example.com/1.jpg\n\n  ../2.jpg \n/data/3 b.jpg\n")
    assert [item.url for item in read_list(file)] == [
        "https://example.com/1.jpg",
        f"{here.as_uri()}/2.jpg",
        "file:///data/3%20b.jpg",
    ]


def test_a_csv_file_brings_names_ids_sizes_and_dates(here: Path) -> None:
    file = here / "photos.csv"
    file.write_text(
        "url,name,id,size,takenAt\nhttps://example.com/1,First.jpg,7,12,2026-06-06T14:30:00Z\n2.jpg,,,,\n"
    )
    first, second = read_list(file)
    assert (first.name, first.id, first.size) == ("First.jpg", "7", 12)
    assert first.taken_at is not None
    assert second.url == f"{here.as_uri()}/2.jpg"
    assert second.name is None


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_csv_file_may_be_separated_as_the_spreadsheets_of_many_countries_do(
    here: Path, separator: str
) -> None:
    file = here / "photos.csv"
    rows = [["url", "name"], ["https://example.com/1.jpg", '"Ana, Ben.jpg"']]
    file.write_bytes(b"\xef\xbb\xbf" + "".join(separator.join(row) + "\r\n" for row in rows).encode())
    assert [item.name for item in read_list(file)] == ["Ana, Ben.jpg"]


def test_a_csv_file_may_have_its_header_in_capitals_and_rows_without_anything(here: Path) -> None:
    file = here / "photos.csv"
    file.write_bytes(b"\xef\xbb\xbf\r\nURL,Name,TakenAt\r\n,,\r\nhttps://example.com/1.jpg,a.jpg,\r\n,,\r\n")
    assert [(item.url, item.name) for item in read_list(file)] == [("https://example.com/1.jpg", "a.jpg")]


def test_json_lines_and_a_json_list_hold_urls_or_objects(here: Path) -> None:
    lines = here / "photos.jsonl"
    lines.write_text('"https://example.com/1.jpg"\n{"url": "2.jpg", "id": 2}\n')
    array = here / "photos.json"
    array.write_text('["https://example.com/1.jpg", {"url": "2.jpg", "id": 2}]')
    assert read_list(lines) == read_list(array)
    assert read_list(lines)[1].id == "2"


def test_everything_wrong_is_said_at_once_with_its_line(here: Path) -> None:
    file = here / "photos.csv"
    file.write_text("url,nam\nhttps://example.com/1.jpg,a.jpg\nhtps://example.com/2.jpg,\n")
    with pytest.raises(DocumentError) as refused:
        read_list(file)
    first, second = refused.value.problems
    assert first.startswith("photos.csv:2: nam: unknown field. Did you mean name?")
    assert second.startswith("photos.csv:3: url: ")
    assert "Did you mean https" in second


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("photos.csv", b"1.jpg\n2.jpg\n", "names no column url"),
        ("photos.csv", b"url\n", "lists no photos"),
        ("photos.csv", b"url,id\na.jpg,1,2\n", "more cells than the first line"),
        ("photos.jsonl", b"{", "is not valid JSON"),
        ("photos.json", b'{"type": "zip-export"}', "batchlab run DOCUMENT"),
        ("photos.txt", b"\xff\xfe1", "is not UTF-8"),
        ("photos.txt", b"# nothing\n", "lists no photos"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_a_line(
    here: Path, name: str, content: bytes, says: str
) -> None:
    (here / name).write_bytes(content)
    with pytest.raises(DocumentError, match=says):
        read_list(here / name)


def test_a_thousand_bad_lines_are_told_in_twenty(here: Path) -> None:
    file = here / "photos.txt"
    file.write_text("s3:///no-bucket\n" * 1000)
    with pytest.raises(DocumentError) as refused:
        read_list(file)
    assert len(refused.value.problems) == 21
