"""One submission at a time for each idempotency key: a second one waits for the first, and then finds its job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from batchlab.errors import ServiceError

WAIT_SECONDS = 10.0  # a submission takes 0.1 to 1 s; one that hangs must not hold all threads


class InFlight(ServiceError):
    """The same submission is still being worked on; ask again in a moment."""


class Turns:
    """Within this process. Two processes that submit one key write the same documents, which harms nothing."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._guard = threading.Lock()
        self._turns: dict[str, tuple[threading.Lock, int]] = {}  # the key's lock, and how many want it

    @contextmanager
    def of(self, key: str | None) -> Iterator[None]:
        """Inside, nobody else has this key's turn. Raises InFlight when that takes too long. None waits for nobody."""
        if key is None:
            yield
            return
        with self._guard:
            lock, wanted = self._turns.get(key, (threading.Lock(), 0))
            self._turns[key] = lock, wanted + 1
        try:
            if not lock.acquire(timeout=self._wait_seconds):
                raise InFlight()
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, wanted = self._turns.pop(key)
                if wanted > 1:
                    self._turns[key] = lock, wanted - 1
