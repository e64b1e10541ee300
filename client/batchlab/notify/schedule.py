"""When a notification that did not get through is tried again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

# Source: Standard Webhooks, "Delivery attempts". The first at once, the last 3 days and 4 hours later.
WAITS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Longer than any try lives: a webhook takes 15 s, Amazon SES may take 70 s. Then the sender was killed.
CLAIM = timedelta(minutes=2)
_JITTER = 0.1  # a tenth more at most: the jobs of one outage do not come back at one moment
_LONGEST_WISH = timedelta(hours=24)  # of a receiver's Retry-After


def next_try(attempts: int, now: datetime, wish: timedelta | None = None) -> datetime | None:
    """When to try again after `attempts` that failed; None when it is given up. `wish`: not before this has passed."""
    if attempts >= len(WAITS):
        return None
    wait = WAITS[attempts] * random.uniform(1, 1 + _JITTER)
    return now + max(wait, min(wish or timedelta(0), _LONGEST_WISH))
