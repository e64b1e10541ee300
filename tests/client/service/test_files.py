"""Parts of files: what players, download managers and broken connections ask for."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

import pytest

from batchlab.service.files import FileChanged, FilePart, file_answer

BODY = bytes(range(250)) * 4  # 1,000 bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "album.zip"
    made.write_bytes(BODY)
    return made


def ask(path: Path, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, part = file_answer(path, method, named)
    return status, answered, b"" if part is None else b"".join(part)


def test_a_file_is_sent_whole_when_nobody_asks_for_a_part(path: Path) -> None:
    status, headers, body = ask(path)
    assert (status, body) == (200, BODY)
    assert (headers["Content-Length"], headers["Accept-Ranges"]) == ("1000", "bytes")
    assert headers["Last-Modified"] == formatdate(path.stat().st_mtime, usegmt=True)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=500-", 500, 999),
        ("bytes=-100", 900, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=999-999", 999, 999),
        ("bytes=10-99999999999999999", 10, 999),
    ],
)
def test_a_part_is_sent_with_its_place_in_the_whole(path: Path, asked: str, start: int, end: int) -> None:
    status, headers, body = ask(path, range=asked)
    assert (status, body) == (206, BODY[start : end + 1])
    assert headers["Content-Range"] == f"bytes {start}-{end}/1000"
    assert headers["Content-Length"] == str(end + 1 - start)


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
def test_a_part_behind_the_end_is_refused_with_the_length(path: Path, asked: str) -> None:
    status, headers, body = ask(path, range=asked)
    assert (status, headers["Content-Range"], body) == (416, "bytes */1000", b"")


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=9-5", "bytes=", "bytes=-", "items=0-1", "bytes=a-b", "bytes=0-1-2", "bytes=٣-٤"],
)
def test_what_is_no_single_range_is_answered_with_the_whole(path: Path, asked: str) -> None:
    assert ask(path, range=asked)[0] == 200


def test_an_empty_file_has_no_part(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert ask(tmp_path / "empty")[0] == 200
    assert ask(tmp_path / "empty", range="bytes=0-")[0] == 416


def test_who_goes_on_where_it_broke_off_gets_the_rest_of_the_same_file_only(path: Path) -> None:
    _, headers, _ = ask(path)
    for known in (headers["ETag"], headers["Last-Modified"]):
        assert ask(path, range="bytes=500-", if_range=known)[0] == 206
    path.write_bytes(BODY + b"another")
    os.utime(path, (1, 1))
    for known in (headers["ETag"], headers["Last-Modified"], 'W/"weak"'):
        status, _, body = ask(path, range="bytes=500-", if_range=known)
        assert (status, body) == (200, BODY + b"another")


def test_who_has_the_file_already_is_told_so(path: Path) -> None:
    tag = ask(path)[1]["ETag"]
    status, headers, body = ask(path, if_none_match=f'"x", {tag}')
    assert (status, headers["ETag"], body) == (304, tag, b"")


def test_head_tells_the_length_and_opens_nothing(path: Path) -> None:
    path.chmod(0)
    status, headers, body = ask(path, "HEAD", range="bytes=0-1")
    assert (status, headers["Content-Length"], body) == (200, "1000", b"")


def test_a_file_that_is_replaced_meanwhile_cuts_the_answer_instead_of_mixing_two(path: Path) -> None:
    _, _, part = file_answer(path, "GET", {})
    assert isinstance(part, FilePart)
    other = path.with_name("new")
    other.write_bytes(BODY[::-1])
    other.replace(path)
    with pytest.raises(FileChanged):
        list(part)


def test_a_long_file_is_sent_in_pieces(tmp_path: Path) -> None:
    long = tmp_path / "long"
    with long.open("wb") as file:
        file.truncate(3_000_000)
    _, _, part = file_answer(long, "GET", {"range": "bytes=1-2999999"})
    assert part is not None
    sizes = [len(piece) for piece in part]
    assert sum(sizes) == 2_999_999 and max(sizes) <= 256 * 1024
