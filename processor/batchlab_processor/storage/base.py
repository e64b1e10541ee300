"""The verbs every scheme has. `Storage` (in the package's `__init__`) dispatches a URL to its scheme.

All of them raise `ItemError` with the right kind and nothing else; messages carry no query strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Probed:
    """What is known of a source without reading it whole."""

    url: str
    size_bytes: int | None = None  # None: not knowable without reading it
    validator: str | None = None  # strong ETag, generation or mtime+size: changes when the bytes change
    modified: datetime | None = None  # UTC
    head: bytes = b""  # the first bytes, at most 512
    content_type: str | None = None
    crc32: int | None = None  # of the whole object, when the server knows it
    ranges: bool = False  # whether part of it can be read
    metadata: Mapping[str, str] | None = None  # what its writer said of it; None: none is kept there


@dataclass(frozen=True)
class Listed:
    """One object found under a prefix."""

    url: str
    size_bytes: int
    modified: datetime | None = None


@dataclass(frozen=True)
class Written:
    """One object, visible and whole."""

    url: str
    size_bytes: int
    etag: str | None = None  # what `probe` gives as validator


class Reader(Protocol):
    """A stream of exactly the bytes asked for: fewer than promised raise ItemError(network), never end early."""

    probed: Probed  # as the server described it in this very answer (head may be empty)
    size_bytes: int | None  # bytes this reader will give

    def read(self, size: int = -1) -> bytes: ...

    def readinto(self, buffer: memoryview) -> int:
        """Fills at most `buffer`; 0 at the end."""
        ...


class Writer(Protocol):
    """Bytes for one new object. Nothing is visible before `commit`; leaving the context without it aborts."""

    def write(self, data: bytes | memoryview) -> int: ...

    def commit(self) -> Written:
        """Makes the object visible, whole. Raises ItemError(validation) when one exists and must not."""
        ...


@dataclass(frozen=True)
class WriteOptions:
    """How an object is to be written."""

    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    replaces: str | None = None  # validator of the one object that may be replaced; another raises changed
    expected_bytes: int | None = None  # an upper bound, to choose the size of equal parts; None: unknown
    crc32: bool = False  # parts (storage.parts) carry CRC-32s that the server checks and keeps; s3:// only
    on_upload: Callable[[str], None] | None = None  # told a multipart upload's id before its first part


class Scheme(Protocol):
    """One kind of storage. `url` is always of this scheme and already allowed by the authority."""

    def probe(self, url: str) -> Probed: ...

    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> AbstractContextManager[Reader]:
        """Bytes start..end (end exclusive, None: to the end), cut to the object as a slice is.

        With `validator`, other bytes raise changed. Bytes come as they are stored: nothing is decompressed.
        """
        ...

    def write(self, url: str, options: WriteOptions) -> AbstractContextManager[Writer]: ...

    def list(self, prefix: str) -> Iterator[Listed]:
        """Objects whose URL begins with `prefix`, in byte order of their decoded names; none is no error."""
        ...

    def delete(self, url: str) -> None:
        """Afterwards it is gone; deleting what is not there is no error."""
        ...

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        """A URL that reads this object until `lifetime` has passed; file:// gives the plain URL."""
        ...


@runtime_checkable
class LeavesUploads(Protocol):
    """A scheme whose writer, when it is killed, leaves something behind that is in nobody's way but costs."""

    def abort_uploads(self, url: str) -> int:
        """Ends what dead writers of exactly `url` left unfinished, and says how many. The caller
        knows that no live one is at work there."""
        ...
