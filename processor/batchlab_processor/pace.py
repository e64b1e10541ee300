"""When the next attempt may start: evenly spaced starts, and holds that bind the whole pool."""

from __future__ import annotations

import threading
from datetime import timedelta


class Pace:
    """Whoever uses it holds `lock`. Times are the clock's monotonic seconds."""

    def __init__(
        self,
        starts_per_second: float | None = None,
        min_interval: timedelta | None = None,
        *,
        share: int = 1,  # so many machines keep this pace together
    ) -> None:
        self.lock = threading.RLock()
        by_rate = 1 / starts_per_second if starts_per_second else 0.0
        by_interval = min_interval.total_seconds() if min_interval else 0.0
        self._interval_seconds = max(by_rate, by_interval) * share
        self._next = float("-inf")
        self._held_until = float("-inf")

    def ready_at(self) -> float:
        """The earliest moment at which the next attempt may start."""
        return max(self._next, self._held_until)

    @property
    def held_until(self) -> float:
        """The moment at which the last hold ends or ended."""
        return self._held_until

    def started(self, now: float) -> None:
        """An attempt starts now; the next one is an interval away."""
        self._next = now + self._interval_seconds

    def hold(self, until: float) -> None:
        """Nobody starts before `until`; an earlier, longer hold stays."""
        self._held_until = max(self._held_until, until)
