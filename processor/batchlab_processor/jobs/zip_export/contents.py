"""What a file's first bytes say it is, against what its name says.

Sources answer 200 with a sign-in page more often than one would think; in an archive it would be a photo
that does not open. A PNG named .jpg does open, so only what is no picture at all is refused.
"""

from __future__ import annotations

from batchlab_processor.jobs.zip_export.names import extension

HEAD_BYTES = 512  # what `foreign` wants to see

_PICTURES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".webp",
        ".heic",
        ".heif",
        ".avif",
        ".tif",
        ".tiff",
        ".bmp",
    }
)
# Many makers, many beginnings: for these only an obvious page or document is wrong.
_RAW = frozenset(
    {".dng", ".raw", ".arw", ".cr2", ".cr3", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"}
)
_FILMS = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".3gp", ".mp3", ".m4a", ".wav"})
_MEDIA = _PICTURES | _RAW | _FILMS | {".psd", ".jxl", ".jp2"}
_TEXT = frozenset([".txt", ".csv", ".json", ".html", ".htm", ".svg", ".xml", ".md"])

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"II+\x00", ".tif"),  # BigTIFF
    (b"MM\x00+", ".tif"),
    (b"BM", ".bmp"),
    (b"\xff\x0a", ".jxl"),
    (b"\x00\x00\x00\x0cJXL ", ".jxl"),
    (b"\x00\x00\x00\x0cjP  ", ".jp2"),
)
_BRANDS = {b"avif": ".avif", b"avis": ".avif", b"qt  ": ".mov"}
_STILL = frozenset([b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"])


def picture_extension(head: bytes) -> str:
    """The extension of the picture or film that begins with `head`; "" when it is none we know."""
    for magic, suffix in _MAGIC:
        if head.startswith(magic):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return ".heic" if brand in _STILL else _BRANDS.get(brand, ".mp4")
    return ""


def foreign(name: str, head: bytes) -> str | None:
    """What a file with these first bytes is instead of what its name says; None when they may agree."""
    suffix = extension(name).lower()
    if suffix not in _MEDIA or picture_extension(head):
        return None
    if document := _document(head):
        return document
    if suffix not in _PICTURES:
        return None
    return "zeros" if not any(head) else "no picture"


def is_text(name: str) -> bool:
    """Whether a member of this name is worth deflating."""
    return extension(name).lower() in _TEXT


def _document(head: bytes) -> str | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:HEAD_BYTES].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "an HTML page"
    if start.startswith((b"<?xml", b"<error", b"<!--", b"<svg")):
        return "an XML document"
    if start.startswith((b"{", b"[")):
        return "a JSON document"
    if start.startswith(b"%pdf"):
        return "a PDF"
    return None
