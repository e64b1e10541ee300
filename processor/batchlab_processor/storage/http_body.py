"""The bytes of one http answer: unpacked if the server packed them, counted, compared with its own digest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from typing import Protocol

from batchlab.answers import Answer
from batchlab.framing import Head
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Probed
from batchlab_processor.storage.http_status import refuse_page

_CHUNK_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


class Bytes(Protocol):
    """Fills the buffer, less at the end only, and then 0."""

    def readinto(self, buffer: memoryview) -> int: ...


def decoded(url: str, answer: Answer) -> Bytes:
    """The body as the source meant it. Servers pack at times what they were asked to leave alone."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return answer
    if encoding in ("gzip", "x-gzip"):
        return _Gunzipped(url, answer)
    raise ItemError(
        Kind.CORRUPT, f"{shown(url)} is packed as {encoding[:20]!r}, although asked for as it is."
    )


def md5_of(headers: Head) -> bytes | None:
    """The MD5 of the whole body that the server gives (Content-MD5, x-goog-hash), or None."""
    if (
        headers.get("Content-Encoding")
        or headers.get("x-goog-stored-content-encoding", "identity") != "identity"
    ):
        return None  # the digest is that of the packed bytes
    texts = [headers.get("Content-MD5", "")]
    for line in headers.get_all("x-goog-hash"):
        texts += [part.strip()[4:] for part in line.split(",") if part.strip().startswith("md5=")]
    for text in texts:
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(digest) == 16:
            return digest
    return None


class Body:
    """A Reader over one answer."""

    def __init__(
        self, url: str, source: Bytes, probed: Probed, size_bytes: int | None, *, first: bool = False
    ) -> None:
        self.probed = probed
        self.size_bytes = size_bytes
        self.received = 0
        self._url = url
        self._source = source
        self._first = first  # the next bytes are the first of the object
        self._left: int | None = None  # bytes to give before stopping early; None: all
        self._md5: bytes | None = None
        self._digest = hashlib.md5(usedforsecurity=False)

    def expect_md5(self, digest: bytes | None) -> None:
        """Lets the last read raise ItemError(corrupt) when the bytes have another digest."""
        self._md5 = digest

    def skip(self, size: int) -> None:
        """Reads on to byte `size`, because the server does not know ranges; raises ItemError(changed)."""
        scratch = memoryview(bytearray(min(size, _CHUNK_BYTES)))
        while size:
            count = self._source.readinto(scratch[: min(size, len(scratch))])
            if not count:
                raise ItemError(Kind.CHANGED, f"{shown(self._url)} is shorter than it was.")
            size -= count

    def cut(self, size: int) -> None:
        """Ends after `size` bytes, whatever the server goes on to send."""
        self._left = size

    def readinto(self, buffer: memoryview) -> int:
        if not len(buffer):
            return 0
        if self._left is not None:
            buffer = buffer[: self._left]
            if not len(buffer):
                return 0
        count = self._source.readinto(buffer)
        if self._first and count:
            self._first = False
            refuse_page(self._url, self.probed.content_type, bytes(buffer[: min(count, 512)]))
        self.received += count
        if self._left is not None:
            self._left -= count
        if self._md5 is not None and count:
            self._digest.update(buffer[:count])
        if not count or self.received == self.size_bytes:
            self._check_end()
        return count

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            whole = memoryview(bytearray(size))
            filled = 0
            while filled < size and (count := self.readinto(whole[filled:])):
                filled += count
            return bytes(whole[:filled])
        pieces = bytearray()
        chunk = memoryview(bytearray(_CHUNK_BYTES))
        while count := self.readinto(chunk):
            pieces += chunk[:count]
        return bytes(pieces)

    def _check_end(self) -> None:
        if self.size_bytes is not None and self.received < self.size_bytes:
            got = f"after {self.received:,} of {self.size_bytes:,} bytes"
            raise ItemError(Kind.NETWORK, f"{shown(self._url)} ended {got}.")
        if self._md5 is not None and self._digest.digest() != self._md5:
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} has another MD5 than its server says.")
        if self.received == 0 and self._first:
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} is empty.")


class _Gunzipped:
    """A gzip body unpacked, which must end where its stream ends."""

    def __init__(self, url: str, answer: Answer) -> None:
        self._url = url
        self._answer = answer
        self._unpacker = zlib.decompressobj(31)
        self._packed = b""
        self._begun = False  # whether this member has had any bytes

    def readinto(self, buffer: memoryview) -> int:
        filled = 0
        while filled < len(buffer):
            if not self._packed and not self._unpacker.eof:
                self._packed = self._answer.read(_CHUNK_BYTES)
                if not self._packed:
                    break
            filled += self._unpack(buffer[filled:])
            if self._unpacker.eof and not self._next_member():
                return filled
        if filled < len(buffer) and not self._unpacker.eof:
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} is packed with gzip and cut off.")
        return filled

    def _unpack(self, buffer: memoryview) -> int:
        try:
            piece = self._unpacker.decompress(self._packed, len(buffer))
        except zlib.error as error:
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} is packed with gzip and broken.") from error
        self._packed = self._unpacker.unconsumed_tail
        buffer[: len(piece)] = piece
        return len(piece)

    def _next_member(self) -> bool:
        """Whether another gzip member follows; anything else after the end is corrupt."""
        rest = self._unpacker.unused_data or self._answer.read(_CHUNK_BYTES)
        if not rest:
            return False
        if len(rest) < 2:
            rest += self._answer.read(_CHUNK_BYTES)
        if not rest.startswith(_GZIP_MAGIC):
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} has bytes after the end of its gzip stream.")
        self._unpacker, self._packed = zlib.decompressobj(31), rest
        return True
