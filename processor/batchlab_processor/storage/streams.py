"""Readers that give exactly the bytes they promised, whatever lies underneath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Probed

HEAD_BYTES = 512  # what `Probed.head` holds at most


class Source(Protocol):
    """Where a stream's bytes come from: a file, an HTTP body."""

    def readinto(self, buffer: memoryview, /) -> int: ...


def cut(start: int, end: int | None, size_bytes: int) -> tuple[int, int]:
    """(first, last) of bytes start..end of an object of this size, as a slice would take them."""
    if start < 0 or (end is not None and end < 0):
        raise ValueError("a range counts from the beginning: start and end are 0 or more")
    last = size_bytes if end is None else min(end, size_bytes)
    return min(start, last), last


class StreamReader:
    """`size_bytes` bytes of `source`: fewer raise ItemError(`short`), what comes after them is not read.

    Errors of the source are put into our words by `as_item_error`; `at_end` is called once all bytes came.
    """

    def __init__(
        self,
        probed: Probed,
        size_bytes: int,
        source: Source,
        *,
        as_item_error: Callable[[Exception], ItemError],
        seen: Callable[[memoryview], None] | None = None,
        at_end: Callable[[], None] | None = None,
        short: Kind = Kind.NETWORK,
    ) -> None:
        self.probed = probed
        self.size_bytes: int | None = size_bytes
        self._left = size_bytes
        self._source = source
        self._as_item_error = as_item_error
        self._seen = seen
        self._at_end = at_end
        self._short = short

    def readinto(self, buffer: memoryview) -> int:
        """Fills at most `buffer`; 0 at the end."""
        if self._left == 0 or len(buffer) == 0:
            return 0
        room = buffer[: self._left]
        try:
            count = self._source.readinto(room)
        except ItemError:
            raise
        except Exception as error:
            raise self._as_item_error(error) from error
        if count == 0:
            raise ItemError(
                self._short,
                f"{shown(self.probed.url)} ended {self._left:,} bytes before its end.",
            )
        self._left -= count
        if self._seen is not None:
            self._seen(room[:count])
        if self._left == 0 and self._at_end is not None:
            self._at_end()
        return count

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that are left when it is negative; b"" at the end."""
        wanted = self._left if size < 0 else min(size, self._left)
        buffer = bytearray(wanted)
        filled = 0
        with memoryview(buffer) as view:
            while filled < wanted:
                filled += self.readinto(view[filled:])
        return bytes(buffer)


class MemoryReader:
    """Bytes that are here already."""

    def __init__(self, probed: Probed, data: bytes) -> None:
        self.probed = probed
        self.size_bytes: int | None = len(data)
        self._data = memoryview(data)

    def readinto(self, buffer: memoryview) -> int:
        """Fills at most `buffer`; 0 at the end."""
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that are left when it is negative; b"" at the end."""
        data = self._data if size < 0 else self._data[:size]
        self._data = self._data[len(data) :]
        return bytes(data)
