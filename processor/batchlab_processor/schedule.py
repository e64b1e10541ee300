"""Which item starts when, and which outcome is handed on next: one monitor, one lock.

Workers call `take`, `wait_for_attempt` and `give`; the thread that collects iterates `outcomes`; anyone may
call `stop`. Rules, in the order they are asked:

    stage     no item of stage s+1 starts before all of stage s have ended; one failure skips later stages
    suspects  an item that may have killed its process runs alone
    bytes     items started but not yet taken by collect hold at most ahead_bytes together
    pace      starts are evenly spaced; a rate limit holds everybody
    announced before an item starts, it stands in the run's list of items that may be in flight

Nobody waits for ever: when nothing is in flight and collect waits, the next item may exceed ahead_bytes.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab_processor.clock import Clock
from batchlab_processor.job import Entry
from batchlab_processor.pace import Pace

AUTH_IN_A_ROW = 20  # a revoked key fails every item alike; do not hammer 5,000 times
QUICK_WINDOW_SECONDS = 2.0  # an announcement lives about this long, so that it costs few writes
LARGEST_WINDOW = 1024


class StopReason(StrEnum):
    """Why a run starts no more items."""

    DEADLINE = "deadline"  # the rest is Skipped and collect goes on
    CANCEL = "cancel"
    INTERRUPT = "interrupt"
    FAILURES = "failures"
    AUTH = "auth"
    PAUSE = "pause"  # a quota is used up; resume later
    LEASE_LOST = "lease_lost"
    FATAL = "fatal"  # the job type says that the whole job cannot go on
    BROKEN = "broken"  # the engine itself could not go on (the store is gone)
    CLOSED = "closed"


_RESUMABLE = frozenset({StopReason.INTERRUPT, StopReason.PAUSE, StopReason.LEASE_LOST, StopReason.BROKEN})


class RunStopped(BaseException):
    """Raised out of `outcomes`. Not an Exception, so that a job type's `except Exception` lets it pass."""

    def __init__(self, reason: StopReason, message: str, error: BaseException | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.error = error

    @property
    def resumable(self) -> bool:
        """Whether a later run goes on with the job, so that what was begun must stay; else the job is over."""
        return self.reason in _RESUMABLE


@dataclass(frozen=True)
class Rules:
    """The bounds of one schedule."""

    workers: int
    ahead_bytes: int
    ordered: bool = False
    deadline: float | None = None  # the clock's monotonic seconds
    max_failures: int | None = None  # more than this many stop the run


class Schedule:
    """See the module's text. `settled` holds outcomes known beforehand; they are handed on like the others."""

    def __init__(
        self,
        entries: Sequence[Entry[Any] | Failed],
        rules: Rules,
        clock: Clock,
        pace: Pace,
        *,
        settled: Mapping[str, Outcome] | None = None,
        suspects: frozenset[str] = frozenset(),
        announce: Callable[[list[str]], None] | None = None,
    ) -> None:
        self._entries = entries
        self._rules = rules
        self._clock = clock
        self._pace = pace
        self._suspects = suspects
        self._announce = announce
        # Of workers with nothing to do, by reason, summed over them.
        self.waited_seconds: defaultdict[str, float] = defaultdict(float)
        self._changed = threading.Condition(pace.lock)  # whoever shares a pace shares its lock
        self._stopped: RunStopped | None = None
        self._position = {entry.key: position for position, entry in enumerate(entries)}
        self._outcomes: dict[int, Outcome] = {}
        self._ready: deque[int] = deque()  # ended, in order of ending; when ordered, unused
        self._handed_on = 0
        self._in_flight: set[int] = set()
        self._held: dict[int, int] = {}
        self._collect_waits = False
        self._auth_in_a_row = 0
        self._failures = 0
        self._announced: set[int] = set()
        self._announcing = False
        self._window = 4 * rules.workers
        self._announced_at = float("-inf")
        self._stage_left: Counter[int] = Counter(_stage(entry) for entry in entries)
        self._stage_failed: int | None = None
        pending = []
        for position, entry in enumerate(entries):
            known = entry if isinstance(entry, Failed) else (settled or {}).get(entry.key)
            if known is not None:
                self._end(position, known)
            else:
                pending.append(position)
        self._pending = deque(sorted(pending, key=lambda position: (_stage(entries[position]), position)))
        self._look_at_number_of_failures("")

    # -- workers -------------------------------------------------------------------------------------------

    def take(self) -> Entry[Any] | None:
        """The next item to work on, as soon as the rules let it start; None when none will."""
        with self._changed:
            while True:
                self._look_at_deadline()
                self._skip_behind_failed_stage()
                if self._stopped or not self._pending:
                    self._changed.notify_all()
                    self._announce_the_end()
                    return None
                wait_seconds, reason = self._wait_before_head()
                if wait_seconds == 0.0:
                    if self._must_announce():
                        self._announce_window()
                        continue
                    return self._start_head()
                begin = self._clock.monotonic()
                self._wait(wait_seconds)
                self.waited_seconds[reason] += self._clock.monotonic() - begin

    def give(self, entry: Entry[Any], outcome: Outcome | None) -> None:
        """The end of an item; None: abandoned, because the run stops; it stays without an outcome."""
        with self._changed:
            position = self._position[entry.key]
            self._in_flight.discard(position)
            if outcome is None:
                self._held.pop(position, None)
            else:
                self._end(position, outcome)
                self._look_at_failures(outcome)
            self._changed.notify_all()

    def wait_for_attempt(self, delay_seconds: float, *, pool_waits: bool = False) -> bool:
        """Waits for the next attempt of an item in flight; False when the run stops first."""
        with self._changed:
            until = self._clock.monotonic() + delay_seconds
            if pool_waits:
                self._pace.hold(until)
            while not self._stopped:
                self._look_at_deadline()
                wait_seconds = max(until, self._pace.ready_at()) - self._clock.monotonic()
                if wait_seconds <= 0:
                    self._pace.started(self._clock.monotonic())
                    return True
                self._wait(wait_seconds)
            return False

    # -- collect -------------------------------------------------------------------------------------------

    def outcomes(self) -> Iterator[Outcome]:
        """Every outcome once: in plan order when ordered, else as items end. Raises RunStopped."""
        while True:
            with self._changed:
                position = self._wait_for_next()
                if position is None:
                    return
                self._handed_on += 1
                outcome = self._outcomes[position]
            yield outcome
            with self._changed:
                if self._held.pop(position, None) is not None:
                    self._changed.notify_all()

    def known(self) -> dict[str, Outcome]:
        """The outcomes so far, by key, in plan order."""
        with self._changed:
            return {
                self._entries[position].key: self._outcomes[position] for position in sorted(self._outcomes)
            }

    # -- anyone --------------------------------------------------------------------------------------------

    def stop(self, reason: StopReason, message: str, error: BaseException | None = None) -> bool:
        """No further item starts. False when it came too late: all outcomes have been handed on.

        A deadline lets what is in flight end and collects; any other wish stands above it.
        """
        with self._changed:
            passed = self._stopped is not None and self._stopped.reason is StopReason.DEADLINE
            replaces = self._stopped is None or (passed and reason is not StopReason.CLOSED)
            if self._handed_on == len(self._entries) or not replaces:
                return False
            self._stopped = RunStopped(reason, message, error)
            self._changed.notify_all()
            return True

    @property
    def stopped(self) -> RunStopped | None:
        """Why no further item starts, if so."""
        return self._stopped

    # -- inside, the lock held -----------------------------------------------------------------------------

    def _wait(self, seconds: float | None) -> None:
        if self._rules.deadline is not None and self._pending and not self._stopped:
            left = max(0.001, self._rules.deadline - self._clock.monotonic())
            seconds = left if seconds is None else min(seconds, left)
        self._clock.wait(self._changed, seconds)

    def _look_at_deadline(self) -> None:
        deadline = self._rules.deadline
        if (
            deadline is not None
            and not self._stopped
            and self._clock.monotonic() >= deadline
            and self._pending
        ):
            self._stopped = RunStopped(StopReason.DEADLINE, "The deadline passed; the rest was not started.")
            self._changed.notify_all()

    def _wait_before_head(self) -> tuple[float | None, str]:
        """How long to wait (0.0: start now; None: until something changes), and for what."""
        position = self._pending[0]
        stage = _stage(self._entries[position])
        if any(left and earlier < stage for earlier, left in self._stage_left.items()):
            return None, "stage"
        alone = self._is_suspect(position) or any(map(self._is_suspect, self._in_flight))
        if alone and self._in_flight:
            return None, "suspect"
        fits = sum(self._held.values()) + self._bytes_of(position) <= self._rules.ahead_bytes
        if not fits and (self._in_flight or not self._collect_starves()):
            return None, "bytes"
        held = self._pace.held_until > self._clock.monotonic()
        wait_seconds = max(0.0, self._pace.ready_at() - self._clock.monotonic())
        return wait_seconds, "rate_limit" if held else "pace"

    def _collect_starves(self) -> bool:
        """Collect waits and nothing that has ended can be handed to it."""
        has_next = self._handed_on in self._outcomes if self._rules.ordered else bool(self._ready)
        return self._collect_waits and not has_next

    def _is_suspect(self, position: int) -> bool:
        return bool(self._suspects) and self._entries[position].key in self._suspects

    def _bytes_of(self, position: int) -> int:
        """What an item keeps in memory: larger ones go to disk, so never more than a worker's share."""
        entry = self._entries[position]
        share = self._rules.ahead_bytes // self._rules.workers
        size = entry.size_bytes if isinstance(entry, Entry) else None
        return share if size is None else min(size, share)

    def _start_head(self) -> Entry[Any]:
        position = self._pending.popleft()
        entry = self._entries[position]
        assert isinstance(entry, Entry)  # Failed ones were settled at the start
        self._in_flight.add(position)
        self._held[position] = self._bytes_of(position)
        self._pace.started(self._clock.monotonic())
        return entry  # nobody waits for a start, so nobody is woken

    def _must_announce(self) -> bool:
        return self._announce is not None and self._pending[0] not in self._announced

    def _announce_the_end(self) -> None:
        """A crash from here on is collect's, not that of the items that stood in the last list."""
        if self._announced and not self._announcing and len(self._outcomes) == len(self._entries):
            self._write_announcement(set())

    def _announce_window(self) -> None:
        """Writes the list without the lock; other workers wait for it."""
        if self._announcing:
            self._wait(None)
            return
        now = self._clock.monotonic()
        quick = now - self._announced_at < QUICK_WINDOW_SECONDS
        least = 2 * self._rules.workers
        self._window = min(LARGEST_WINDOW, self._window * 2) if quick else max(least, self._window // 2)
        self._announced_at = now
        ahead = itertools.islice(self._pending, 1, self._window)
        window = {self._pending[0]}
        if not self._is_suspect(self._pending[0]):  # a suspect stands in the list alone
            window.update(itertools.takewhile(lambda position: not self._is_suspect(position), ahead))
        self._write_announcement(window)

    def _write_announcement(self, window: set[int]) -> None:
        assert self._announce is not None
        keys = [self._entries[position].key for position in sorted(window | self._in_flight)]
        self._announcing = True
        self._changed.release()
        try:
            self._announce(keys)
        finally:
            self._changed.acquire()
            self._announcing = False
        self._announced = window
        self._changed.notify_all()

    def _end(self, position: int, outcome: Outcome) -> None:
        stage = _stage(self._entries[position])
        self._outcomes[position] = outcome
        self._stage_left[stage] -= 1
        if isinstance(outcome, Failed):
            self._failures += 1
            if self._stage_failed is None or stage < self._stage_failed:
                self._stage_failed = stage
        if not self._rules.ordered:
            self._ready.append(position)

    def _look_at_failures(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            self._auth_in_a_row = 0
        if not isinstance(outcome, Failed) or self._stopped:
            return
        self._auth_in_a_row = self._auth_in_a_row + 1 if outcome.kind is Kind.AUTH else 0
        self._look_at_number_of_failures(outcome.message)
        if not self._stopped and self._auth_in_a_row >= AUTH_IN_A_ROW:
            text = f"{AUTH_IN_A_ROW} items in a row were refused (auth); check the rights of the credentials."
            self._stopped = RunStopped(StopReason.AUTH, f"{text} The last: {outcome.message}")

    def _look_at_number_of_failures(self, last: str) -> None:
        limit = self._rules.max_failures
        if limit is not None and self._failures > limit and not self._stopped:
            text = f"{self._failures} items failed, more than limits.max_failures ({limit}) allows."
            self._stopped = RunStopped(StopReason.FAILURES, f"{text} The last: {last}" if last else text)

    def _skip_behind_failed_stage(self) -> None:
        failed = self._stage_failed
        if failed is None or not self._pending:
            return
        while self._pending and _stage(self._entries[self._pending[-1]]) > failed:
            position = self._pending.pop()
            self._end(position, Skipped(key=self._entries[position].key, reason="stage"))
            self._changed.notify_all()

    def _wait_for_next(self) -> int | None:
        while True:
            self._look_at_deadline()
            stopped = self._stopped
            if stopped and stopped.reason is not StopReason.DEADLINE and self._handed_on < len(self._entries):
                raise stopped
            position = self._next_ready()
            if position is not None or self._handed_on == len(self._entries):
                return position
            self._skip_behind_failed_stage()
            if stopped and not self._in_flight and self._skip_the_rest():
                continue
            self._collect_waits = True
            self._changed.notify_all()
            self._wait(None)
            self._collect_waits = False

    def _next_ready(self) -> int | None:
        if self._rules.ordered:
            return self._handed_on if self._handed_on in self._outcomes else None
        return self._ready.popleft() if self._ready else None

    def _skip_the_rest(self) -> bool:
        rest = [position for position in range(len(self._entries)) if position not in self._outcomes]
        for position in rest:
            self._end(position, Skipped(key=self._entries[position].key, reason="not_started"))
        self._pending.clear()
        return bool(rest)


def _stage(entry: Entry[Any] | Failed) -> int:
    return entry.stage if isinstance(entry, Entry) else 0
