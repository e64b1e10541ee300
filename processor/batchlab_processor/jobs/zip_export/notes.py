"""What the ledger keeps of an archive that is being made, so that a later run goes on with it.

Notes "archive", all with {round, volume}:
    {part, etag, ...}   the server has this part, and the CRC-32s of what is in it
    {reset, ...}        the source of this member has another version: what was sent of it before does not count
    {upload}            the server had forgotten the upload; this one took its place
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchlab_processor.jobs.zip_export.assembly import Ready
from batchlab_processor.jobs.zip_export.photo import Photo
from batchlab_processor.jobs.zip_export.volume import Volume

NOTE = "archive"
Note = dict[str, Any]


def part_note(ready: Ready, etag: str, *, copied: bool) -> Note:
    """`copied`: by the server, from another object."""
    return {
        "part": ready.part,
        "etag": etag,
        "crcs": list(ready.crcs),
        "lost": list(ready.lost),
        "headed": [[member, crc32] for member, crc32 in ready.headed.items()],
        "copied": copied,
    }


def reset_note(member: int, photo: Photo) -> Note:
    """`photo` as its source describes it now."""
    return {"reset": member, "validator": photo.validator, "crc32": photo.crc32}


def restore(volume: Volume, notes: Sequence[Note], there: Mapping[int, str], again: dict[str, Photo]) -> int:
    """Tells the assembly which parts are at the target: those whose ETag is the one in the server's list, `there`.

    Puts photos that have another version than planned into `again`, by key. Returns the bytes that were copied.
    """
    assembly = volume.assembly
    parts: dict[int, Note] = {}
    for note in notes:
        if "part" in note:
            parts[note["part"]] = note
        elif "reset" in note:
            member = note["reset"]
            for number in assembly.inner(member):
                parts.pop(number, None)
            assembly.known[member] = note["crc32"]
            now = {"validator": note["validator"], "crc32": note["crc32"]}
            again[volume.keys[member]] = volume.photos[member].model_copy(update=now)
    copied_bytes = 0
    for number, note in parts.items():
        if there.get(number + 1) == note["etag"]:
            headed: dict[int, int] = dict(note["headed"])
            assembly.restore(number, note["etag"], note["crcs"], note["lost"], headed)
            copied_bytes += note["copied"] * volume.layout.part_bytes
    assembly.restored()
    return copied_bytes
