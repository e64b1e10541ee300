"""Where every byte of an archive of stored members lies, before the first of them is downloaded.

Pure: names, sizes and dates in, offsets and headers out. Local headers and photos follow each other without a gap
from byte 0; behind them come `_missing.csv`, if any, and the central directory. A grid of equal parts lies over all.
The first header is longer by the room for a note (see `fillers`).
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate

from batchlab_processor.jobs.zip_export import fillers, headers
from batchlab_processor.jobs.zip_export.crc import combine, of_zeros
from batchlab_processor.jobs.zip_export.missing import MISSING_BYTES
from batchlab_processor.jobs.zip_export.names import MISSING_NAME, folded

__all__ = ["PLANNED_PARTS", "SMALLEST_PART_BYTES", "Layout", "Shape", "combine", "part_bytes"]

_MIB = 1 << 20
PLANNED_PARTS = 9_500  # of the 10,000 that S3 and R2 take
SMALLEST_PART_BYTES = 8 * _MIB  # S3 and R2 ask for 5 MiB; a PUT's own cost is small from 8 MiB on


def part_bytes(total_bytes: int) -> int:
    """How long the parts of an archive of so many bytes are."""
    mebibytes = -(-total_bytes // (PLANNED_PARTS * _MIB))
    return max(SMALLEST_PART_BYTES, mebibytes * _MIB)


_fitting_part_bytes = part_bytes  # the constructor's argument has the same name


@dataclass(frozen=True, slots=True)
class Shape:
    """What a member is, apart from its bytes."""

    name: str  # safe, and unique in its archive
    size_bytes: int
    date: datetime  # even seconds, 1980 to 2038, with an offset from UTC: as member_date makes them


class Layout:
    """The archive of these members, in this order; members and parts are counted from 0."""

    def __init__(self, shapes: Sequence[Shape], *, part_bytes: int | None = None) -> None:
        """Without `part_bytes` the parts are as long as the whole archive needs, `_missing.csv` included."""
        self._shapes = shapes
        self._names = [shape.name.encode() for shape in shapes]
        lengths = [
            headers.local_bytes(len(name), shape.size_bytes) + shape.size_bytes
            for name, shape in zip(self._names, shapes, strict=True)
        ]
        if lengths:
            lengths[0] += fillers.ROOM_BYTES
        self._begins = list(accumulate(lengths, initial=0))
        self.end = self._begins[-1]  # where the members end, in bytes from the archive's beginning
        if part_bytes is None:
            part_bytes = _fitting_part_bytes(self.end + self.tail_bound(MISSING_BYTES * len(shapes)))
        self.part_bytes = part_bytes

    def __len__(self) -> int:
        return len(self._shapes)

    def header_span(self, member: int) -> tuple[int, int]:
        """The bytes of the archive that its local header takes, end exclusive."""
        return self._begins[member], self._begins[member + 1] - self._shapes[member].size_bytes

    def data_span(self, member: int) -> tuple[int, int]:
        """The bytes of the archive that the photo takes, end exclusive."""
        end = self._begins[member + 1]
        return end - self._shapes[member].size_bytes, end

    def parts(self, begin: int, end: int) -> range:
        """The parts that these bytes of the archive lie in; none for no bytes."""
        if begin >= end:
            return range(0)
        return range(begin // self.part_bytes, -(-end // self.part_bytes))

    def part_span(self, part: int) -> tuple[int, int]:
        """The bytes of the archive that a part takes, if the archive is that long; end exclusive."""
        return part * self.part_bytes, (part + 1) * self.part_bytes

    def members_in(self, part: int) -> range:
        """The members of which a byte, of the header or the photo, lies in the part."""
        begin, end = self.part_span(part)
        last = bisect_left(self._begins, end, hi=len(self))
        return range(min(bisect_right(self._begins, begin) - 1, last), last)

    def header(self, member: int, crc32: int) -> bytes:
        """The local header of a photo with this CRC-32."""
        shape = self._shapes[member]
        room_bytes = 0 if member else fillers.ROOM_BYTES
        return headers.local(self._names[member], shape.size_bytes, shape.date, crc32, room_bytes)

    def filler_header(self, member: int) -> bytes:
        """What stands there instead when the photo is lost and its place is filled with zeros; just as long.

        A local header of another name, which only readers of streams ever see, and they read on behind it. Before
        it, if this is the first member, a whole one: the note.
        """
        shape = self._shapes[member]
        name = fillers.filler_name(member, self._names[member], self._taken)
        header = headers.local(name, shape.size_bytes, shape.date, self.filler_crc32(member))
        return header if member else fillers.note(shape.date) + header

    def filler_crc32(self, member: int) -> int:
        """The CRC-32 of the zeros in a lost photo's place."""
        return of_zeros(self._shapes[member].size_bytes)

    def tail(
        self,
        crcs: Sequence[int | None],
        extra: Sequence[tuple[Shape, bytes]] = (),
        *,
        end: int | None = None,
    ) -> bytes:
        """Everything behind the members: the `extra` members, the central directory and the end records.

        `crcs` holds each member's CRC-32; None: the member is lost and not in the directory. `end`: the archive
        was cut there, in front of a member, and all from there on are lost.
        """
        begin = self.end if end is None else end
        kept = bisect_left(self._begins, begin, hi=len(self))
        if len(crcs) != len(self):
            raise ValueError(f"{len(crcs)} CRC-32s for {len(self)} members")
        if self._begins[kept] != begin or any(crc is not None for crc in crcs[kept:]):
            raise ValueError(f"byte {begin:,} is not where the members that are not lost end")
        directory = [
            headers.central(name, shape.size_bytes, shape.date, crc, offset)
            for name, shape, crc, offset in zip(self._names, self._shapes, crcs, self._begins, strict=False)
            if crc is not None
        ]
        if kept and crcs[0] is None:
            directory.insert(0, fillers.note_line(self._shapes[0].date))
        members = []
        for shape, content in extra:
            name, crc = shape.name.encode(), zlib.crc32(content)
            directory.append(headers.central(name, len(content), shape.date, crc, begin))
            member = headers.local(name, len(content), shape.date, crc) + content
            members.append(member)
            begin += len(member)
        listed = b"".join(directory)
        return b"".join([*members, listed, headers.ends(len(directory), begin, len(listed))])

    def tail_bound(self, extra_bytes: int) -> int:
        """At most so long is a tail, with a `_missing.csv` of `extra_bytes`."""
        table = len(MISSING_NAME.encode())
        lines = fillers.NOTE_LINE_BYTES + headers.central_bytes(table, extra_bytes, headers.BIG)
        lines += sum(
            headers.central_bytes(len(name), shape.size_bytes, offset)
            for name, shape, offset in zip(self._names, self._shapes, self._begins, strict=False)
        )
        return headers.local_bytes(table, extra_bytes) + extra_bytes + lines + headers.ENDS_BYTES

    def digest(self) -> str:
        """SHA-256, in hex, of all that decides the archive's bytes, but the photos': the plan is known by it."""
        digest = hashlib.sha256(self.part_bytes.to_bytes(8, "little"))
        for member in range(len(self)):
            digest.update(self.header(member, 0))
        return digest.hexdigest()

    @cached_property
    def _taken(self) -> set[str]:
        """The names of photos and of their folders, as unpackers on all systems see them."""
        taken = set()
        for shape in self._shapes:
            path = folded(shape.name)
            while path and path not in taken:
                taken.add(path)
                path = path.rpartition("/")[0]
        return taken
