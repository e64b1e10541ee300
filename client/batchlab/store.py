"""A store: small JSON documents under a URL prefix, safe when many write at once.

Two promises carry everything else: `create` has exactly one winner, and `replace` succeeds only on the
version that was read. Every body is a JSON object; `replace` puts a fresh nonce into it, because an S3
ETag is a digest of the body and writing back an identical body would let a stale version pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from batchlab.errors import BatchlabError

JSON = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """One document as it was read."""

    body: JSON  # without the nonce
    version: str  # opaque; give it back to `replace`


class AlreadyExists(BatchlabError):
    """Somebody else created this document first; nothing was changed."""


class VersionConflict(BatchlabError):
    """The document changed since it was read; nothing was changed. Read it again and decide anew."""


class Store(Protocol):
    """Names are relative paths ("jobs/<id>/status.json"): no leading slash, no "..", no empty segment.

    All methods raise ServiceError (exit 7) when the storage cannot be reached and Denied (exit 6) when
    it refuses access; they retry passing faults themselves.
    """

    url: str  # the prefix, without a trailing slash

    def read(self, name: str) -> Stored | None:
        """The document, or None when there is none."""
        ...

    def create(self, name: str, body: JSON) -> str:
        """Writes a new document and returns its version; raises AlreadyExists. Exactly one of many wins."""
        ...

    def replace(self, name: str, body: JSON, version: str) -> str:
        """Writes over exactly `version` and returns the new one; raises VersionConflict (also when gone)."""
        ...

    def put(self, name: str, body: JSON) -> str:
        """Writes whatever was there before: for documents with one writer."""
        ...

    def delete(self, name: str) -> None:
        """Afterwards there is no such document; deleting a missing one is no error."""
        ...

    def names(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Names that begin with `prefix`, in byte order, those after `after` only."""
        ...

    def append(self, name: str, lines: list[JSON]) -> None:
        """Writes a new segment of JSON lines, whole or not at all; raises AlreadyExists."""
        ...

    def lines(self, name: str) -> list[JSON]:
        """The lines of a segment; [] when there is none."""
        ...

    def now(self) -> datetime:
        """The store's own clock (the server's Date header; this machine's clock for file://), in UTC."""
        ...
