"""Whether a failed attempt is tried again, and when. Pure: the engine does the waiting."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from batchlab.kinds import POLICIES, ItemError

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 10.0  # a photo keeps its worker while it waits, so waits stay short
RATE_LIMIT_SECONDS = 60.0  # when the server names no time itself
LONGEST_RETRY_AFTER_SECONDS = 900.0  # a server that says "in a day" means its quota; do not sit on it


@dataclass(frozen=True)
class Decision:
    """What follows a failed attempt."""

    action: Literal["retry", "fail", "pause"]
    delay_seconds: float = 0.0
    pool_waits: bool = False


def decide(error: ItemError, tries: int, limit: int, chance: random.Random) -> Decision:
    """`tries` attempts were made, this failed one included; at most `limit` are allowed."""
    policy = POLICIES[error.kind]
    if policy.retry == "pause":
        return Decision("pause")
    allowed = {"yes": limit, "once": min(limit, 2), "never": 1}[policy.retry]
    if tries >= allowed:
        return Decision("fail")
    wish = error.retry_after_seconds
    if wish is not None and wish > LONGEST_RETRY_AFTER_SECONDS:
        return Decision("fail")
    if policy.pool_waits:
        return Decision("retry", wish if wish is not None else RATE_LIMIT_SECONDS, pool_waits=True)
    return Decision("retry", max(wish or 0.0, backoff_seconds(tries, chance)))


def backoff_seconds(tries: int, chance: random.Random) -> float:
    """Exponential from 1 s to 10 s; the upper half is random, so that workers do not come back together."""
    ceiling = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(tries - 1, 30))
    return float(ceiling * (0.5 + 0.5 * chance.random()))
