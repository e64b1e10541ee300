"""https:// and http:// sources: read with distrust, never written.

The probe is a GET of the first 512 bytes, because a URL that is presigned for GET refuses HEAD; its answer
also proves whether ranges work. Nothing counts as read that is shorter, longer, older or something else than
what the server promised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NoReturn

from batchlab.answers import Answer
from batchlab.framing import Head
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Listed, Probed, Reader, WriteOptions, Writer
from batchlab_processor.storage.http_body import Body, decoded, md5_of
from batchlab_processor.storage.http_status import refuse_page, status_error

PROBE_BYTES = 512
_DRAINED_BYTES = 16 * 1024  # of a refusal, to keep its connection
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)\s*", re.IGNORECASE)
_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')
_CURE = "deliver to s3://, r2://, gs:// or file://"


class HttpScheme:
    """The verbs on https:// and http:// URLs, through `guard`; safe to share between threads."""

    def __init__(self, guard: Guard, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._guard = guard
        self._now = now

    def probe(self, url: str) -> Probed:
        with self._get(url, {"Range": f"bytes=0-{PROBE_BYTES - 1}"}) as answer:
            if not _botches_ranges(url, answer):
                return self._looked_at(url, answer)
            with suppress(ItemError):
                answer.drain(_DRAINED_BYTES)
        with self._get(url, {}) as answer:
            return self._looked_at(url, answer)

    def _looked_at(self, url: str, answer: Answer) -> Probed:
        if answer.status == 416:  # nothing begins at byte 0: the source is empty
            raise ItemError(Kind.CORRUPT, f"{shown(url)} is empty.")
        self._expect(url, answer, (200, 206))
        probed = _described(url, answer)
        if answer.status == 206:
            if _is_encoded(answer.headers):
                return probed  # a part of the packed form tells nothing; it can be read whole
            _check_range(url, answer, 0, PROBE_BYTES)
        if probed.size_bytes == 0:
            raise ItemError(Kind.CORRUPT, f"{shown(url)} is empty.")
        body = Body(url, decoded(url, answer), probed, None)
        head = body.read(PROBE_BYTES)
        refuse_page(url, probed.content_type, head)
        if not head:
            raise ItemError(Kind.CORRUPT, f"{shown(url)} is empty.")
        return replace(probed, head=head)

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Reader]:
        ranged = start > 0 or end is not None
        if end is not None and end <= start:
            raise ItemError(Kind.VALIDATION, f"{shown(url)}: bytes {start} to {end} are none.")
        headers = {"Range": f"bytes={start}-{end - 1 if end is not None else ''}"} if ranged else {}
        if validator is not None and _STRONG.fullmatch(validator):
            headers["If-Match"] = validator
        with self._get(url, headers) as answer:
            if answer.status == 412 or (answer.status == 416 and ranged):
                raise ItemError(Kind.CHANGED, f"{shown(url)} changed since it was probed.")
            self._expect(url, answer, (200, 206))
            probed = _described(url, answer)
            if validator is not None and probed.validator != validator:
                raise ItemError(Kind.CHANGED, f"{shown(url)} changed since it was probed.")
            yield self._reader(url, answer, probed, start, end)

    def write(self, url: str, options: WriteOptions) -> AbstractContextManager[Writer]:
        _refuse(url, "written")

    def list(self, prefix: str) -> Iterator[Listed]:
        raise ItemError(
            Kind.VALIDATION, f"{shown(prefix)}: https:// cannot be listed; name its files, or list s3://, r2:// or gs://."
        )  # fmt: skip

    def delete(self, url: str) -> None:
        _refuse(url, "deleted")

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        _refuse(url, "signed")

    def _get(self, url: str, headers: dict[str, str]) -> Answer:
        return self._guard.request("GET", url, {"Accept": "*/*", "Accept-Encoding": "identity", **headers})

    def _expect(self, url: str, answer: Answer, wanted: tuple[int, ...]) -> None:
        if answer.status not in wanted:
            error = status_error(url, answer, self._now())
            with suppress(ItemError):
                answer.drain(_DRAINED_BYTES)
            raise error

    def _reader(self, url: str, answer: Answer, probed: Probed, start: int, end: int | None) -> Reader:
        if start == 0:
            refuse_page(url, probed.content_type, b"")
        whole = start == 0 and end is None
        if answer.status == 206:
            part = _check_range(url, answer, start, end)
            size = None if _is_encoded(answer.headers) else part
            return Body(url, decoded(url, answer), probed, size, first=start == 0)
        if whole and probed.size_bytes == 0:
            raise ItemError(Kind.CORRUPT, f"{shown(url)} is empty.")
        known = probed.size_bytes
        stop = known if end is None else end if known is None else min(end, known)
        body = Body(
            url,
            decoded(url, answer),
            probed,
            None if stop is None else max(0, stop - start),
            first=start == 0,
        )
        if whole:
            body.expect_md5(md5_of(answer.headers))
        if start:
            body.skip(start)
        if end is not None:
            body.cut(end - start)
        return body


def _botches_ranges(url: str, answer: Answer) -> bool:
    """Whether a server that was asked for the first bytes refuses or sends others, and may yet send the whole."""
    if answer.status == 416:
        return answer.headers.get("Content-Range", "").strip() != "bytes */0"
    if answer.status == 206 and not _is_encoded(answer.headers):
        try:
            _check_range(url, answer, 0, PROBE_BYTES)
        except ItemError:
            return True
    return answer.status == 501


def _described(url: str, answer: Answer) -> Probed:
    """What an answer's headers say of the whole object."""
    headers = answer.headers
    encoded = _is_encoded(headers)
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "")) if answer.status == 206 else None
    size = answer.length
    if answer.status == 206:
        size = int(found[3]) if found and found[3] != "*" else None
    size = None if encoded else size
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower() or None
    return Probed(
        url,
        size,
        _validator(headers, size),
        _modified(headers),
        b"",
        content_type,
        ranges=answer.status == 206 and not encoded,
    )


def _check_range(url: str, answer: Answer, start: int, end: int | None) -> int:
    """The bytes that a 206 brings, which are those that were asked for; else ItemError(corrupt)."""
    text = answer.headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(text)
    if found is None:
        raise ItemError(Kind.CORRUPT, f"{shown(url)} sent a part without saying which.")
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    ends = [limit - 1 for limit in (end, total) if limit is not None]
    if first != start or last < first or (ends and last != min(ends)):
        raise ItemError(
            Kind.CORRUPT, f"{shown(url)} sent bytes {first}-{last}, other than those it was asked for."
        )
    if answer.length is not None and answer.length != last - first + 1:
        raise ItemError(Kind.CORRUPT, f"{shown(url)} sends {answer.length} bytes as bytes {first}-{last}.")
    if _is_encoded(answer.headers) and (start, last + 1) != (0, total):
        raise ItemError(
            Kind.CORRUPT, f"{shown(url)} sends parts of a compressed form; it can be read whole only."
        )
    return last - first + 1


def _is_encoded(headers: Head) -> bool:
    return headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")


def _validator(headers: Head, size: int | None) -> str | None:
    """A strong ETag as it is, else date and size in a form of ours: If-Match takes strong ones only."""
    etag: str = headers.get("ETag", "").strip()
    if _STRONG.fullmatch(etag):
        return etag
    modified: str = headers.get("Last-Modified", "").strip()
    return f"modified {modified}, {size} bytes" if modified else None


def _modified(headers: Head) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("Last-Modified", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _refuse(url: str, verb: str) -> NoReturn:
    raise ItemError(Kind.VALIDATION, f"{shown(url)}: https:// cannot be {verb}; {_CURE}.")
