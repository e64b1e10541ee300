"""A photo's bytes from its source into their places in the parts, each piece with its CRC-32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from batchlab.kinds import ItemError, Kind
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export.assembly import Assembly, Piece
from batchlab_processor.jobs.zip_export.contents import HEAD_BYTES, foreign
from batchlab_processor.jobs.zip_export.photo import Photo
from batchlab_processor.jobs.zip_export.receive import changed, crc32
from batchlab_processor.storage.base import Reader

READ_BYTES = 512 * 1024  # at once: still in the processor's cache when its CRC-32 is taken


def fetch(photo: Photo, member: int, assembly: Assembly, ctx: Context) -> None:
    """Afterwards every piece of the photo that had not been sent is in place. Raises ItemError."""
    first, _ = assembly.layout.data_span(member)
    for run in _runs(assembly.wanted(member)):
        view = assembly.view(run[0])  # a connection is opened only when there is room for what it brings
        begin, end = run[0].begin - first, run[-1].end - first
        with opened(photo, begin, end, ctx) as reader:
            if reader.size_bytes is not None and reader.size_bytes != end - begin:
                raise changed(photo, begin + reader.size_bytes)
            head = b"" if begin == 0 else None  # what the photo begins with; None: seen before
            for piece in run:
                view = view if piece is run[0] else assembly.view(piece)
                crc = fill(view, photo, reader, ctx)
                if head is not None:
                    head += view[: HEAD_BYTES - len(head)]
                    if len(head) >= HEAD_BYTES or piece is run[-1]:
                        _check_head(photo, head)
                        head = None
                if piece is run[-1] and reader.readinto(memoryview(bytearray(1))):
                    raise ItemError(Kind.CORRUPT, "The source sent more bytes than it had announced.")
                assembly.arrived(member, piece, crc)


def opened(photo: Photo, begin: int, end: int, ctx: Context) -> AbstractContextManager[Reader]:
    """A reader of the photo's bytes begin..end, from its source or from the archive it was delivered in."""
    if photo.delivered is not None:
        start = photo.delivered.start
        return ctx.storage.open(
            photo.delivered.url,
            start=start + begin,
            end=start + end,
            validator=photo.delivered.validator,
            delivered=True,
        )
    whole = begin == 0 and end == photo.size_bytes
    return ctx.storage.open(photo.url, start=begin, end=None if whole else end, validator=photo.validator)


def fill(view: memoryview, photo: Photo, reader: Reader, ctx: Context) -> int:
    """The CRC-32 of the bytes that fill `view` now."""
    crc = filled = 0
    while filled < len(view):
        count = reader.readinto(view[filled : filled + READ_BYTES])
        if not count:
            raise changed(photo, None)
        crc = crc32(view[filled : filled + count], crc)
        filled += count
        ctx.moved(count)
        if ctx.stop.is_set():
            raise ItemError(Kind.NETWORK, "The run stopped before the photo had come whole.")
    return crc


def _check_head(photo: Photo, head: bytes) -> None:
    if photo.delivered is None and (found := foreign(photo.name, head)):
        raise ItemError(Kind.CORRUPT, f"{photo.name} is {found}, not what its name says.")


def _runs(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The pieces, those that follow each other without a gap together: one request each."""
    run: list[Piece] = []
    for piece in pieces:
        if run and run[-1].end != piece.begin:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run
