from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab_processor.jobs.zip_export.names import (
    COMPONENT_BYTES,
    MISSING_NAME,
    NOTE_NAME,
    PATH_BYTES,
    extension,
    folded,
    member_names,
    name_from_url,
)

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            'aA./\\ :*?<>|"\0\n\r\x7f\u0085\u2028\ufeff\u202eéE\u0301ßſıİK²．／＼℀\ud800😀\u200d\u3000'
        ),
        st.characters(),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("a.jpg", "a.jpg"),
        ("ceremony/001.jpg", "ceremony/001.jpg"),
        ("Zoë & Jürgen, 1. Tanz.jpg", "Zoë & Jürgen, 1. Tanz.jpg"),
        ("e\u0301.jpg", "é.jpg"),
        ("👨\u200d👩\u200d👧.jpg", "👨\u200d👩\u200d👧.jpg"),
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("a/../b.jpg", "a/b.jpg"),
        ("..\\..\\b.jpg", "b.jpg"),
        ("ceremony\\001.jpg", "ceremony/001.jpg"),
        ("C:\\Windows\\x.jpg", "C_/Windows/x.jpg"),
        ("CON", "_CON"),
        ("nul.jpg", "_nul.jpg"),
        ("com1 .tar.gz", "_com1 .tar.gz"),
        ("COM¹.jpg", "_COM¹.jpg"),
        ("aux/x.jpg", "_aux/x.jpg"),
        ("console.jpg", "console.jpg"),
        ("a\x00b\n.jpg", "a_b_.jpg"),
        ("a?.jpg", "a_.jpg"),
        ("dots...", "dots"),
        ("a.jpg. ", "a.jpg"),
        ("  a.jpg", "a.jpg"),
        ("", "photo"),
        ("..", "photo"),
        ("folder/", "folder/photo"),
        ("folder/...", "folder"),
        ("．．/x.jpg", "x.jpg"),
        ("a／b.jpg", "a_b.jpg"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\ud800.jpg", "_.jpg"),
        (".hidden.jpg", ".hidden.jpg"),
        ("_missing.csv", "__missing.csv"),
        ("_Missing.TXT", "__Missing.TXT"),
        ("_Missing.CSV/x.jpg", "__Missing.CSV/x.jpg"),
    ],
)
def test_a_name_becomes_safe_and_stays_recognisable(wanted: str, given: str) -> None:
    assert member_names([wanted]) == [given]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (["a.jpg", "a.jpg", "a.jpg"], ["a.jpg", "a (2).jpg", "a (3).jpg"]),
        (["IMG.JPG", "img.jpg"], ["IMG.JPG", "img (2).jpg"]),
        (["straße.jpg", "STRASSE.jpg"], ["straße.jpg", "STRASSE (2).jpg"]),
        (["é.jpg", "e\u0301.jpg"], ["é.jpg", "é (2).jpg"]),
        (["K.jpg", "\u212a.jpg"], ["K.jpg", "K (2).jpg"]),  # the Kelvin sign
        (["a\u200d.jpg", "a.jpg"], ["a\u200d.jpg", "a (2).jpg"]),  # HFS+ ignores it
        (["a (2).jpg", "a.jpg", "a.jpg"], ["a (2).jpg", "a.jpg", "a (3).jpg"]),
        (["a", "a/b.jpg"], ["a (2)", "a/b.jpg"]),
        (["a/b.jpg", "A"], ["a/b.jpg", "A (2)"]),
        (["Party/1.jpg", "party/2.jpg", "PARTY/1.jpg"], ["Party/1.jpg", "Party/2.jpg", "Party/1 (2).jpg"]),
        (["noext", "noext"], ["noext", "noext (2)"]),
        (["a.tar.gz", "a.tar.gz"], ["a.tar.gz", "a.tar (2).gz"]),
    ],
)
def test_names_that_some_system_takes_for_one_are_told_apart(wanted: list[str], given: list[str]) -> None:
    assert member_names(wanted) == given


def test_a_long_name_is_cut_and_keeps_its_extension_and_its_number() -> None:
    first, second = member_names(["ü" * 200 + ".jpeg"] * 2)
    assert first.endswith("ü.jpeg")
    assert second.endswith("ü (2).jpeg")
    assert all(len(name.encode()) <= COMPONENT_BYTES for name in (first, second))


def test_folders_deeper_than_a_file_system_takes_are_left_out() -> None:
    [name] = member_names(["folder/" * 2000 + "a.jpg"])
    assert name.startswith("folder/folder/")
    assert name.endswith("/a.jpg")
    assert len(name.encode()) <= PATH_BYTES


def test_ten_thousand_photos_of_one_name_take_no_quadratic_time() -> None:
    names = member_names(["image.jpg"] * 10_000)
    assert names[-1] == "image (10000).jpg"


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, max_size=30))
def test_any_names_come_out_safe_unique_and_in_place(wanted: list[str]) -> None:
    names = member_names(wanted)

    assert len(names) == len(wanted)
    keys = [folded(name) for name in names]
    assert len({*keys, MISSING_NAME, NOTE_NAME}) == len(names) + 2
    folders = {folded(name[:at]) for name in names for at, c in enumerate(name) if c == "/"}
    assert not folders & {*keys, MISSING_NAME, NOTE_NAME}
    for name in names:
        assert len(name.encode()) <= PATH_BYTES
        assert unicodedata.is_normalized("NFC", name)
        for part in name.split("/"):
            assert part.strip(" .") != ""
            assert part == part.rstrip(" .")
            assert len(part.encode()) <= COMPONENT_BYTES
            assert not set(part) & set('<>:"\\|?*')
            assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in part)


@settings(max_examples=100, deadline=None)
@given(st.lists(HOSTILE, max_size=10))
def test_safe_names_come_out_as_they_went_in(wanted: list[str]) -> None:
    names = member_names(wanted)
    assert member_names(names) == names


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://photos.example/e/1/IMG_0001.jpg?token=x", "IMG_0001.jpg"),
        ("https://photos.example/Z%C3%BCrich%20%231.jpg", "Zürich #1.jpg"),
        ("https://firebasestorage.googleapis.com/v0/b/x/o/events%2F1%2Fa.jpg?alt=media", "a.jpg"),
        ("https://photos.example/folder/", "folder"),
        ("https://photos.example", ""),
        ("s3://bucket/e/100%25%20fun.jpg", "100% fun.jpg"),
        ("gs://bucket/a.jpg", "a.jpg"),
    ],
)
def test_a_name_is_read_from_the_url(url: str, name: str) -> None:
    assert name_from_url(url) == name


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.jpg", ".jpg"),
        ("a.b.JPEG", ".JPEG"),
        ("a", ""),
        (".jpg", ""),
        ("a.", ""),
        ("dr. no", ""),
        ("x.y/z", ""),
    ],
)
def test_an_extension_is_what_follows_the_last_dot(name: str, suffix: str) -> None:
    assert extension(name) == suffix
