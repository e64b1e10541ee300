"""One photo's way from its source into a payload: counted, checked, and with its CRC-32."""

from __future__ import annotations

from batchlab.kinds import ItemError, Kind
from batchlab_processor.crc32 import crc32 as crc32
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export.contents import HEAD_BYTES, foreign
from batchlab_processor.jobs.zip_export.payload import Blocks, InMemory, OnDisk, Payload
from batchlab_processor.jobs.zip_export.photo import Member, Photo
from batchlab_processor.storage.base import Reader


def receive(photo: Photo, blocks: Blocks, share_bytes: int, ctx: Context) -> Member:
    """The photo, whole and as it was when it was planned.

    Up to `share_bytes` it is kept in memory, else in a file in the run's scratch directory. Raises
    ItemError: changed when it is another one than planned, corrupt when it is empty, no picture although
    its name says so, or not what its source's CRC-32 promised.
    """
    with ctx.storage.open(photo.url, validator=photo.validator) as reader:
        size_bytes = reader.size_bytes
        if None not in (size_bytes, photo.size_bytes) and size_bytes != photo.size_bytes:
            raise changed(photo, size_bytes)
        payload: Payload
        if size_bytes is not None and size_bytes <= share_bytes:
            payload = InMemory(blocks, size_bytes)
        else:
            payload = OnDisk(blocks, ctx.scratch())
        try:
            crc, head = _fill(payload, reader, ctx)
            _check(photo, payload.size_bytes, crc, head)
        except BaseException:
            payload.release()
            raise
    return Member.of(photo, payload, crc)


def look_again(photo: Photo, ctx: Context) -> Photo:
    """The photo as its source describes it now: for another attempt after it failed once."""
    probed = ctx.storage.probe(photo.url)
    now = {"size_bytes": probed.size_bytes, "validator": probed.validator, "crc32": probed.crc32}
    return photo.model_copy(update=now)


def changed(photo: Photo, size_bytes: int | None) -> ItemError:
    """What a photo of another length than planned is."""
    now = "another length" if size_bytes is None else f"{size_bytes:,}"
    return ItemError(
        Kind.CHANGED, f"{photo.name} had {photo.size_bytes:,} bytes when planned, now it has {now}."
    )


def _fill(payload: Payload, reader: Reader, ctx: Context) -> tuple[int, bytes]:
    crc, head = 0, b""
    while size_bytes := reader.readinto(payload.room()):
        try:
            piece = payload.filled(size_bytes)
        except ValueError:
            raise ItemError(Kind.CORRUPT, "The source sent more bytes than it had announced.") from None
        crc = crc32(piece, crc)
        if len(head) < HEAD_BYTES:
            head += piece[: HEAD_BYTES - len(head)]
        ctx.moved(size_bytes)
        if ctx.stop.is_set():
            raise ItemError(Kind.NETWORK, "The run stopped before the photo had come whole.")
    return crc, head


def _check(photo: Photo, size_bytes: int, crc: int, head: bytes) -> None:
    if size_bytes == 0:
        raise ItemError(Kind.CORRUPT, f"{photo.name} is empty at its source.")
    if photo.size_bytes is not None and size_bytes != photo.size_bytes:
        raise changed(photo, size_bytes)
    if found := foreign(photo.name, head):
        raise ItemError(Kind.CORRUPT, f"{photo.name} is {found}, not what its name says.")
    if photo.crc32 is not None and crc != photo.crc32:
        raise ItemError(Kind.CORRUPT, f"{photo.name} does not match the CRC-32 of its source.")
