"""Where a photo's bytes wait between download and archive: in blocks of memory, or in a file without a name."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Protocol

BLOCK_BYTES = 256 * 1024  # one read from a socket seldom brings more
CHUNK_BYTES = 64 * 1024  # M: stream-zip at 64 KiB 0.28 CPU-s/GB, at 1 MiB 0.52 (each MiB is mapped afresh)


class Payload(Protocol):
    """Filled from one thread, then read from another, then released."""

    size_bytes: int  # received so far

    def room(self) -> memoryview:
        """Where the next bytes go; never empty, so that a source may show that it goes on too long."""
        ...

    def filled(self, size_bytes: int) -> memoryview:
        """Takes the first `size_bytes` of `room` as received, and shows them."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """All bytes received, in pieces of CHUNK_BYTES, the last one shorter."""
        ...

    def release(self) -> None:
        """Gives memory and disk back; again is no error."""
        ...


class Blocks:
    """Blocks of memory that are used again. Fresh ones cost 0.7 CPU-s/GB in page faults (M), and freed ones
    of all sizes leave holes: with blocks, memory peaks at what was really held at once.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self) -> bytearray:
        with self._lock:
            return self._free.pop() if self._free else bytearray(BLOCK_BYTES)

    def give_back(self, blocks: list[bytearray]) -> None:
        with self._lock:
            self._free.extend(block for block in blocks if len(block) == BLOCK_BYTES)


class InMemory:
    """A payload of at most `capacity` bytes."""

    def __init__(self, blocks: Blocks, capacity: int) -> None:
        self.size_bytes = 0
        self._pool = blocks
        self._capacity = capacity
        self._blocks: list[bytearray] = []

    def room(self) -> memoryview:
        if self.size_bytes >= self._capacity:
            return memoryview(bytearray(1))
        used = self.size_bytes % BLOCK_BYTES
        if used == 0 and len(self._blocks) * BLOCK_BYTES <= self.size_bytes:
            left = self._capacity - self.size_bytes
            # A last piece gets memory of its own size: many small photos must not take a block each.
            self._blocks.append(self._pool.take() if left >= BLOCK_BYTES else bytearray(left))
        return memoryview(self._blocks[-1])[used:]

    def filled(self, size_bytes: int) -> memoryview:
        if self.size_bytes + size_bytes > self._capacity:
            raise ValueError("more bytes than the payload was made for")
        used = self.size_bytes % BLOCK_BYTES
        self.size_bytes += size_bytes
        return memoryview(self._blocks[-1])[used : used + size_bytes]

    def chunks(self) -> Iterator[bytes]:
        left = self.size_bytes
        for block in self._blocks:
            held = min(left, len(block))
            for start in range(0, held, CHUNK_BYTES):
                # Copies, because the reader keeps slices while the block may already be filled anew.
                yield bytes(memoryview(block)[start : min(start + CHUNK_BYTES, held)])
            left -= held

    def release(self) -> None:
        blocks, self._blocks, self.size_bytes = self._blocks, [], 0
        self._pool.give_back(blocks)


class OnDisk:
    """A payload of any size, in a file that has no name, so that a killed run leaves nothing."""

    def __init__(self, blocks: Blocks, directory: str) -> None:
        self.size_bytes = 0
        self._pool = blocks
        self._buffer = [blocks.take()]
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - release() closes

    def room(self) -> memoryview:
        return memoryview(self._buffer[0])

    def filled(self, size_bytes: int) -> memoryview:
        piece = self.room()[:size_bytes]
        written = 0
        while written < size_bytes:
            written += self._file.write(piece[written:])
        self.size_bytes += size_bytes
        return piece

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(CHUNK_BYTES):
            yield piece

    def release(self) -> None:
        self._file.close()
        buffer, self._buffer = self._buffer, []
        self._pool.give_back(buffer)


def in_memory(blocks: Blocks, content: bytes) -> InMemory:
    """A payload that holds `content`."""
    payload = InMemory(blocks, len(content))
    while payload.size_bytes < len(content):
        room = payload.room()
        piece = content[payload.size_bytes : payload.size_bytes + len(room)]
        room[: len(piece)] = piece
        payload.filled(len(piece))
    return payload
