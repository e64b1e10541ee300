from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from batchlab.cli.sources import find_sources
from batchlab.errors import UsageError


def names(arguments: list[str]) -> list[str]:
    return [item.get("name", item.get("url")) for item in find_sources(arguments).items]


def test_a_directory_gives_every_file_below_it_but_hidden_ones(photos: Path) -> None:
    (photos / ".git").mkdir()
    (photos / ".git" / "config").touch()
    found = find_sources(["wedding"])
    assert [item["name"] for item in found.items] == ["1.jpg", "2.jpg", "evening/3.jpg"]
    assert found.named == [f"{photos.as_uri()}/"]
    assert (found.photos, found.sized, found.size_bytes) == (3, 3, 5 * 2 + 13 + 3 * 3)
    assert found.described() == "3 photos"


def test_a_directory_may_be_named_from_below(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "deep").mkdir(exist_ok=True)
    monkeypatch.chdir(photos / "deep")
    assert find_sources([".."]).named == [photos.as_uri() + "/"]


def test_of_several_sources_each_directory_keeps_its_name(photos: Path, here: Path) -> None:
    (here / "party").mkdir()
    (here / "party" / "1.jpg").touch()
    assert names(["wedding", "party"]) == [
        "wedding/1.jpg",
        "wedding/2.jpg",
        "wedding/evening/3.jpg",
        "party/1.jpg",
    ]


def test_a_glob_in_quotes_is_expanded_here(photos: Path) -> None:
    assert names(["wedding/*.jpg"]) == ["1.jpg", "2.jpg"]
    assert names(["wedding/**/*.jpg"]) == ["1.jpg", "2.jpg", "3.jpg"]


def test_a_file_with_glob_characters_in_its_name_is_that_file(here: Path) -> None:
    (here / "day[1].jpg").touch()
    assert names(["day[1].jpg"]) == ["day[1].jpg"]


def test_names_become_keys_when_each_is_its_own(photos: Path) -> None:
    assert [item["id"] for item in find_sources(["wedding"]).items] == ["1.jpg", "2.jpg", "evening/3.jpg"]
    urls = ["https://a.example/p/1.jpg", "https://a.example/q/1.jpg"]
    assert all("id" not in item for item in find_sources(urls).items)


def test_a_name_that_is_not_utf8_does_not_stop_the_others(photos: Path) -> None:
    Path(os.fsdecode(os.fsencode(str(photos)) + b"/\xe9t\xe9.jpg")).touch()
    assert "\N{REPLACEMENT CHARACTER}t\N{REPLACEMENT CHARACTER}.jpg" in names(["wedding"])


def test_urls_are_photos_folders_or_lists_by_how_they_end() -> None:
    found = find_sources(
        ["https://example.com/1.jpg?sig=x", "s3://bucket/event/", "r2://bucket", "gs://b1c/list.csv"]
    )
    assert found.items == [
        {"url": "https://example.com/1.jpg?sig=x"},
        {"prefix": "s3://bucket/event/"},
        {"prefix": "r2://bucket"},
        {"manifest": "gs://b1c/list.csv"},
    ]
    assert found.described() == "1 photo and what 3 folders and lists hold"


def test_what_a_local_list_names_is_named_by_the_user(here: Path) -> None:
    (here / "list.txt").write_text("https://example.com/1.jpg\ns3://bucket/2.jpg\n")
    assert find_sources(["list.txt"]).named == ["https://example.com/1.jpg", "s3://bucket/2.jpg"]


def test_of_a_remote_list_only_the_list_itself_is_named() -> None:
    assert find_sources(["https://example.com/list.csv"]).named == ["https://example.com/list.csv"]


def test_a_file_url_is_a_place_on_this_machine(photos: Path) -> None:
    assert names([photos.as_uri()]) == ["1.jpg", "2.jpg", "evening/3.jpg"]


def test_a_dash_reads_lines_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("https://example.com/1.jpg\n"))
    assert names(["-"]) == ["https://example.com/1.jpg"]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("nowhere", "there is no such file or directory"),
        ("", "is empty. For this directory, write a dot"),  # zip "$UNSET"
        ("*.jpg", "no file matches"),
        ("empty", "there are no files in it"),
        ("file:///nowhere/x.jpg", "there is no such file"),
        ("ftp://example.com/1.jpg", "is not one of"),
        ("s3:///x", "names no bucket"),
    ],
)
def test_an_argument_that_names_nothing_is_refused(here: Path, argument: str, says: str) -> None:
    (here / "empty").mkdir()
    with pytest.raises(UsageError) as refused:
        find_sources([argument])
    assert says in refused.value.message


def test_one_odd_name_takes_no_other_photo_its_key(photos: Path) -> None:
    (photos / "new\nline.jpg").touch()
    keys = [item["id"] for item in find_sources(["wedding"]).items]
    assert keys == ["1.jpg", "2.jpg", "new_line.jpg", "evening/3.jpg"]


def test_a_link_that_leads_nowhere_is_a_photo_that_the_report_will_miss(photos: Path) -> None:
    (photos / "4.jpg").symlink_to("gone.jpg")
    os.mkfifo(photos / "5.jpg")
    assert names(["wedding"]) == ["1.jpg", "2.jpg", "4.jpg", "evening/3.jpg"]


def test_the_zip_of_last_time_is_not_zipped_into_the_next(photos: Path) -> None:
    (photos / "album.zip").touch()
    found = find_sources(["wedding"], target=photos / "album.zip")
    assert [item["name"] for item in found.items] == ["1.jpg", "2.jpg", "evening/3.jpg"]
