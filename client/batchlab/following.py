"""When to look at a job again, and whether what is seen is news: for waiting clients, sync or async, and the CLI."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import timedelta

from batchlab.api import JobInfo
from batchlab.errors import ServiceError, WaitTimeout
from batchlab.http_asks import Look
from batchlab.words import counted, duration

Timeout = float | timedelta | None  # seconds; None: however long it takes

_FIRST_SECONDS, _LONGEST_SECONDS = 0.2, 5.0  # where no service says when to look again
_LONGEST_ASKED_SECONDS = 300.0
_OUTAGE_SECONDS = 300.0  # a service may be away so long while one waits for a job of hours
_AFTER_FAILURE_SECONDS = 5.0
_SHORTEST_SECONDS = 0.05


class Following:
    """One wait for one job."""

    def __init__(
        self, job_id: str, timeout: Timeout = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._id = job_id
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        self._monotonic = monotonic
        self._began = monotonic()
        self._until = None if seconds is None else self._began + seconds
        self._quiet_seconds = _FIRST_SECONDS
        self._away_since: float | None = None
        self._failure: ServiceError | None = None  # of the last look
        self._seen: JobInfo | None = None

    def left(self) -> float:
        """Seconds until its timeout; infinite without one."""
        return math.inf if self._until is None else self._until - self._monotonic()

    def news(self, look: Look) -> bool:
        """Whether the look shows anything that the one before did not."""
        self._away_since = self._failure = None
        new = look.info != self._seen
        self._quiet_seconds = _FIRST_SECONDS if new else min(self._quiet_seconds * 1.5, _LONGEST_SECONDS)
        self._seen = look.info
        return new

    def pause(self, look: Look) -> float:
        """Seconds until the next look: as the service asks, else longer the quieter it is. Raises WaitTimeout."""
        asked = look.again_after_seconds
        return self._within(self._quiet_seconds if asked is None else min(asked, _LONGEST_ASKED_SECONDS))

    def failed(self, error: ServiceError) -> float:
        """Seconds until the next look after one that failed. Raises the error after 5 minutes of them."""
        now, self._failure = self._monotonic(), error
        self._away_since = now if self._away_since is None else self._away_since
        if now - self._away_since >= _OUTAGE_SECONDS:
            raise error
        return self._within(_AFTER_FAILURE_SECONDS)

    def _within(self, seconds: float) -> float:
        if self._until is None:
            return max(seconds, _SHORTEST_SECONDS)
        if (left := self.left()) <= 0:
            raise WaitTimeout(
                f"Job {self._id} had not ended after {duration(self._monotonic() - self._began)}"
                f"{self._standing()}. It goes on: wait again, or look with batchlab watch {self._id}"
                f"{'' if self._failure is None else f'. The last look failed: {self._failure}'}"
            )
        return min(max(seconds, _SHORTEST_SECONDS), left)

    def _standing(self) -> str:
        info = self._seen
        if info is None:
            return ""
        counts = info.counts
        items = f", {counts.ended:,} of {counted(counts.total, info.type)}" if counts.total else ""
        return f" ({info.state}{items})"
