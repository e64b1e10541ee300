"""The heads of requests and answers, and where an answer ends: RFC 9112, with nothing left to guess.

http.client reads the bodies. Its heads go through the e-mail parser, which costs half of a small request and takes
a line that is no field for the end of the head. It takes a 103 for the answer, `gzip, chunked` for no chunks at
all, two different lengths for the first one, and a head that is cut off for a whole one.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import BinaryIO, overload

_LINE_BYTES = 65_536
_FIELDS = 100
_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS = " \t"  # str.strip alone takes control characters and no-break spaces for blanks, too
_CHUNK_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*")  # 15 digits are an exabyte
_LENGTH_DIGITS = 18  # so many fit 64 bits


class UnclearLength(http.client.HTTPException):
    """The headers tell two lengths, or one that is no number of bytes."""


class CutHead(http.client.HTTPException):
    """The connection ended among the headers."""


class Head:
    """The fields of a head, in their order; names are found in any case. Values are Latin-1."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields = list(fields)
        self._values: dict[str, list[str]] = {}
        for name, value in self._fields:
            self._values.setdefault(name.lower(), []).append(value)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value."""
        values = self._values.get(name.lower())
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        return self._values.get(name.lower(), [])

    def items(self) -> list[tuple[str, str]]:
        return self._fields


def request_head(method: str, target: str, fields: Mapping[str, str]) -> bytes:
    """Raises ValueError when a part of it could be read as more than it is."""
    if not (_TOKEN.fullmatch(method) and _TARGET.fullmatch(target)):
        raise ValueError("a request's method or target holds a character that none may hold")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in fields.items():
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise ValueError(f"the header {name!a} holds a character that none may hold")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


def read_head(stream: BinaryIO) -> Head:
    """The fields up to the empty line. Raises http.client.HTTPException: CutHead, LineTooLong, too many fields."""
    fields: list[tuple[str, str]] = []
    for _ in range(_FIELDS + 1):
        line = stream.readline(_LINE_BYTES + 1)
        if len(line) > _LINE_BYTES:
            raise http.client.LineTooLong("header line")
        if line in (b"\r\n", b"\n"):
            return Head(fields)
        if not line:
            raise CutHead
        text = line.decode("latin-1").rstrip("\r\n").replace("\r", " ")
        if text[:1] in (" ", "\t"):  # a field that goes on; before the first one it is nothing
            if fields:
                fields[-1] = (fields[-1][0], f"{fields[-1][1]} {text.strip()}".strip())
            continue
        name, colon, value = text.partition(":")
        if colon and name.strip(_BLANKS):
            fields.append((name.strip(_BLANKS), value.strip(_BLANKS)))
    raise http.client.HTTPException(f"more than {_FIELDS} headers")


class FramedResponse(http.client.HTTPResponse):
    """An answer that is read from its own first byte to its own last."""

    fields: Head

    def begin(self) -> None:
        """Raises http.client.HTTPException for an answer whose end nobody can tell."""
        while True:
            version, self.status, reason = self._read_status()  # type: ignore[attr-defined]
            self.fields = read_head(self.fp)
            if not 100 <= self.status < 200 or self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                break
        if not version.startswith("HTTP/1.") and version != "HTTP/0.9":
            raise http.client.UnknownProtocol(version)
        self.code, self.reason = self.status, reason.strip()
        self.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        self.headers = self.msg = self.fields  # type: ignore[assignment]
        self._frame()

    def _frame(self) -> None:
        """Sources: RFC 9112, 6.3; RFC 9110, 8.6."""
        codings = [
            coding for coding in _listed(self.fields, "Transfer-Encoding") if coding not in ("", "identity")
        ]
        if codings not in ([], ["chunked"]):
            raise http.client.UnknownTransferEncoding
        lengths = set(_listed(self.fields, "Content-Length"))
        self.chunked, self.chunk_left, self.length = bool(codings), None, None
        if not self.chunked and lengths:
            self.length = _only(lengths)
        if self.status in _NO_BODY or 100 <= self.status < 200 or self._method == "HEAD":  # type: ignore[attr-defined]
            self.chunked, self.length = False, 0
        self.will_close = self._check_close() or self._is_last(bool(codings), bool(lengths))  # type: ignore[attr-defined]
        if not self.chunked and self.length is None:
            self.will_close = True

    def _is_last(self, chunks: bool, lengths: bool) -> bool:
        """Whether what comes after this answer on its connection cannot be trusted to be the next one.

        Sources: RFC 9112, 6.1 (chunks in HTTP/1.0, or with a length beside them) and 9.6; RFC 9110, 7.8.
        """
        doubtful = chunks and (lengths or self.version == 10)
        other_protocol = self.status == HTTPStatus.SWITCHING_PROTOCOLS
        return doubtful or other_protocol or "close" in _listed(self.fields, "Connection")

    def _read_next_chunk_size(self) -> int:
        """Raises ValueError for what is no size; http.client takes -3, 0x3 and 1_0 for one, and one that is cut off."""
        line = self.fp.readline(_LINE_BYTES + 1)
        size = _CHUNK_SIZE.fullmatch(line.partition(b";")[0].rstrip(b"\r\n"))
        if size is None or not line.endswith(b"\n"):
            raise ValueError("no size of a chunk")
        return int(size[1], 16)


def _listed(head: Head, name: str) -> list[str]:
    return [each.strip(_BLANKS).lower() for line in head.get_all(name) for each in line.split(",")]


def _only(lengths: set[str]) -> int:
    """A length that is repeated is that length."""
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > _LENGTH_DIGITS:
        raise UnclearLength
    return int(length)
