"""What stands in the place of a lost photo: a member of zeros, not in the directory.

Readers of streams need it to read on; what reads the directory does not see it. But 7-Zip believes in a directory
only if the member at byte 0 stands in it, and otherwise shows every local header (`AreItemsEqual` in its ZipIn.cpp).
So the first header of an archive has room for a note, and when the first photo is lost, the note is the first member.
"""

from __future__ import annotations

import zlib
from collections.abc import Container
from datetime import datetime

from batchlab_processor.jobs.zip_export import headers
from batchlab_processor.jobs.zip_export.names import MISSING_NAME, NOTE_NAME

NOTE = f"Photos are missing in this archive: {MISSING_NAME} says which, and why.\r\n".encode()
_NAME = NOTE_NAME.encode()
ROOM_BYTES = headers.local_bytes(len(_NAME), len(NOTE)) + len(NOTE)
NOTE_LINE_BYTES = headers.central_bytes(len(_NAME), len(NOTE), 0)
_COMPONENT_BYTES = 200  # a file system takes 255; a longer name is cut into folders of so many


def note(date: datetime) -> bytes:
    """The note as a member: ROOM_BYTES bytes."""
    return headers.local(_NAME, len(NOTE), date, zlib.crc32(NOTE)) + NOTE


def note_line(date: datetime) -> bytes:
    """The note's line in the directory; it lies at byte 0."""
    return headers.central(_NAME, len(NOTE), date, zlib.crc32(NOTE), 0)


def filler_name(member: int, name: bytes, taken: Container[str]) -> bytes:
    """`_missing_<member>`, cut in its word or with zeros in its number to be as long as the photo's `name`.

    Where that cannot be unique, as the name is shorter than the number or a photo has it already: `name`.
    """
    size_bytes, number = len(name), str(member)
    word = "_missing_"[: max(0, size_bytes - len(number))]
    made = word + number.zfill(size_bytes - len(word))
    for slash in range(_COMPONENT_BYTES, size_bytes - len(number), _COMPONENT_BYTES):
        made = made[:slash] + "/" + made[slash + 1 :]
    return name if len(made) > size_bytes or made in taken else made.encode()
