"""For the authors of job types: run a job in memory, fast, and look at what came of it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from batchlab_processor.clock import Clock


class FastClock(Clock):
    """A clock on which `speed` seconds pass in each real one, so that a wait of 60 s takes 60 ms."""

    def __init__(self, speed: float = 1000.0, start: datetime = datetime(2026, 6, 6, tzinfo=UTC)) -> None:
        self._speed = speed
        self._start = start
        self._begin = time.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._begin) * self._speed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self._speed)

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        condition.wait(None if seconds is None else seconds / self._speed)
