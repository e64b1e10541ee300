"""How far a run has come: a tally that worker threads feed and a snapshot for whoever looks.

The workers' side is cheap: `moved` adds to a number that only its own thread writes, without a lock; the
time of the last progress and the rate are found out when somebody takes a snapshot.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batchlab.outcome import Failed, Outcome
from batchlab.status import STALLED_AFTER, Counts
from batchlab_processor.clock import Clock
from batchlab_processor.job import Entry

WINDOW_SECONDS = 10.0  # the rate is that of the last ten seconds: long enough for a 10 MB photo at 1 MB/s
SAMPLE_SECONDS = 0.25
_VOID_REASONS = frozenset({"rate_limit", "backoff"})  # a wait after a failed attempt: its bytes come again


@dataclass(frozen=True, slots=True)
class InFlight:
    """One item that a worker has."""

    key: str
    size_bytes: int  # arrived in this attempt
    total_bytes: int | None
    seconds: float  # since it started


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The progress at one moment."""

    counts: Counts
    elapsed_seconds: float  # of this run
    bytes_per_second: float  # over the last WINDOW_SECONDS
    items_per_second: float
    eta_seconds: float | None  # None: not knowable yet
    in_flight: tuple[InFlight, ...]  # the longest in flight first
    last_progress_at: datetime
    stalled: bool
    waited_seconds: dict[str, float]

    @property
    def share(self) -> float:
        """0 to 1: of the bytes when all sizes are known, else of the items."""
        counts = self.counts
        if counts.total_bytes:
            return counts.done_bytes / counts.total_bytes
        return counts.ended / counts.total if counts.total else 0.0


@dataclass(slots=True)
class _Lane:
    """What one thread moved; only that thread writes the two byte counts."""

    moved_bytes: int = 0  # ever
    item_bytes: int = 0  # in the current attempt
    key: str | None = None
    started: float = 0.0


@dataclass(slots=True)
class _Totals:
    total: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ended_bytes: int = 0  # as planned where that is known, so that the sum never exceeds the total
    sizes: dict[str, int | None] = field(default_factory=dict)  # of what has not ended
    total_bytes: int | None = 0


class Progress:
    """All methods may be called from any thread; `started` and `moved` speak of the calling thread's item."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._lanes: dict[int, _Lane] = {}  # by thread; a new thread takes over the lane of a dead namesake
        self._working: dict[str, _Lane] = {}
        self._totals = _Totals()
        self._waited: dict[str, float] = defaultdict(float)
        self._uploaded_bytes = 0
        self._ended_here = 0  # in this run: what earlier runs settled says nothing of the speed
        self._begin = clock.monotonic()
        self._samples: deque[tuple[float, int, int]] = deque([(self._begin, 0, 0)])
        self._seen = (0, 0, 0)
        self._last_progress = self._begin
        self._last_progress_at = clock.now()

    # -- what the engine tells -----------------------------------------------------------------------------

    def plan(self, entries: Sequence[Entry[Any] | Failed], settled: Mapping[str, Outcome]) -> None:
        """All items of the run. Those settled by earlier runs count as ended at once."""
        with self._lock:
            totals = self._totals = _Totals(total=len(entries))
            for entry in entries:
                planned_bytes = 0 if isinstance(entry, Failed) else entry.size_bytes
                if planned_bytes is None:
                    totals.total_bytes = None
                elif totals.total_bytes is not None:
                    totals.total_bytes += planned_bytes
                outcome = entry if isinstance(entry, Failed) else settled.get(entry.key)
                if outcome is None:
                    totals.sizes[entry.key] = planned_bytes
                else:
                    self._count(outcome, planned_bytes)
            self._touch()

    def started(self, key: str) -> None:
        """The calling thread has taken up `key`."""
        lane = self._lane()
        with self._lock:
            if lane.key is not None:
                self._working.pop(lane.key, None)  # left without an outcome: the run was being stopped
            lane.key, lane.item_bytes, lane.started = key, 0, self.clock.monotonic()
            self._working[key] = lane

    def moved(self, size_bytes: int) -> None:
        """Bytes of the calling thread's item arrived."""
        lane = self._lane()
        lane.moved_bytes += size_bytes
        lane.item_bytes += size_bytes

    def uploaded(self, size_bytes: int) -> None:
        """Bytes reached the target."""
        with self._lock:
            self._uploaded_bytes += size_bytes

    def waiting(self, reason: str, seconds: float) -> None:
        """A worker is about to wait. After a failed attempt its item's bytes are void: they will come again."""
        if reason in _VOID_REASONS:
            self._lane().item_bytes = 0
        with self._lock:
            self._waited[reason] += seconds

    def ended(self, outcome: Outcome) -> None:
        """The item has its outcome; each key once."""
        with self._lock:
            lane = self._working.pop(outcome.key, None)
            if lane is not None:
                lane.key, lane.item_bytes = None, 0
            self._ended_here += 1
            self._count(outcome, self._totals.sizes.pop(outcome.key, None))

    # -- what others see -----------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The progress now."""
        with self._lock:
            now = self.clock.monotonic()
            totals = self._totals
            moved = self._moved()
            ended = sum(totals.outcomes.values())
            if self._seen != (moved, self._uploaded_bytes, ended):
                self._seen = (moved, self._uploaded_bytes, ended)
                self._touch()
            bytes_per_second, items_per_second = self._rates(now, moved, self._ended_here)
            in_flight = self._in_flight(now)
            counts = self._counts(in_flight)
            return Snapshot(
                counts=counts,
                elapsed_seconds=now - self._begin,
                bytes_per_second=bytes_per_second,
                items_per_second=items_per_second,
                eta_seconds=_eta_seconds(counts, bytes_per_second, items_per_second),
                in_flight=in_flight,
                last_progress_at=self._last_progress_at,
                stalled=now - self._last_progress >= STALLED_AFTER.total_seconds(),
                waited_seconds=dict(self._waited),
            )

    @property
    def downloaded_bytes(self) -> int:
        """All that arrived in this run, failed attempts included."""
        with self._lock:
            return self._moved()

    @property
    def uploaded_bytes(self) -> int:
        with self._lock:
            return self._uploaded_bytes

    @property
    def waited_seconds(self) -> dict[str, float]:
        """Summed over workers, by reason."""
        with self._lock:
            return {reason: round(seconds, 1) for reason, seconds in self._waited.items()}

    @property
    def elapsed_seconds(self) -> float:
        """Of this run."""
        return self.clock.monotonic() - self._begin

    # -- under the lock ------------------------------------------------------------------------------------

    def _lane(self) -> _Lane:
        ident = threading.get_ident()
        lane = self._lanes.get(ident)
        if lane is None:
            with self._lock:
                lane = self._lanes[ident] = _Lane()
        return lane

    def _moved(self) -> int:
        return sum(lane.moved_bytes for lane in self._lanes.values())

    def _touch(self) -> None:
        self._last_progress = self.clock.monotonic()
        self._last_progress_at = self.clock.now()

    def _count(self, outcome: Outcome, planned_bytes: int | None) -> None:
        self._totals.outcomes[outcome.outcome] += 1
        self._totals.ended_bytes += outcome.size_bytes if planned_bytes is None else planned_bytes

    def _rates(self, now: float, moved: int, ended: int) -> tuple[float, float]:
        """Bytes and items a second since the oldest sample of the window, the time before the first included."""
        samples = self._samples
        if now - samples[-1][0] >= SAMPLE_SECONDS:
            samples.append((now, moved, ended))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW_SECONDS:
            samples.popleft()
        then, moved_then, ended_then = samples[0]
        seconds = max(now - then, SAMPLE_SECONDS)
        return (moved - moved_then) / seconds, (ended - ended_then) / seconds

    def _in_flight(self, now: float) -> tuple[InFlight, ...]:
        found = [
            InFlight(key, _at_most(lane.item_bytes, planned), planned, now - lane.started)
            for key, lane in self._working.items()
            for planned in (self._totals.sizes.get(key),)
        ]
        return tuple(sorted(found, key=lambda item: -item.seconds))

    def _counts(self, in_flight: Sequence[InFlight]) -> Counts:
        totals = self._totals
        return Counts(
            total=totals.total,
            done=totals.outcomes["done"],
            failed=totals.outcomes["failed"],
            skipped=totals.outcomes["skipped"],
            in_flight=len(in_flight),
            total_bytes=totals.total_bytes,
            done_bytes=totals.ended_bytes + sum(item.size_bytes for item in in_flight),
        )


def _at_most(size_bytes: int, planned: int | None) -> int:
    return size_bytes if planned is None else min(size_bytes, planned)


def _eta_seconds(counts: Counts, bytes_per_second: float, items_per_second: float) -> float | None:
    """By bytes when all sizes are known and bytes move, else by items; None when nothing moves."""
    if counts.ended >= counts.total:
        return 0.0 if counts.total else None
    if counts.total_bytes and bytes_per_second > 0:
        return (counts.total_bytes - counts.done_bytes) / bytes_per_second
    return (counts.total - counts.ended) / items_per_second if items_per_second > 0 else None
