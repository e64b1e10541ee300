"""All schedules of one run: the plan's, those of `ctx.map`, the main one; and the one wish to stop them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from batchlab.limits import Limits
from batchlab.outcome import Done, Failed, Skipped
from batchlab_processor.clock import Clock
from batchlab_processor.job import Entry
from batchlab_processor.pace import Pace
from batchlab_processor.pool import Pool, Watcher
from batchlab_processor.schedule import Rules, RunStopped, Schedule, StopReason

A = TypeVar("A")
B = TypeVar("B")


PLANNING_SECONDS = (
    5.0  # nothing is planned yet, so there are no bars: a line now and then tells that it goes on
)

logger = logging.getLogger("batchlab")


class Schedules:
    """They share the job's limits and pace; `stop` is set when what is in flight need not go on."""

    def __init__(self, limits: Limits, clock: Clock, *, share: int = 1) -> None:
        """`share`: so many machines work on the job at once, and keep its pace together."""
        self.stop = threading.Event()
        self.main: Schedule | None = None  # that of the items; before it the run is planning
        self.stopped: RunStopped | None = None
        self._limits = limits
        self._clock = clock
        self._pace = Pace(limits.starts_per_second, limits.min_interval, share=share)
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Schedule] = weakref.WeakSet()  # a map inside an item ends with it

    def new_main(self, entries: Sequence[Entry[Any] | Failed], rules: Rules, **more: Any) -> Schedule:
        """The schedule of the items; from here a wish to stop is too late once all outcomes are handed on."""
        self.main = self._new(entries, rules, self._pace, **more)
        return self.main

    def pool(
        self, schedule: Schedule, work: Any, *, workers: int | None = None, watcher: Watcher | None = None
    ) -> Pool:
        return Pool(
            schedule,
            work,
            workers=workers or self._limits.workers,
            attempts=self._limits.attempts,
            clock=self._clock,
            stop=self.stop,
            watcher=watcher,
        )

    def attempt(self, function: Callable[[], A]) -> A | Failed:
        """`function()`, tried again as an item would be; what it failed of at last."""
        schedule = self._new([Entry("once", None)], Rules(1, 1), Pace())
        with self.pool(schedule, lambda entry, attempt: (function(), 0), workers=1) as pool:
            outcome = next(pool.outcomes())
        assert not isinstance(outcome, Skipped)  # neither deadline nor stages here
        result: A | Failed = outcome.result if isinstance(outcome, Done) else outcome
        return result

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Failed]]:
        """What `ctx.map` promises."""
        listed = list(items)
        entries: list[Entry[Any]] = [Entry(str(number), item) for number, item in enumerate(listed)]
        rules = Rules(self._limits.workers, ahead_bytes=self._limits.ahead_bytes, ordered=True)
        schedule = self._new(entries, rules, self._pace)
        with self.pool(schedule, lambda entry, attempt: (function(entry.item), 0)) as pool:
            said = self._clock.monotonic()
            for number, (item, outcome) in enumerate(zip(listed, pool.outcomes(), strict=True), start=1):
                if self.main is None and self._clock.monotonic() - said >= PLANNING_SECONDS:
                    said = self._clock.monotonic()
                    logger.info("Planning: looked at %s of %s.", f"{number:,}", f"{len(listed):,}")
                assert not isinstance(outcome, Skipped)  # neither deadline nor stages here
                yield item, outcome.result if isinstance(outcome, Done) else outcome

    def stop_all(self, reason: StopReason, message: str) -> bool:
        """No further item starts, and what is in flight need not go on.

        False when a cancel came too late: all outcomes of the items were handed on, and it changes nothing.
        """
        with self._lock:
            in_time = self.main is None or self.main.stop(reason, message)
            if not in_time and reason is StopReason.CANCEL:
                return False
            self.stopped = self.stopped or RunStopped(reason, message)
            for schedule in self._all:
                schedule.stop(reason, message)
        self.stop.set()
        return True

    def start_over(self) -> None:
        """What was in flight has ended, and new items may start; a wish to stop the run stands."""
        with self._lock:
            if self.stopped is None:
                self.stop.clear()

    def _new(self, entries: Sequence[Any], rules: Rules, pace: Pace, **more: Any) -> Schedule:
        schedule = Schedule(entries, rules, self._clock, pace, **more)
        with self._lock:
            self._all.add(schedule)
            if self.stopped is not None:
                schedule.stop(self.stopped.reason, self.stopped.message)
        return schedule
