"""The records of a ZIP of stored members: their bytes, and how long they are before anything else is known.

Source: PKWARE APPNOTE.TXT 6.3.10, whose sections are named below. Sizes and offsets of 4 GiB - 1 and more, and
65,535 members and more, are said in Zip64 fields, and only those: 0xFFFFFFFF in a classic field means "see there",
so that a size of exactly so many bytes does not fit it any more.
"""

from __future__ import annotations

from datetime import datetime
from struct import Struct

LOCAL = Struct("<4s5H3I2H")  # 4.3.7
LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL = Struct("<4s2B5H3I5H2I")  # 4.3.12
CENTRAL_SIGNATURE = b"PK\x01\x02"
END = Struct("<4s4H2IH")  # 4.3.16
END_SIGNATURE = b"PK\x05\x06"
END_64 = Struct("<4sQ2H2I4Q")  # 4.3.14
END_64_SIGNATURE = b"PK\x06\x06"
LOCATOR = Struct("<4sIQI")  # 4.3.15
LOCATOR_SIGNATURE = b"PK\x06\x07"
EXTRA = Struct("<2H")  # 4.5.1: id and length of an extra field
ZIP_64 = 0x0001  # 4.5.3
TIMES = 0x5455  # Info-ZIP's "extended timestamp"
_TIMES = Struct("<2HBi")
TIMES_BYTES = _TIMES.size
_MODIFIED_ONLY = 1  # of its three times

BIG = 0xFFFF_FFFF  # the first number of bytes that a classic field cannot say
MANY = 0xFFFF  # and the first number of members

_GROWTH_HINT = 0xA220  # 4.6.10: room that a writer keeps for later
_GROWTH = Struct("<4H")  # id, length, signature, what it is filled with

_UTF_8 = 1 << 11  # 4.4.4: the name is UTF-8
_STORED = 0
_CLASSIC_VERSION, _ZIP_64_VERSION = 20, 45  # 4.4.3; P1's archives say 20, too
_UNIX = 3
_ATTRIBUTES = 0o100644 << 16  # a plain file that everybody may read
ENDS_BYTES = END_64.size + LOCATOR.size + END.size  # at most


def local_bytes(name_bytes: int, size_bytes: int) -> int:
    """The length of a local header without room."""
    return LOCAL.size + name_bytes + (EXTRA.size + 16 if size_bytes >= BIG else 0) + _TIMES.size


def central_bytes(name_bytes: int, size_bytes: int, offset: int) -> int:
    """The length of a member's line in the central directory."""
    large = (16 if size_bytes >= BIG else 0) + (8 if offset >= BIG else 0)
    return CENTRAL.size + name_bytes + (EXTRA.size + large if large else 0) + _TIMES.size


def local(name: bytes, size_bytes: int, date: datetime, crc32: int, room_bytes: int = 0) -> bytes:
    """A member's local header, with its size and CRC: readers of streams need them before the bytes.

    `room_bytes`: longer by so many bytes, which say nothing; 0, or at least 8.
    """
    extra = _extra(date, (size_bytes, size_bytes) if size_bytes >= BIG else ())
    if room_bytes:
        extra += _GROWTH.pack(_GROWTH_HINT, room_bytes - EXTRA.size, 0xA028, 0) + bytes(
            room_bytes - _GROWTH.size
        )
    version = _ZIP_64_VERSION if size_bytes >= BIG else _CLASSIC_VERSION
    size = min(size_bytes, BIG)
    head = LOCAL.pack(
        LOCAL_SIGNATURE, version, _UTF_8, _STORED, *_dos(date), crc32, size, size, len(name), len(extra)
    )
    return head + name + extra


def central(name: bytes, size_bytes: int, date: datetime, crc32: int, offset: int) -> bytes:
    """A member's line in the central directory; `offset` is where its local header begins."""
    large = (size_bytes, size_bytes) if size_bytes >= BIG else ()
    if offset >= BIG:
        large = (*large, offset)
    extra = _extra(date, large)
    version = _ZIP_64_VERSION if large else _CLASSIC_VERSION
    size = min(size_bytes, BIG)
    head = CENTRAL.pack(
        CENTRAL_SIGNATURE, version, _UNIX, version, _UTF_8, _STORED, *_dos(date), crc32, size, size,
        len(name), len(extra), 0, 0, 0, _ATTRIBUTES, min(offset, BIG),
    )  # fmt: skip
    return head + name + extra


def ends(members: int, offset: int, size_bytes: int) -> bytes:
    """What follows a central directory of so many members and bytes that begins at `offset`."""
    zip_64 = b""
    if members >= MANY or offset >= BIG or size_bytes >= BIG:
        version = _ZIP_64_VERSION
        zip_64 = END_64.pack(
            END_64_SIGNATURE, END_64.size - 12, version, version, 0, 0, members, members, size_bytes, offset
        ) + LOCATOR.pack(LOCATOR_SIGNATURE, 0, offset + size_bytes, 1)
    count = min(members, MANY)
    return zip_64 + END.pack(END_SIGNATURE, 0, 0, count, count, min(size_bytes, BIG), min(offset, BIG), 0)


def _extra(date: datetime, large: tuple[int, ...]) -> bytes:
    times = _TIMES.pack(TIMES, _TIMES.size - EXTRA.size, _MODIFIED_ONLY, int(date.timestamp()))
    if not large:
        return times
    # First: Windows 7 looks for it nowhere else (found by the authors of zip_tricks).
    zip_64 = EXTRA.pack(ZIP_64, 8 * len(large)) + b"".join(value.to_bytes(8, "little") for value in large)
    return zip_64 + times


def _dos(date: datetime) -> tuple[int, int]:
    """4.4.6: time and day on the wall clock, in two seconds."""
    time = date.second >> 1 | date.minute << 5 | date.hour << 11
    return time, date.day | date.month << 5 | (date.year - 1980) << 9
