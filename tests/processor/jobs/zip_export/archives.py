"""Archives made from a layout: whole ones, and ones of terabytes of which only the headers exist."""

from __future__ import annotations

import io
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from hypothesis import strategies as st

from batchlab_processor.jobs.zip_export.dates import member_date
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from batchlab_processor.jobs.zip_export.names import member_names

DATE = datetime(2026, 6, 6, 14, 30, 8, tzinfo=timezone(timedelta(hours=2)))

dates = st.builds(
    lambda local, minutes: member_date(
        local.replace(tzinfo=timezone(timedelta(minutes=minutes))), None, DATE
    ),
    st.datetimes(datetime(1960, 1, 1), datetime(2050, 1, 1)),  # noqa: DTZ001 - the offset comes beside it
    st.integers(-14 * 60, 14 * 60),
)
# Sizes and offsets on both sides of what 32 bits say, and a few of every day.
large_sizes = st.one_of(
    st.integers(0, 3),
    st.integers(0xFFFF_FFFC, 0x1_0000_0002),
    st.integers(0, 50_000_000),
    st.integers(0, 9_000_000_000),
)
names = st.lists(st.text(min_size=1, max_size=20), max_size=12).map(member_names)


@st.composite
def shapes(draw: st.DrawFn, sizes: st.SearchStrategy[int] = large_sizes) -> list[Shape]:
    return [Shape(name, draw(sizes), draw(dates)) for name in draw(names)]


@st.composite
def photos(draw: st.DrawFn) -> dict[Shape, bytes]:
    """Shapes with their bytes, in order."""
    made = {}
    for name in draw(names):
        content = draw(st.binary(max_size=300))
        made[Shape(name, len(content), draw(dates))] = content
    return made


def crcs(contents: Sequence[bytes], lost: Collection[int] = ()) -> list[int | None]:
    return [None if member in lost else zlib.crc32(content) for member, content in enumerate(contents)]


def whole(
    layout: Layout,
    contents: Sequence[bytes],
    lost: Collection[int] = (),
    extra: Sequence[tuple[Shape, bytes]] = (),
) -> bytes:
    """The archive, with fillers in the places of the lost."""
    members = [
        layout.filler_header(member) + bytes(len(content))
        if member in lost
        else layout.header(member, zlib.crc32(content)) + content
        for member, content in enumerate(contents)
    ]
    return b"".join([*members, layout.tail(crcs(contents, lost), extra)])


def archive(photos: Mapping[Shape, bytes]) -> bytes:
    return whole(Layout(list(photos)), list(photos.values()))


class Sparse(io.RawIOBase):
    """A file of which some bytes are given, and all others are zero."""

    def __init__(self, pieces: Mapping[int, bytes]) -> None:
        self.pieces = dict(sorted(pieces.items()))
        last = max(self.pieces)
        self.size_bytes = last + len(self.pieces[last])
        self._at = 0

    def read_span(self, start: int, end: int) -> bytes:
        found = bytearray(max(0, min(end, self.size_bytes) - start))
        for begin, piece in self.pieces.items():
            low, high = max(begin, start), min(begin + len(piece), end)
            if low < high:
                found[low - start : high - start] = piece[low - begin : high - begin]
        return bytes(found)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        found = self.read_span(self._at, self._at + len(buffer))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def sparse(shapes: Sequence[Shape], contents: Mapping[int, bytes] | None = None) -> Sparse:
    """The archive of these shapes: zeros where `contents` has no bytes of a member; its CRC-32s are right."""
    layout, contents = Layout(shapes), contents or {}
    found = [
        zlib.crc32(contents[member]) if member in contents else layout.filler_crc32(member)
        for member in range(len(layout))
    ]
    pieces = {layout.end: layout.tail(found)}
    for member, crc in enumerate(found):
        pieces[layout.header_span(member)[0]] = layout.header(member, crc) + contents.get(member, b"")
    return Sparse(pieces)


def shape(name: str, size_bytes: int, date: datetime = DATE) -> Shape:
    return Shape(name, size_bytes, date)
