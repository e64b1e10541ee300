"""For the authors of job types: run a job in memory, fast, and look at what came of it.

ran = run_job(Shout(), {"type": "shout", "params": {"words": ["a"]}, "output": "memory://out"})
assert ran.end.state == "succeeded"
assert read("memory://out/shout.txt") == b"A"

check_job_type(Shout, {...})     the promises that the engine relies on; call it in a test of yours
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.outcome import Failed, Outcome
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Artifact
from batchlab.settings import Settings
from batchlab.shards import Phase, Shard
from batchlab.stores.memory import MemoryStore
from batchlab_processor import engine, saved_plan
from batchlab_processor.clock import Clock
from batchlab_processor.job import Context, Entry, JobType, Plan
from batchlab_processor.storage import open_storage


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


@dataclass
class Ran:
    """A job in memory, and how its last run ended."""

    job: JobType[Any, Any]
    records: JobRecords
    end: engine.End | None = None
    outcomes: list[Outcome] = field(default_factory=list)  # what collect saw in the last run
    plan: Plan[Any] | None = None  # as it was made; None when an earlier run had made it


class Killed(BaseException):
    """What a kill -9 is to a test: the run ends here and nothing after it happens."""


def run_job(
    job: JobType[Any, Any],
    document: Mapping[str, Any],
    *,
    kill: Callable[[str], bool] = lambda key: False,
    ran: Ran | None = None,
    sources: Sequence[str] = (),
    phase: Phase = "all",
    shard: Shard = Shard(),  # noqa: B008  frozen
) -> Ran:
    """Runs `document` with `job`, or one phase of it, its store in memory; with `ran`, goes on with that job.

    `sources` may be read: memory://NAME, file:///DIRECTORY, http://127.0.0.1:PORT. Delivered is below the
    document's output. When `kill(key)` is true after the work on an item, the run ends as if killed, and
    `end` is None.
    """
    if ran is None:
        ran = Ran(job, submit_locally(MemoryStore(), JobDocument.model_validate(dict(document))))
    output = ran.records.document().output
    authority = Authority.granted(
        sources=sources,
        outputs=[output] if output else [],
        allow_local=True,
        exact_target=False,
        allow_memory=True,
    )
    door = engine.Door(
        storage=open_storage(Settings(), authority),
        authority=authority,
        clock=FastClock(),
        keep_seconds=0.01,
        waiting=None,
        phase=phase,
        shard=shard,
    )
    watched = _Watched(job, ran, kill)
    try:
        ran.end = engine.run(ran.records, watched, door)
    except Killed:
        ran.end = None
    return ran


def check_job_type(
    make: Callable[[], JobType[Any, Any]], document: Mapping[str, Any], *, sources: Sequence[str] = ()
) -> None:
    """The promises of `JobType`, each with an AssertionError that says which was broken.

    `document` must plan at least two items and fail none of them.
    """
    first, second = (run_job(make(), document, sources=sources) for _ in range(2))
    assert first.plan is not None
    assert second.plan is not None
    keys = [entry.key for entry in first.plan.entries]
    assert len(keys) >= 2, "the document must plan two items or more"
    assert keys == [entry.key for entry in second.plan.entries], (
        "keys must be the same whenever a job is planned"
    )
    saved = saved_plan.to_json(first.plan)
    assert saved_plan.to_json(saved_plan.from_json(saved, make())) == saved, (
        "items must survive JSON as they are"
    )
    assert first.end is not None
    assert first.end.report is not None, first.end.message
    assert first.end.report.counts.done == len(keys), f"items failed: {first.end.report.failures}"
    assert sorted(outcome.key for outcome in first.outcomes) == sorted(keys), (
        "collect must take every outcome"
    )
    for victim in (keys[0], keys[-1]):
        broken = run_job(make(), document, kill=victim.__eq__, sources=sources)
        resumed = run_job(make(), document, ran=broken, sources=sources)
        assert resumed.end is not None
        assert resumed.end.state == first.end.state, (
            f"killed after {victim}, the job must end as it would have"
        )
        seen = sorted(outcome.key for outcome in resumed.outcomes)
        assert seen == sorted(keys), "after a kill collect must see every outcome, those of the first run too"
    if _divisible(make(), first.plan, document):
        shared = {**document, "shards": 2}
        ran = run_job(make(), shared, sources=sources, phase="plan")
        run_job(make(), shared, sources=sources, ran=ran, phase="work", shard=Shard(2, 2))
        run_job(make(), shared, sources=sources, ran=ran, phase="collect")  # what shard 1 never did, too
        assert ran.end is not None
        assert ran.end.state == first.end.state, "in shards, the job must end as it would have in one run"
        assert sorted(outcome.key for outcome in ran.outcomes) == sorted(keys), (
            "collect must see every outcome, those of the shards too"
        )


def _divisible(job: JobType[Any, Any], plan: Plan[Any], document: Mapping[str, Any]) -> bool:
    """Whether machines may share the items; a job that delivers as a whole, or in stages, runs on one."""
    if any(isinstance(entry, Entry) and entry.stage for entry in plan.entries):
        return False
    params = job.params.model_validate(document.get("params", {}))
    divisible = getattr(params, "divisible", None)
    return job.durable(params) != "job" and (divisible is None or bool(divisible()))


class _Watched(JobType[Any, Any]):
    """The job type itself, with an eye on what the engine gives it."""

    def __init__(self, job: JobType[Any, Any], ran: Ran, kill: Callable[[str], bool]) -> None:
        self._job, self._ran, self._kill = job, ran, kill
        self.name, self.params, self.item, self.result = job.name, job.params, job.item, job.result  # type: ignore[misc]
        self.ordered = job.ordered  # type: ignore[misc]

    def durable(self, params: Any) -> Any:
        return self._job.durable(params)

    def plan(self, ctx: Context) -> Plan[Any]:
        self._ran.plan = self._job.plan(ctx)
        return self._ran.plan

    def settled(self, key: str, item: Any, ctx: Context) -> Any:
        return self._job.settled(key, item, ctx)

    def work(self, item: Any, ctx: Context) -> Any:
        result = self._job.work(item, ctx)
        if ctx.key is not None and self._kill(ctx.key):
            raise Killed
        return result

    def gave_up(self, key: str, item: Any, failed: Failed, ctx: Context) -> None:
        self._job.gave_up(key, item, failed, ctx)

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        self._ran.outcomes = []

        def noted() -> Iterator[Outcome]:
            for outcome in outcomes:
                self._ran.outcomes.append(outcome)
                yield outcome

        return self._job.collect(noted(), ctx)
