"""The one place that asks for the time and waits for it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock. Tests pass one that runs faster (`testing.FastClock`)."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Waits on a held condition until it is notified or `seconds` have passed (None: until notified)."""
        condition.wait(seconds)
