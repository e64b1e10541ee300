"""How often a request to storage is sent again, and which failures are worth it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from batchlab.kinds import Kind

PASSING = (Kind.NETWORK, Kind.TIMEOUT, Kind.API_ERROR, Kind.RATE_LIMIT)


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long is waited in between."""

    tries: int = 4
    first_seconds: float = 0.5
    longest_seconds: float = 8.0

    def delays(self) -> Iterator[float]:
        """Seconds to wait before each further try: doubling, up to half of it taken off at random."""
        for further in range(self.tries - 1):
            yield min(self.first_seconds * 2**further, self.longest_seconds) * random.uniform(0.5, 1)
