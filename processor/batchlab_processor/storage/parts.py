"""One object made of equal parts that are sent in any order, from any process: what a planned archive is sent as.

parts = storage.begin_parts(url, options, part_bytes)     # parts.id is kept; resume_parts goes on with it
etag = parts.send(1, buffer)
parts.complete([etag, ...], size_bytes)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import WriteOptions, Written


class CannotCopy(ItemError):
    """The target's server cannot fetch these bytes itself: read them from the source and send them."""


class Parts(Protocol):
    """One object being made; visible whole or not at all. Safe to share between threads.

    All parts but the last are equally long. What fails is tried again, then raised as an ItemError.
    """

    id: str  # resumes it, in this process or another

    def send(self, number: int, body: memoryview, crc32: int | None = None) -> str:
        """The ETag of part `number`, from 1; a part that was there is replaced. `crc32` is of `body`."""
        ...

    def copy(self, number: int, source: str, start: int, end: int, validator: str) -> tuple[str, int | None]:
        """Part `number` is bytes start..end (end exclusive) of `source`; its ETag, and its CRC-32 where it is known.

        Raises ItemError(changed) when the source is no longer the one of `validator`, CannotCopy when
        source and target are not on the same server, or the range is none that it copies.
        """
        ...

    def sent(self) -> dict[int, str]:
        """The ETag of every part that is there; raises ItemError(missing) when the upload is unknown."""
        ...

    def complete(self, etags: Sequence[str], size_bytes: int) -> Written:
        """Makes the object of parts 1 to len(etags) visible, whole; asked again, it finds that it did.

        Raises ItemError: validation when an object is there and must not be replaced; corrupt when a part is
        not the one of its ETag; missing when the upload is gone and made no object.
        """
        ...

    def completed(self) -> Written | None:
        """The object, when this very upload made it and it is still there."""
        ...

    def abort(self) -> None:
        """Afterwards nothing of it is left; a completed object stays. No error when it is gone."""
        ...


@runtime_checkable
class TakesParts(Protocol):
    """A kind of storage that makes objects of parts."""

    def takes_parts(self, url: str) -> bool:
        """Whether it does so for this object, from here."""
        ...

    def begin_parts(self, url: str, options: WriteOptions, part_bytes: int) -> Parts:
        """Raises ItemError(validation) when an object is there and must not be replaced."""
        ...

    def resume_parts(self, url: str, upload_id: str, options: WriteOptions, part_bytes: int) -> Parts:
        """The same options as at the beginning. Nothing is asked of the server yet."""
        ...


def no_such_upload(url: str) -> ItemError:
    """What every method but abort raises once the upload is gone."""
    return ItemError(Kind.MISSING, f"The unfinished upload of {shown(url)} is gone. Begin again.")


def wrong_part(url: str, number: int) -> ItemError:
    """What `complete` raises for a part that is missing or not the one of its ETag."""
    return ItemError(
        Kind.CORRUPT, f"Part {number} of {shown(url)} is not the one that was sent. Send it again."
    )
