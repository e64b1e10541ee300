"""Which slice of a job's items one machine works on, as `--shard` says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from batchlab.errors import UsageError

# Which verbs of a job one run calls. "work" is a shard's and delivers nothing; "collect" works on whatever is
# left and delivers; "all" does everything.
Phase = Literal["all", "plan", "work", "collect"]
_WRITTEN = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Shard:
    """One container's slice of the items: the `number`th of `count`."""

    number: int = 1  # from 1 to count
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_phase(text: str) -> Phase:
    """The phase that `--phase` names; "" is all of them. Raises UsageError."""
    match text:
        case "":
            return "all"
        case "plan" | "work" | "collect":
            return text
    raise UsageError(f"--phase: {text!r} is none of plan, work and collect.")


def parse_shard(text: str, phase: Phase) -> Shard:
    """The shard that `--shard` names, such as "2/7"; "" is the only one. Raises UsageError."""
    if not text:
        return Shard()
    if phase != "work":
        raise UsageError("--shard: only --phase work is done in shards.")
    found = _WRITTEN.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise UsageError(f"--shard: {text!r} is no shard. Write number/count, from 1/7 to 7/7.")
    return Shard(int(found[1]), int(found[2]))
