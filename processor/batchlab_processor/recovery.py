"""What earlier runs left behind: which items are suspects, and which have killed their process twice.

Every run keeps one document, runs/<run>.json: {in_flight, deaths, plain_crashes}. Only a crash that
the supervisor saw (SIGSEGV, SIGBUS, SIGABRT, SIGILL or the OOM killer) counts; a lost host never does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchlab.kinds import Kind
from batchlab.outcome import Failed

DEATHS = 2  # the second death of an item that ran alone is its own doing
PLAIN_CRASHES = 3  # crashes with no item in flight: planning or collecting kills the process


@dataclass(frozen=True)
class History:
    """What a new run must know of the runs before it."""

    deaths: dict[str, int] = field(default_factory=dict)  # by key, 1 or more
    convicted: dict[str, Failed] = field(default_factory=dict)
    plain_crashes: int = 0
    runs: int = 0
    signal: str = ""  # of the crash just before this run

    @property
    def suspects(self) -> frozenset[str]:
        return frozenset(self.deaths) - frozenset(self.convicted)


def look_back(runs: Mapping[str, dict[str, Any]], crashed: str, ended: Collection[str]) -> History:
    """`runs`: the run documents by name; `crashed`: "<run>:<signal>" or ""; `ended`: keys with an outcome."""
    run, _, signal = crashed.partition(":")
    deaths: Counter[str] = Counter()
    plain_crashes = 0
    for body in runs.values():
        for key, count in body.get("deaths", {}).items():
            deaths[key] = max(deaths[key], count)
        plain_crashes = max(plain_crashes, body.get("plain_crashes", 0))
    convicted: dict[str, Failed] = {}
    last = runs.get(run)
    if last is not None:
        in_flight = [key for key in last.get("in_flight", []) if key not in ended]
        plain_crashes += not in_flight
        deaths.update(in_flight)
        if len(in_flight) == 1 and deaths[in_flight[0]] >= DEATHS:
            key = in_flight[0]
            text = f"The item killed its process {deaths[key]} times ({signal}), the last time alone."
            convicted[key] = Failed(key=key, kind=Kind.CRASH, message=text, attempts=deaths[key])
    return History(
        deaths=dict(deaths),
        convicted=convicted,
        plain_crashes=plain_crashes,
        runs=len(runs),
        signal=signal,
    )
