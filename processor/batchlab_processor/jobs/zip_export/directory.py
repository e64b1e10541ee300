"""What one of our archives holds, read back from its central directory.

Only what `headers` writes is accepted, byte for byte: so the places of the photos follow from the directory alone,
and no local header needs to be read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.zip_export import fillers, headers

_END_READ_BYTES = 64 * 1024  # the directory of 500 photos comes with the end, in one request
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Found:
    """One member of the directory; offsets count from the archive's beginning."""

    name: str
    offset: int  # of its local header
    data_offset: int  # of its bytes
    size_bytes: int
    crc32: int
    date: datetime  # even seconds, with the offset from UTC it was given


def read_directory(read: Callable[[int, int], bytes], size_bytes: int) -> list[Found]:
    """The members in the directory, in the order of their places; `read(start, end)` gives the archive's bytes.

    The note that stands for a lost first photo is none of them.

    Raises ItemError(corrupt) when it is not one that the planned sink wrote, whole.
    """
    try:
        return list(_members(read, size_bytes))
    except (ValueError, LookupError, OverflowError, struct.error) as error:
        raise ItemError(
            Kind.CORRUPT,
            f"The archive of {size_bytes:,} bytes is damaged, or was not written here ({error}): nothing of it can "
            "be taken over. Submit the export anew.",
        ) from None


def _members(read: Callable[[int, int], bytes], size_bytes: int) -> Iterator[Found]:
    last_bytes = min(size_bytes, _END_READ_BYTES)
    last = read(size_bytes - last_bytes, size_bytes)
    if len(last) != last_bytes:
        raise ValueError(f"its last {last_bytes:,} bytes came as {len(last):,}")
    count, begin, directory_bytes = _ends(last)
    ends = headers.ends(count, begin, directory_bytes)
    if not last.endswith(ends) or begin + directory_bytes + len(ends) != size_bytes:
        raise ValueError("its end records are others")
    in_last = begin - (size_bytes - last_bytes)
    directory = last[in_last:] if in_last >= 0 else read(begin, begin + directory_bytes)
    at = free = 0  # where the next line begins; where the next member may begin
    for _ in range(count):
        found, line = _line(directory, at)
        is_note = found.offset == 0 and line == fillers.note_line(found.date)
        if directory[at : at + len(line)] != line or found.offset < free or (at == 0 < found.offset):
            raise ValueError(f"its directory has another line at byte {at:,}")
        at, free = at + len(line), fillers.ROOM_BYTES if is_note else found.data_offset + found.size_bytes
        if not is_note:
            yield found
    if at != directory_bytes or free > begin:
        raise ValueError("its directory has another length")


def _ends(last: bytes) -> tuple[int, int, int]:
    """How many members, where the directory begins, and its length in bytes: as the end records say."""
    *_, count, directory_bytes, begin, _ = headers.END.unpack(last[-headers.END.size :])
    if count == headers.MANY or headers.BIG in (directory_bytes, begin):
        end_64 = last[-headers.ENDS_BYTES :][: headers.END_64.size]
        *_, count, directory_bytes, begin = headers.END_64.unpack(end_64)
    return count, begin, directory_bytes


def _line(directory: bytes, at: int) -> tuple[Found, bytes]:
    """The member whose line begins at byte `at`, and that line as we would write it."""
    fields = headers.CENTRAL.unpack_from(directory, at)
    time, day, crc32, _, size_bytes, name_bytes, extra_bytes = fields[6:13]
    offset = fields[-1]
    at += headers.CENTRAL.size
    name = directory[at : at + name_bytes]
    extra = directory[at + name_bytes : at + name_bytes + extra_bytes]
    if headers.BIG in (size_bytes, offset):
        large = [
            value for (value,) in struct.iter_unpack("<Q", extra[headers.EXTRA.size : -headers.TIMES_BYTES])
        ]
        offset = large.pop() if offset == headers.BIG else offset
        size_bytes = large.pop() if size_bytes == headers.BIG else size_bytes
    date = _date(time, day, int.from_bytes(extra[-4:], "little", signed=True))
    data_offset = offset + headers.local_bytes(name_bytes, size_bytes) + (0 if offset else fillers.ROOM_BYTES)
    found = Found(name.decode(), offset, data_offset, size_bytes, crc32, date)
    return found, headers.central(name, size_bytes, date, crc32, offset)


def _date(time: int, day: int, seconds: int) -> datetime:
    """The wall clock says hours, the other time seconds since 1970 in UTC: what is between is the offset."""
    wall = datetime(  # noqa: DTZ001 - the offset comes now
        1980 + (day >> 9), day >> 5 & 15, day & 31, time >> 11, time >> 5 & 63, (time & 31) * 2
    )
    return wall.replace(tzinfo=timezone(wall - (_EPOCH + timedelta(seconds=seconds))))
