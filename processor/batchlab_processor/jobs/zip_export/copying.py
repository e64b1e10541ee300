"""Parts that need no download: their bytes stand in one stretch of an object that the target's server can read.

That is so inside a photo that lies on the same server, and for whole runs of photos, headers included, that an
earlier generation of the job delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from batchlab_processor.jobs.zip_export import fillers
from batchlab_processor.jobs.zip_export.assembly import Assembly, Origin
from batchlab_processor.jobs.zip_export.photo import Photo

_SCHEMES = ("s3", "r2")


@dataclass(frozen=True)
class _Stretch:
    """Bytes begin..end of the archive are bytes begin-shift..end-shift of an object."""

    begin: int
    end: int
    shift: int
    url: str
    validator: str
    delivered: bool


def on_the_same_server(photo: Photo, target: str) -> bool:
    """Whether the server that takes the archive can, as far as the URLs tell, read the photo itself."""
    scheme = photo.url.partition("://")[0]
    return scheme in _SCHEMES and target.startswith(f"{scheme}://")


def plan_copies(assembly: Assembly, photos: list[Photo], target: str, *, told: bool) -> None:
    """Marks the parts to be copied. `told`: the server says the CRC-32 of what it copies, so it need not be known."""
    part_bytes = assembly.layout.part_bytes
    for stretch in _joined(_stretches(assembly, photos, target, told)):
        for number in range(-(-stretch.begin // part_bytes), stretch.end // part_bytes):
            start = number * part_bytes - stretch.shift
            origin = Origin(stretch.url, start, start + part_bytes, stretch.validator, stretch.delivered)
            assembly.plan_copy(number, origin)


def _stretches(assembly: Assembly, photos: list[Photo], target: str, told: bool) -> Iterator[_Stretch]:
    """One for each photo that can be copied, its header included when that stands in front of it there too."""
    layout = assembly.layout
    for member, photo in enumerate(photos):
        begin, end = layout.data_span(member)
        if photo.delivered is not None and photo.delivered.validator is not None:
            there = photo.delivered
            shift = begin - there.start
            headed = layout.header_span(member)[0]
            # At byte 0 a header is longer than elsewhere: here, or there.
            header = there.header and (shift == 0 or (member > 0 and headed - shift != fillers.ROOM_BYTES))
            begin = headed if header else begin
            yield _Stretch(begin, end, shift, there.url, photo.delivered.validator, True)
        elif (
            photo.delivered is None
            and photo.validator is not None
            and (told or photo.crc32 is not None)
            and on_the_same_server(photo, target)
        ):
            yield _Stretch(begin, end, begin, photo.url, photo.validator, False)


def _joined(stretches: Iterator[_Stretch]) -> Iterator[_Stretch]:
    """Those that go on where the one before ends, here and there, as one."""
    last: _Stretch | None = None
    for stretch in stretches:
        if last is not None and (last.end, last.shift, last.url, last.validator) == (
            stretch.begin,
            stretch.shift,
            stretch.url,
            stretch.validator,
        ):
            last = _Stretch(last.begin, stretch.end, last.shift, last.url, last.validator, last.delivered)
            continue
        if last is not None:
            yield last
        last = stretch
    if last is not None:
        yield last
