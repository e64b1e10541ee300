"""Reading what callers send: of bounded length, in bounded time, and little of it at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from batchlab.service.problem import Refusal

LIMIT_BYTES = (
    6 * 1024**2
)  # what AWS Lambda takes in one request; about 60,000 photos, and a manifest has no limit
MEDIA_TYPES = ("application/json", "application/yaml")
_SECONDS = 30.0  # 6 MiB in 30 s is 1.7 Mbit/s
_DISCARDED_BYTES = 64 * 1024**2  # most HTTP clients read no answer before they have sent all
_HELD_BYTES = 64 * 1024**2  # of all bodies that are read or worked on
_LARGE_BYTES = 256 * 1024  # a body of 6 MiB takes 60 MB and seconds as a document, so two of them at a time
_LARGE_AT_ONCE = 2


class Bodies:
    """The bodies of one application. Used from its event loop only."""

    def __init__(
        self, *, limit_bytes: int = LIMIT_BYTES, seconds: float = _SECONDS, held_bytes: int = _HELD_BYTES
    ) -> None:
        self._limit_bytes = limit_bytes
        self._seconds = seconds
        self._held_bytes = held_bytes
        self._held = 0
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a JSON or YAML request. Raises Refusal: 408, 413, 415, and 503 when too much is held already."""
        _check_type(request)
        parts: list[bytes] = []
        held, arrived = 0, False
        try:
            async with asyncio.timeout(self._seconds):
                async for part in request.stream():
                    held += len(part)
                    self._held += len(part)
                    if held > self._limit_bytes:
                        parts.clear()
                        await _discard(request)
                        raise self._too_large()
                    if self._held > self._held_bytes:
                        raise Refusal(
                            503,
                            "Too much is being sent at once. Try again in a moment.",
                            {"Retry-After": "2"},
                        )
                    parts.append(part)
            arrived = True
            body = b"".join(parts)
            parts.clear()
            if len(body) < _LARGE_BYTES:
                yield body
            else:
                async with self._large:
                    yield body
        except TimeoutError:
            if arrived:  # of whoever works on it: a defect of ours
                raise
            detail = f"The body did not arrive within {self._seconds:.0f} s. Send it quicker, or a manifest."
            raise Refusal(408, detail, {"Connection": "close"}) from None
        finally:
            self._held -= held

    def _too_large(self) -> Refusal:
        limit = f"{self._limit_bytes / 1024**2:g} MiB"
        cure = 'Put long lists into a file and name it: {"items": [{"manifest": "s3://bucket/photos.csv"}]}.'
        return Refusal(413, f"The body is larger than {limit}. {cure}", {"Connection": "close"})


def _check_type(request: Request) -> None:
    """A page of another site can send a form or plain text without asking, but neither of these types."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in MEDIA_TYPES:
        raise Refusal(
            415, f"Content-Type: expected {' or '.join(MEDIA_TYPES)}.", {"Accept": ", ".join(MEDIA_TYPES)}
        )
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise Refusal(415, "Content-Encoding: send the document as it is, not compressed.")


async def _discard(request: Request) -> None:
    discarded = 0
    async for part in request.stream():
        discarded += len(part)
        if discarded > _DISCARDED_BYTES:
            return
