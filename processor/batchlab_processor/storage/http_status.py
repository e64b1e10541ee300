"""What a web server's refusal means for an item, and how a page in a photo's place is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from batchlab.answers import Answer
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.statuses import kind_of_status, retry_after_seconds

_SAID_BYTES = 4096  # of a refusal's body
_EXPIRED = re.compile(
    rb"request has expired|expiredtoken|signature (?:has )?expired|accessdenied.*expired", re.I | re.S
)
_WORDS = {
    Kind.MISSING: "it is not there",
    Kind.AUTH: "access refused",
    Kind.CHANGED: "it is not the file it was",
    Kind.RATE_LIMIT: "too many requests",
    Kind.VALIDATION: "the request was not understood. Check the URL",
}
_PAGES = (".html", ".htm", ".xhtml")
_PICTURES = "jpg jpeg jpe png gif webp heic heif avif tif tiff bmp psd dng cr2 cr3 nef arw orf rw2 raf"
_NEVER_TEXT = frozenset(
    f".{suffix}" for suffix in f"{_PICTURES} mp4 mov m4v avi mkv webm mp3 m4a wav pdf zip gz".split()
)
_PAGE_BEGINS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<error>")


def status_error(url: str, answer: Answer, now: datetime) -> ItemError:
    """The ItemError for an answer that is neither 200 nor 206; reads a little of its body."""
    status = answer.status
    what = f"{shown(url)} answered {status}"
    if answer.url != url and shown(answer.url) != shown(url):
        what += f" (redirected to {shown(answer.url)})"
    may_have_expired = status in (400, 401, 403)  # Google answers 400 to an expired link, S3 403
    if may_have_expired and (
        any(_has_expired(link, now) for link in (url, answer.url)) or _EXPIRED.search(_said(answer))
    ):
        return ItemError(Kind.EXPIRED_URL, f"{what}: the link has expired.")
    kind = kind_of_status(status)
    wait = retry_after_seconds(answer.headers.get("Retry-After", ""), now)
    words = f": {_WORDS[kind]}" if kind in _WORDS else ""
    return ItemError(kind, f"{what}{words}.", retry_after_seconds=wait)


def refuse_page(url: str, content_type: str | None, head: bytes) -> None:
    """Raises ItemError(corrupt) when this is a web page or an error message in place of the file asked for."""
    suffix = _suffix(url)
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    labelled = content_type in ("text/html", "application/xhtml+xml") and suffix not in _PAGES
    if labelled or (suffix in _NEVER_TEXT and begins.startswith(_PAGE_BEGINS)):
        raise ItemError(
            Kind.CORRUPT, f"{shown(url)} is a web page, not the file: perhaps a log-in or an error page."
        )


@lru_cache(maxsize=512)  # each answer asks twice
def _suffix(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).suffix.lower()


def _said(answer: Answer) -> bytes:
    try:
        return answer.read(_SAID_BYTES)
    except ItemError:
        return b""  # the status says enough


def _has_expired(url: str, now: datetime) -> bool:
    """Whether a presigned URL says of itself that its time is over."""
    fields = {name.lower(): values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
    for made, lifetime in (("x-amz-date", "x-amz-expires"), ("x-goog-date", "x-goog-expires")):
        try:
            since = datetime.strptime(fields[made], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            if since + timedelta(seconds=int(fields[lifetime])) < now:
                return True
        except (KeyError, ValueError, OverflowError):
            continue
    try:
        return datetime.fromtimestamp(int(fields["expires"]), UTC) < now  # S3's older form, CloudFront, GCS
    except (KeyError, ValueError, OverflowError, OSError):
        return False
