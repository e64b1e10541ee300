"""The end of a planned archive: the parts that nobody could send, the directory, and the moment it is visible."""

from __future__ import annotations

from collections.abc import Callable

from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export import delivery
from batchlab_processor.jobs.zip_export.assembly import LOST
from batchlab_processor.jobs.zip_export.beginning import archive_at, lists
from batchlab_processor.jobs.zip_export.building import Building
from batchlab_processor.jobs.zip_export.fetching import fill, opened
from batchlab_processor.jobs.zip_export.layout import Shape
from batchlab_processor.jobs.zip_export.volume import Volume, trouble
from batchlab_processor.storage.base import Written

MOST_FILLER_PARTS = 4  # behind the last photo


class Lost(Exception):
    """A photo that had come cannot be had again, although a part with bytes of it must be made anew."""

    def __init__(self, key: str, failed: Failed) -> None:
        super().__init__(failed.message)
        self.key = key
        self.failed = failed


def kept_end(volume: Volume) -> int:
    """Where the archive's members end: the lost ones behind the last photo need no fillers. 0: all are lost.

    But a part that has been sent with fillers behind its photos stays as it is, unless fillers would then take
    more than a few parts: nothing is read again for a few zeros less.
    """
    layout, assembly = volume.layout, volume.assembly
    last = len(assembly.states.rstrip(bytes([LOST])))
    if not last:
        return 0
    first_end = end = layout.data_span(last - 1)[1]
    for member in range(last, len(layout) + 1):
        if end % layout.part_bytes == 0 or assembly.etag(end // layout.part_bytes) is None:
            return end
        if member < len(layout):
            end = layout.data_span(member)[1]
        if end - first_end > MOST_FILLER_PARTS * layout.part_bytes:
            break
    return first_end


def gap_bytes(volume: Volume) -> int:
    """How many bytes of fillers the archive would have."""
    last = volume.assembly.states.rstrip(bytes([LOST]))
    lost = (member for member, state in enumerate(last) if state == LOST)
    return sum(volume.photos[member].size_bytes or 0 for member in lost)


def make_up(building: Building, volume: Volume, end: int, ctx: Context) -> None:
    """Afterwards every whole part in front of byte `end` is at the target. Raises Lost.

    What is missing are fillers, parts that were sent with bytes of a photo that was lost later, and seams.
    """
    assembly = volume.assembly
    missing = [number for number in range(end // volume.layout.part_bytes) if assembly.etag(number) is None]
    at: dict[int, int] = {}

    def send(number: int) -> None:
        with building.buffers.at_work():
            buffer = building.buffers.take()
            try:
                _rebuild(building, volume, number, buffer, ctx, lambda member: at.__setitem__(number, member))
                ready = assembly.complete(number, buffer)
                try:
                    etag = building.send(volume, ready)
                except ItemError as error:
                    raise trouble(error) from error
                assembly.restore(number, etag, ready.crcs, ready.lost, ready.headed)
            finally:
                building.buffers.give_back(buffer, sent=False)

    for number, result in ctx.map(send, missing):
        if isinstance(result, Failed):
            raise Lost(volume.keys[at[number]], result)


def finish(
    building: Building, volume: Volume, end: int, extra: list[tuple[Shape, bytes]], ctx: Context
) -> Written:
    """The archive is visible: its last bytes are sent, and all parts put together."""
    layout, assembly = volume.layout, volume.assembly
    whole, size_bytes = divmod(end, layout.part_bytes)
    begin = bytearray(size_bytes)
    if size_bytes:
        there = assembly.bytes_of(whole)
        if there is not None:
            begin[:] = there[:size_bytes]
        else:
            _last(building, volume, whole, begin, ctx)
    last = memoryview(begin + layout.tail(assembly.crcs, extra, end=end))
    etags = [assembly.etag(number) or "" for number in range(whole)]
    try:
        for number, start in enumerate(range(0, len(last), layout.part_bytes), start=whole + 1):
            piece = last[start : start + layout.part_bytes]
            etags.append(volume.parts.send(number, piece))
            ctx.uploaded(len(piece))
        seal = delivery.Seal(whole * layout.part_bytes)
        seal.update(bytes(last))
        ctx.confirm()
        delivery.announce(ctx, volume.url, seal, volume.number)
        return volume.parts.complete(etags, seal.size_bytes)
    except ItemError as error:
        if volume.shared and error.kind is Kind.VALIDATION:  # another job of the same photos was quicker
            made = archive_at(volume.url, ctx)
            if made is not None and lists(made, volume.photos):
                volume.parts.abort()
                return Written(volume.url, made.size_bytes, made.validator)
        if error.kind is Kind.CORRUPT and volume.parts.completed() is None:
            # a part is another than we were told: the next run sends it again
            raise ServiceError(f"{error.message} Start the job again, and it goes on.") from error
        raise trouble(error) from error


def _last(building: Building, volume: Volume, number: int, begin: bytearray, ctx: Context) -> None:
    """What lies in front of the directory in its part, when nobody holds it any more."""
    with building.buffers.at_work():
        buffer = building.buffers.take()
        at: list[int] = []
        try:
            for _, result in ctx.map(
                lambda number: _rebuild(building, volume, number, buffer, ctx, at.append), [number]
            ):
                if isinstance(result, Failed):
                    raise Lost(volume.keys[at[-1]], result)
            begin[:] = memoryview(buffer)[: len(begin)]
        finally:
            building.buffers.give_back(buffer, sent=False)


def _rebuild(
    building: Building,
    volume: Volume,
    number: int,
    buffer: bytearray,
    ctx: Context,
    at: Callable[[int], None],
) -> None:
    """Writes a whole part into `buffer`: every photo in it is read again and must be the one it was."""
    layout, assembly = volume.layout, volume.assembly
    first, last = layout.part_span(number)
    assembly.paint(number, buffer)
    for member in layout.members_in(number):
        at(member)
        if assembly.states[member] == LOST:
            continue
        data, end_of_data = layout.data_span(member)
        begin, end = max(data, first), min(end_of_data, last)
        if begin >= end:
            continue
        photo = building.photo(volume, member)
        with opened(photo, begin - data, end - data, ctx) as reader:
            found = fill(memoryview(buffer)[begin - first : end - first], photo, reader, ctx)
        if assembly.piece_crc32(member, number) not in (None, found):
            raise ItemError(Kind.CHANGED, f"{photo.name} is not the photo it was.")
