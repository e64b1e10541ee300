"""One archive while it is put together: whose bytes are there, what has been sent, who is lost.

A part is sent as soon as all its bytes are there. A part inside one photo needs nothing but those; in every
other part stand local headers, so it waits until each member that touches it is finished (its bytes came, were
checked, and its CRC-32 is known) or lost (its place holds a filler). No I/O here: `ready` is told what to send.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from batchlab_processor.jobs.zip_export.buffers import LOOK_SECONDS, Buffers
from batchlab_processor.jobs.zip_export.layout import Layout, combine

OPEN, FINISHED, LOST = 0, 1, 2  # a member's state


class PartState(Enum):
    OPEN = "open"  # bytes are missing
    COPY = (
        "copy"  # its bytes stand somewhere else in one stretch: whoever works on its first member copies them
    )
    QUEUED = "queued"  # complete, on its way
    SENT = "sent"
    STALE = "stale"  # what was sent holds bytes of a photo that was lost since: made anew at the end


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one photo that lie in one part."""

    part: int
    begin: int  # in the archive
    end: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where all bytes of a part stand in one object: inside a photo, or in an archive delivered earlier."""

    url: str
    start: int
    end: int
    validator: str
    delivered: bool  # by this job; else it is a source


@dataclass(slots=True)
class _Part:
    members: range
    waiting: int  # members that are neither finished nor lost, and the directory in the last part
    crcs: list[int | None]  # of each member's piece, in the order of `members`
    state: PartState = PartState.OPEN
    buffer: bytearray | None = None
    etag: str = ""
    then: PartState = PartState.SENT  # what it is when it has arrived


@dataclass(frozen=True, slots=True)
class Ready:
    """A part whose bytes are all there."""

    part: int
    buffer: bytearray
    size_bytes: int
    crcs: Sequence[int | None]  # of each member's piece
    lost: Sequence[int]  # of its members
    headed: dict[int, int]  # CRC-32 of members whose header is in it, and not all of whose bytes are


@dataclass
class Assembly:
    """See the module's text. Thread-safe."""

    layout: Layout
    known: list[int | None]  # the CRC-32 that a member must have: its source says so, or it was sent already
    buffers: Buffers
    ready: Callable[[Ready], None]
    _parts: dict[int, _Part] = field(default_factory=dict)
    _origins: dict[int, Origin] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.states = bytearray(len(self.layout))
        self.crcs: list[int | None] = [None] * len(self.layout)  # of finished members

    # -- a photo's bytes -----------------------------------------------------------------------------------

    def wanted(self, member: int) -> list[Piece]:
        """The pieces of a photo that must be fetched: those in parts that have not been sent."""
        begin, end = self.layout.data_span(member)
        pieces = []
        with self._changed:
            for number in self.layout.parts(begin, end):
                part = self._parts.get(number)
                if part is None or part.state is PartState.OPEN:
                    first, last = self.layout.part_span(number)
                    pieces.append(Piece(number, max(begin, first), min(end, last)))
        return pieces

    def view(self, piece: Piece) -> memoryview:
        """Where the bytes of a piece go; waits for a free buffer."""
        first, _ = self.layout.part_span(piece.part)
        buffer = self._claim(piece.part)
        return memoryview(buffer)[piece.begin - first : piece.end - first]

    def arrived(self, member: int, piece: Piece, crc32: int | None) -> None:
        """The bytes of a piece are in place. A part that is nothing but this piece is on its way now."""
        with self._changed:
            part = self._part(piece.part)
            part.crcs[member - part.members.start] = crc32
            ready = self._queue(piece.part, part) if piece.part in self.inner(member) else None
        self._tell(ready)

    def plan_copy(self, number: int, origin: Origin) -> None:
        """This part is to be copied, unless it was sent before. The CRC-32s of its members are known."""
        with self._changed:
            part = self._part(number)
            if part.state is PartState.OPEN and part.buffer is None:
                part.state, self._origins[number] = PartState.COPY, origin

    def copies(self, member: int) -> list[tuple[int, Origin]]:
        """The parts that whoever works on this member has to copy."""
        with self._changed:
            return [
                (number, self._origins[number])
                for number in self._touched(member)
                if self._is(number, PartState.COPY) and self.layout.members_in(number).start == member
            ]

    def copied(self, number: int, etag: str, crc32: int | None) -> Ready:
        """The server has made this part; `crc32` is of the whole of it."""
        with self._changed:
            part = self._part(number)
            if number in self.inner(part.members[0]):  # else headers are in it, or other photos
                part.crcs[0] = crc32
            if part.state is PartState.COPY:
                part.state, part.etag = PartState.SENT, etag
            return self._described(number, part, bytearray())

    def crc32(self, member: int) -> int | None:
        """Of the whole photo, from its pieces; None when one was copied and nobody said its CRC-32."""
        begin, end = self.layout.data_span(member)
        pieces = []
        with self._changed:
            for number in self.layout.parts(begin, end):
                part = self._part(number)
                crc = part.crcs[member - part.members.start]
                if crc is None:
                    return None
                first, last = self.layout.part_span(number)
                pieces.append((crc, min(end, last) - max(begin, first)))
        return combine(pieces)

    def committed(self, member: int) -> bool:
        """Whether bytes of it stand in a sent part beside those of others: it cannot become another photo any more."""
        with self._changed:
            return any(map(self._is_sent, self._shared(member)))

    def begun(self, member: int) -> bool:
        """Whether some of its bytes were sent."""
        with self._changed:
            return any(map(self._is_sent, self._touched(member)))

    def finish(self, member: int, crc32: int) -> None:
        """All bytes came and were checked."""
        self._settle(member, FINISHED, crc32)

    def lose(self, member: int) -> None:
        """Its place is a filler's from now on; parts that hold real bytes of it must be sent again."""
        with self._changed:
            if self.states[member] == LOST:
                return
            for number in self.inner(member):
                if (part := self._parts.get(number)) is not None:
                    self._spoil(part)
        self._settle(member, LOST, None)

    def forget(self, member: int) -> None:
        """The source has another version: nothing that came of this photo counts any more."""
        with self._changed:
            for number in self.inner(member):
                if (part := self._parts.get(number)) is not None:
                    while part.state is PartState.QUEUED:
                        self._changed.wait(LOOK_SECONDS)
                        self.buffers.check()
                    part.state, part.etag = PartState.OPEN, ""

    # -- parts ---------------------------------------------------------------------------------------------

    def sent(self, ready: Ready, etag: str) -> None:
        """The server has this part; its buffer may be used again."""
        with self._changed:
            part = self._part(ready.part)
            part.state, part.etag, part.buffer = part.then, etag, None
            self._changed.notify_all()

    def restore(
        self, number: int, etag: str, crcs: Sequence[int | None], lost: Iterable[int], headed: dict[int, int]
    ) -> None:
        """An earlier run has sent this part; the last word counts, if there were several."""
        with self._changed:
            part = self._part(number)
            part.state, part.etag, part.crcs = PartState.SENT, etag, list(crcs)
            fillers = set(lost)
            if any((self.states[member] == LOST) != (member in fillers) for member in part.members):
                part.state = PartState.STALE
            for member, crc32 in headed.items():
                self.known[member] = crc32

    def restored(self) -> None:
        """Every part of earlier runs is known: what lies in such parts alone is finished."""
        with self._changed:
            seen: set[int] = set()
            for part in list(self._parts.values()):
                seen.update(part.members)
            for member in seen:
                if self.states[member] == OPEN and all(map(self._is_sent, self._touched(member))):
                    found, known = self.crc32(member), self.known[member]
                    if None not in (found, known) and found != known:
                        continue  # pieces of two versions: whoever works on it finds it corrupt
                    crc32 = known if found is None else found
                    if crc32 is not None:
                        self.states[member], self.crcs[member] = FINISHED, crc32

    def complete(self, number: int, buffer: bytearray) -> Ready:
        """A part whose bytes are all in `buffer`, which belongs to the caller."""
        with self._changed:
            part = self._part(number)
            return self._described(number, part, buffer)

    def piece_crc32(self, member: int, number: int) -> int | None:
        """Of the member's bytes in this part, when they have been seen."""
        with self._changed:
            part = self._part(number)
            return part.crcs[member - part.members.start]

    def etag(self, number: int) -> str | None:
        """None: not sent."""
        with self._changed:
            return self._parts[number].etag if self._is_sent(number) else None

    def bytes_of(self, number: int) -> memoryview | None:
        """A part that is all there and was not sent, because the directory is to follow in it."""
        with self._changed:
            part = self._parts.get(number)
            if part is None or part.state is not PartState.OPEN or part.buffer is None:
                return None
            return memoryview(part.buffer) if part.waiting == self._is_last(number) else None

    def paint(self, number: int, buffer: bytearray) -> None:
        """Writes everything into a part that is no photo's byte: headers, and fillers in the places of the lost."""
        with self._changed:
            for member in self.layout.members_in(number):
                if self.states[member] != OPEN:
                    self._paint(number, member, buffer)

    # -- inside, the lock held -----------------------------------------------------------------------------

    def _settle(self, member: int, state: int, crc32: int | None) -> None:
        ready: list[Ready] = []
        with self._changed:
            before, self.states[member], self.crcs[member] = self.states[member], state, crc32
            for number in self._shared(member):
                part = self._parts.get(number)
                if part is None:
                    continue
                if before == OPEN:
                    part.waiting -= 1
                if part.state is not PartState.OPEN:
                    if state == LOST:
                        self._spoil(part)
                elif part.buffer is not None:
                    self._paint(number, member, part.buffer)
                    if part.waiting == 0:
                        ready.append(self._queue(number, part))
        for each in ready:
            self._tell(each)

    def _claim(self, number: int) -> bytearray:
        with self._changed:
            if (held := self._part(number).buffer) is not None:
                return held
        buffer = self.buffers.take()
        with self._changed:
            part = self._part(number)
            if part.buffer is None:
                self.paint(number, buffer)
                part.buffer = buffer
                return buffer
            held = part.buffer
        self.buffers.give_back(buffer, sent=False)  # another thread was quicker
        return held

    def _part(self, number: int) -> _Part:
        part = self._parts.get(number)
        if part is None:
            members = self.layout.members_in(number)
            waiting = self.states.count(OPEN, members.start, members.stop) + self._is_last(number)
            part = self._parts[number] = _Part(members, waiting, [None] * len(members))
        return part

    def _queue(self, number: int, part: _Part) -> Ready:
        assert part.buffer is not None
        part.state, part.then = PartState.QUEUED, PartState.SENT
        return self._described(number, part, part.buffer)

    def _described(self, number: int, part: _Part, buffer: bytearray) -> Ready:
        begin, end = self.layout.part_span(number)
        lost = [member for member in part.members if self.states[member] == LOST]
        headed = {
            member: crc32
            for member in {part.members[0], part.members[-1]}
            if (crc32 := self.crcs[member]) is not None and len(self._touched(member)) > 1
        }
        return Ready(number, buffer, end - begin, list(part.crcs), lost, headed)

    def _tell(self, ready: Ready | None) -> None:
        if ready is not None:
            self.buffers.lend()
            self.ready(ready)

    def _spoil(self, part: _Part) -> None:
        """What this part holds, or will hold when it has arrived, is not what belongs there."""
        if part.state is PartState.QUEUED:
            part.then = PartState.STALE
            return
        part.state, buffer, part.buffer = PartState.STALE, part.buffer, None
        if buffer is not None:
            self.buffers.give_back(buffer, sent=False)

    def _paint(self, number: int, member: int, buffer: bytearray) -> None:
        first, last = self.layout.part_span(number)
        lost = self.states[member] == LOST
        if lost:
            begin, end = self.layout.data_span(member)
            begin, end = max(begin, first), min(end, last)
            if begin < end:
                buffer[begin - first : end - first] = bytes(end - begin)
        begin, end = self.layout.header_span(member)
        if begin < last and first < end:
            header = (
                self.layout.filler_header(member)
                if lost
                else self.layout.header(member, self.crcs[member] or 0)
            )
            begin, end, skipped = max(begin, first), min(end, last), max(0, first - begin)
            buffer[begin - first : end - first] = header[skipped : skipped + end - begin]

    def inner(self, member: int) -> range:
        """Parts that are nothing but bytes of this photo."""
        begin, end = self.layout.data_span(member)
        size = self.layout.part_bytes
        return range(-(-begin // size), end // size)

    def _touched(self, member: int) -> range:
        return self.layout.parts(self.layout.header_span(member)[0], self.layout.data_span(member)[1])

    def _shared(self, member: int) -> Iterable[int]:
        inner = self.inner(member)
        return _outside(self._touched(member), inner)

    def _is_sent(self, number: int) -> bool:
        return self._is(number, PartState.SENT)

    def _is(self, number: int, state: PartState) -> bool:
        part = self._parts.get(number)
        return part is not None and part.state is state

    def _is_last(self, number: int) -> bool:
        """Whether the directory begins in this part, behind bytes of members."""
        first, last = self.layout.part_span(number)
        return first < self.layout.end < last


def _outside(parts: range, inner: range) -> Iterable[int]:
    """The numbers in `parts` that are not in `inner`; few, although `inner` may be long."""
    if not inner:
        return parts
    return [*range(parts.start, inner.start), *range(inner.stop, parts.stop)]
