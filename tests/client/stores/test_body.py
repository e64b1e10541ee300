"""Names and bodies, whatever the store."""

from __future__ import annotations

import json

import pytest

from batchlab.errors import UsageError
from batchlab.stores.body import check_name, decode, decode_lines, encode, encode_lines, nonce_of


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            ".lock",
            "a/.tmp/b",
            "a\\b",
            "a\nb",
            "a\x7f",
            "\ud800",
        ),
        *("x" * 256, "/".join(["x" * 200] * 5), "é" * 128),
    ],
)
def test_a_name_that_could_mean_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a document"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["a", "jobs/01/g1/lease-all-0.json", "index/9-1/zip/k%3D=v", "é/-x", "x" * 255]
)
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("text", ["Ñandú", "\u2028\x85\r\n", "half a pair: \ud800", "\x00", '"'])
def test_any_text_comes_back_from_a_body_and_from_a_line(text: str) -> None:
    assert decode(encode({"text": text})[0], "a")[0] == {"text": text}
    assert decode_lines(encode_lines([{"text": text}])[0], "a") == [{"text": text}]


def test_every_body_has_a_nonce_of_its_own_that_readers_do_not_see() -> None:
    first, second = encode({"nonce": 1}), encode({"nonce": 1})
    assert first[0] != second[0]
    assert decode(first[0], "a") == ({"nonce": 1}, first[1])
    assert nonce_of(first[0]) == first[1]
    assert json.loads(first[0])["nonce"] == 1


def test_a_segment_has_a_nonce_and_says_how_many_lines_follow() -> None:
    data, nonce = encode_lines([{"a": 1}, {"b": 2}])
    assert nonce_of(data) == nonce
    assert len(data.splitlines()) == 3
    assert decode_lines(encode_lines([])[0], "a") == []


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b"1"])
def test_what_another_program_wrote_has_no_nonce(data: bytes) -> None:
    assert nonce_of(data) == ""
