"""Where an answer's head and body end, in the cases of RFC 9112 that http.client leaves out.

It takes a 103 for the answer, `gzip, chunked` for no chunks at all, two different lengths for the first one, and
a head that is cut off for a whole one. Each would hold a worker until its patience ends, or end in a photo.
"""

from __future__ import annotations

import http.client
from email.message import Message


class UnclearLength(http.client.HTTPException):
    """The headers tell two lengths, or one that is no number."""


class CutHead(http.client.HTTPException):
    """The connection ended among the headers."""


class FramedResponse(http.client.HTTPResponse):
    """An answer that is read from its own first byte to its own last."""

    def begin(self) -> None:
        """Raises http.client.HTTPException for an answer whose end nobody can tell."""
        super().begin()
        while 100 < self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]  # begin() reads a head only where there is none
            super().begin()
        if getattr(self.fp, "ended", False):
            raise CutHead
        codings = _listed(self.headers, "Transfer-Encoding")
        if any(coding not in ("chunked", "identity") for coding in codings):
            raise http.client.UnknownTransferEncoding
        if "chunked" in codings and not self.chunked:
            self.chunked, self.chunk_left, self.length = True, None, None
        lengths = set(_listed(self.headers, "Content-Length"))
        if self.length is None and not self.chunked and lengths:
            self.length = _only(lengths)
        elif len(lengths) > 1 and not self.chunked:
            raise UnclearLength


def _listed(headers: Message, name: str) -> list[str]:
    return [each.strip().lower() for line in headers.get_all(name, []) for each in line.split(",")]


def _only(lengths: set[str]) -> int:
    """Source: RFC 9110, 8.6: a length that is repeated is that length."""
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()):
        raise UnclearLength
    return int(length)
