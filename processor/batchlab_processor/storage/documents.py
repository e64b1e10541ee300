"""Documents, lists and CSV from anywhere, compressed or not, through smart_open and bounded on the way.

smart_open decompresses; its bytes come from our own readers, so that the guard and the authority hold. What is
compressed is told by its first bytes: a presigned URL or a build's artifact seldom ends with ".gz".
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, TextIO, cast

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Reader

LARGEST_BYTES = 512 * 1024 * 1024  # decompressed; a million rows of a photo list are about 200 MB
_PIECE_BYTES = 256 * 1024
_MAGIC = {  # first bytes -> smart_open's name
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"\xfd7zXZ\x00": ".xz",
    b"\x04\x22\x4d\x18": ".lz4",
}


def read(reader: Reader, limit_bytes: int) -> bytes:
    """All bytes behind `reader`, decompressed; raises ItemError: too_large, corrupt."""
    with decompressed(reader, limit_bytes) as file:
        pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
        return b"".join(pieces)


@contextmanager
def text(opening: AbstractContextManager[Reader], limit_bytes: int = LARGEST_BYTES) -> Iterator[TextIO]:
    """UTF-8 text, with or without a byte order mark; line ends as they are: csv needs it."""
    with opening as reader, decompressed(reader, limit_bytes) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            yield lines
        except UnicodeDecodeError as error:
            if "utf-8" not in error.encoding:
                raise
            raise ItemError(
                Kind.VALIDATION,
                f"{shown(reader.probed.url)} is not UTF-8 text ({error.reason}). Save it as UTF-8.",
            ) from error
        finally:
            lines.detach()


@contextmanager
def decompressed(reader: Reader, limit_bytes: int = LARGEST_BYTES) -> Iterator[IO[bytes]]:
    """The bytes behind `reader`, decompressed when they are compressed, at most `limit_bytes` of them."""
    url = reader.probed.url
    stored = io.BufferedReader(_Stored(reader), _PIECE_BYTES)
    start = stored.peek(8)[:8]
    compression = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    plain: IO[bytes] = stored
    if compression is not None:
        from smart_open.compression import compression_wrapper

        try:
            plain = compression_wrapper(stored, "rb", compression=compression)
        except ImportError as error:
            extra = {".zst": "zst", ".lz4": "lz4"}.get(compression, "all")
            raise ItemError(
                Kind.VALIDATION,
                f"{shown(url)} is compressed as {compression}. Compress it with gzip, or install what reads it: "
                f"pip install 'smart-open[{extra}]'",
            ) from error
    with io.BufferedReader(_Bounded(plain, url, limit_bytes), _PIECE_BYTES) as bounded:
        try:
            yield cast("IO[bytes]", bounded)
        finally:
            if plain is not stored:
                plain.close()
            stored.close()


class _Stored(io.RawIOBase):
    """One of our readers as a file."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with memoryview(buffer) as view:
            return self._reader.readinto(view)


class _Bounded(io.RawIOBase):
    """`plain` up to `limit_bytes`; what goes wrong in it in our words."""

    def __init__(self, plain: IO[bytes], url: str, limit_bytes: int) -> None:
        self._plain = plain
        self._url = url
        self._limit_bytes = limit_bytes
        self._left = limit_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            piece = self._plain.read(min(len(buffer), self._left + 1))
        except ItemError:
            raise
        except MemoryError as error:
            raise ItemError(
                Kind.TOO_LARGE, f"{shown(self._url)} needs more memory than there is to be decompressed."
            ) from error
        except Exception as error:
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} cannot be decompressed: {error}.") from error
        self._left -= len(piece)
        if self._left < 0:
            raise ItemError(
                Kind.TOO_LARGE,
                f"{shown(self._url)} has more than {self._limit_bytes:,} bytes when decompressed.",
            )
        buffer[: len(piece)] = piece
        return len(piece)
