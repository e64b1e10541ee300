"""One export as several archives, when one would be longer than it may be."""

from __future__ import annotations

from collections.abc import Sequence

from batchlab.kinds import ItemError, Kind
from batchlab.words import size
from batchlab_processor.jobs.zip_export import fillers, headers
from batchlab_processor.jobs.zip_export.layout import Shape
from batchlab_processor.jobs.zip_export.names import MISSING_NAME


def split(shapes: Sequence[Shape], max_archive_bytes: int, reserve_bytes: int) -> list[range]:
    """Which members make each volume, in order and in as few volumes as that order allows.

    No volume is longer than `max_archive_bytes`, headers and directory included; the last has room for a
    `_missing.csv` of `reserve_bytes`, too. Raises ItemError(too_large) when a photo is too long for any volume.
    """
    table = len(MISSING_NAME.encode())
    volumes: list[range] = []
    begin = 0  # the volume's first member
    used, directory = (
        fillers.ROOM_BYTES,
        fillers.NOTE_LINE_BYTES,
    )  # the bytes of its members and of its directory
    for member, shape in enumerate(shapes):
        name_bytes = len(shape.name.encode())
        whole = headers.local_bytes(name_bytes, shape.size_bytes) + shape.size_bytes
        room = max_archive_bytes - headers.ENDS_BYTES
        if member == len(shapes) - 1:
            room -= headers.local_bytes(table, reserve_bytes) + reserve_bytes
            room -= headers.central_bytes(table, reserve_bytes, headers.BIG)
        if begin < member and used + whole + directory + _line(name_bytes, shape, used) > room:
            volumes.append(range(begin, member))
            begin = member
            used, directory = fillers.ROOM_BYTES, fillers.NOTE_LINE_BYTES
        directory += _line(name_bytes, shape, used)
        used += whole
        if used + directory > room:  # alone
            raise ItemError(
                Kind.TOO_LARGE,
                f"{shape.name} has {size(shape.size_bytes)}, more than an archive of {size(max_archive_bytes)} holds. "
                "Raise max_archive_bytes, or leave the photo out.",
            )
    if begin < len(shapes):
        volumes.append(range(begin, len(shapes)))
    return volumes


def _line(name_bytes: int, shape: Shape, offset: int) -> int:
    return headers.central_bytes(name_bytes, shape.size_bytes, offset)
