from __future__ import annotations

import pytest

from batchlab_processor.jobs.zip_export.contents import foreign, is_text, picture_extension

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1"
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0"
HTML = b"\n <!DOCTYPE html><html>sign in"
S3_ERROR = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>'


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (JPEG, ".jpg"),
        (PNG, ".png"),
        (b"GIF89a", ".gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", ".webp"),
        (HEIC, ".heic"),
        (b"\0\0\0\x1cftypavif", ".avif"),
        (b"MM\0*", ".tif"),
        (MP4, ".mp4"),
        (b"\0\0\0\x14ftypqt  ", ".mov"),
        (HTML, ""),
        (b"", ""),
    ],
)
def test_the_first_bytes_tell_the_extension(head: bytes, suffix: str) -> None:
    assert picture_extension(head) == suffix


@pytest.mark.parametrize(
    ("name", "head", "found"),
    [
        ("a.jpg", HTML, "an HTML page"),
        ("a.JPG", b"\xef\xbb\xbf<html>", "an HTML page"),
        ("a.jpeg", S3_ERROR, "an XML document"),
        ("a.png", b'{"error": "gone"}', "a JSON document"),
        ("a.jpg", b"%PDF-1.7", "a PDF"),
        ("a.jpg", b"\0" * 100, "zeros"),
        ("a.heic", b"hello", "no picture"),
        ("a.nef", HTML, "an HTML page"),
        ("a.mp4", S3_ERROR, "an XML document"),
    ],
)
def test_what_is_no_picture_is_found_out(name: str, head: bytes, found: str) -> None:
    assert foreign(name, head) == found


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.jpg", JPEG),
        ("a.jpg", PNG),  # misnamed, but it opens
        ("a.jpg", HEIC),  # phones and messengers do this
        ("a.nef", b"unknown maker's beginning"),
        ("a.mov", b"\0\0\0\x08wide"),
        ("page.html", HTML),
        ("invoice.pdf", b"%PDF-1.7"),
        ("noext", HTML),
    ],
)
def test_what_may_be_right_passes(name: str, head: bytes) -> None:
    assert foreign(name, head) is None


def test_only_text_is_worth_deflating() -> None:
    assert is_text("list.CSV")
    assert is_text("drawing.svg")
    assert not is_text("photo.jpg")
    assert not is_text("csv")
