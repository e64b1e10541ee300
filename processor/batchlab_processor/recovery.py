"""What earlier runs and generations left behind: which items are suspects, and which have killed their process twice.

Every run keeps one document, runs/<run>.json: {in_flight, deaths, plain_crashes, number, ended}. Only a crash that
the supervisor saw (SIGSEGV, SIGBUS, SIGABRT, SIGILL or the OOM killer) counts; a lost host never does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchlab.kinds import Kind
from batchlab.outcome import Failed
from batchlab.records import JobRecords
from batchlab.standing import WHOLE
from batchlab_processor.job import Earlier

DEATHS = 2  # the second death of an item that ran alone is its own doing
PLAIN_CRASHES = 3  # crashes with no item in flight: planning or collecting kills the process


@dataclass(frozen=True)
class History:
    """What a new run must know of the runs before it."""

    deaths: dict[str, int] = field(default_factory=dict)  # by key, 1 or more
    convicted: dict[str, Failed] = field(default_factory=dict)
    plain_crashes: int = 0
    runs: int = 0
    interrupted: int = 0  # of these, those that did not reach their end
    signal: str = ""  # of the crash just before this run

    @property
    def suspects(self) -> frozenset[str]:
        return frozenset(self.deaths) - frozenset(self.convicted)


def look_back(
    runs: Mapping[str, dict[str, Any]], crashed: str, ended: Collection[str], number: int = WHOLE
) -> History:
    """`runs`: the run documents by name; `crashed`: "<run>:<signal>" or ""; `ended`: keys with an outcome;

    `number`: that of the shard; crashes with no item in flight count in the shard only that they were in.
    """
    run, _, signal = crashed.partition(":")
    deaths: Counter[str] = Counter()
    plain_crashes = 0
    for body in runs.values():
        for key, count in body.get("deaths", {}).items():
            deaths[key] = max(deaths[key], count)
        if body.get("number", WHOLE) == number:
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
        interrupted=sum(not body.get("ended") for body in runs.values()),
        signal=signal,
    )


def earlier(records: JobRecords, generation: int) -> Earlier | None:
    """The last generation before this one that delivered an artifact, else the last that ended, if any did."""
    reports = ((before, records.report(before)) for before in range(generation - 1, 0, -1))
    ended = [(before, report) for before, report in reports if report is not None]
    if not ended:
        return None
    before, report = next((one for one in ended if one[1].artifacts), ended[0])
    plan = records.plan(before)
    return Earlier(before, report, plan["facts"] if plan else {})
