from __future__ import annotations

from pathlib import Path

import pytest

from batchlab.cli.places import parse_target, path_of, pretty, url_of
from batchlab.errors import UsageError


def test_a_relative_path_becomes_the_url_of_that_place(here: Path) -> None:
    assert url_of("album.zip") == f"{here.as_uri()}/album.zip"
    assert url_of("photos/") == f"{here.as_uri()}/photos/"
    assert url_of("1.jpg", Path("/data")) == "file:///data/1.jpg"


def test_a_name_that_a_url_cannot_hold_is_encoded_and_comes_back(here: Path) -> None:
    url = url_of("Ana & Bén 100%?#1.jpg")
    assert "?" not in url
    assert path_of(url) == here / "Ana & Bén 100%?#1.jpg"


def test_a_url_stays_what_it_is() -> None:
    assert url_of("s3://bucket/a b") == "s3://bucket/a b"
    assert path_of("s3://bucket/a") is None


@pytest.mark.parametrize(
    ("to", "output", "name"),
    [
        ("file:///nowhere/x/album.zip", "file:///nowhere/x", "album.zip"),
        ("s3://bucket/exports/album.zip", "s3://bucket/exports", "album.zip"),
        ("r2://bucket/album.ZIP", "r2://bucket", "album.ZIP"),
        ("gs://bucket/a/My%20album.zip", "gs://bucket/a", "My album.zip"),
    ],
)
def test_the_last_segment_of_the_target_is_the_name_and_the_rest_the_output(
    to: str, output: str, name: str
) -> None:
    target = parse_target(to, overwrite=False)
    assert (target.output, target.name) == (output, name)


def test_a_plain_path_is_a_target(here: Path) -> None:
    target = parse_target("./Ana & Ben.zip", overwrite=False)
    assert (target.output, target.name) == (here.as_uri(), "Ana & Ben.zip")
    assert target.path == here / "Ana & Ben.zip"


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("album", "expected the ZIP's own name at the end, as in album/album.zip"),
        ("out/album.rar", "as in out/album.zip"),
        ("", "the ZIP's own name, as in album.zip"),
        ("s3://bucket/folder/", "as in s3://bucket/folder/album.zip"),
        ("https://example.com/album.zip", "https:// is not one of"),
        ("s3:///album.zip", "bucket"),
        ("s3://b/album.zip?versionId=1", "no query"),
        ("file:///tmp/x/CON.zip", "Windows"),
        ("s3//bucket/album.tar", "expected the ZIP's own name"),
    ],
)
def test_what_is_no_target_is_refused_with_what_was_expected(to: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_target(to, overwrite=False)
    assert says in refused.value.message


def test_an_existing_file_is_a_target_only_when_it_may_be_overwritten(here: Path) -> None:
    (here / "album.zip").touch()
    with pytest.raises(UsageError, match=r"exists\. Choose another name, or add --overwrite"):
        parse_target("album.zip", overwrite=False)
    assert parse_target("album.zip", overwrite=True).name == "album.zip"


def test_a_directory_is_never_overwritten(here: Path) -> None:
    (here / "album.zip").mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        parse_target("album.zip", overwrite=True)


def test_places_are_shown_as_they_would_be_typed(here: Path) -> None:
    assert pretty(url_of("a/album.zip")) == "a/album.zip"
    assert pretty("file:///elsewhere/album.zip") == "/elsewhere/album.zip"
    assert pretty("https://user:secret@example.com/1.jpg?token=abc") == "https://example.com/1.jpg"
