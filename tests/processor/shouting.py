"""A job type with planted faults, and a world to run it in: for the tests of the engine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Done, Outcome
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Artifact
from batchlab.stores.memory import MemoryStore
from batchlab_processor import engine
from batchlab_processor.engine import Door, End
from batchlab_processor.job import Context, Entry, JobType, Plan
from batchlab_processor.testing import FastClock


class Word(BaseModel):
    text: str


class Loud(BaseModel):
    text: str


class ShoutParams(BaseModel):
    count: int = 10


class Shout(JobType[Word, Loud]):
    """Says words loudly. What goes wrong is planted by the test."""

    name: ClassVar[str] = "shout"
    params = ShoutParams
    item = Word
    result = Loud
    effect: Literal["item", "job", "own"] = "item"

    def __init__(self) -> None:
        self.worked: Counter[str] = Counter()
        self.collected: list[Outcome] = []
        self.plant: Any = lambda item, ctx: None
        self.plant_plan: Any = lambda ctx: None
        self.plant_collect: Any = lambda ctx: None
        self.stages = 1
        self.lock = threading.Lock()

    def durable(self, params: Any) -> Literal["item", "job", "own"]:
        return self.effect

    def plan(self, ctx: Context) -> Plan[Word]:
        self.plant_plan(ctx)
        count = ctx.params.count
        return Plan(
            [Entry(f"w{n}", Word(text=f"w{n}"), stage=n % self.stages, size_bytes=1) for n in range(count)],
            facts={"made": "by plan"},
        )

    def work(self, item: Word, ctx: Context) -> Loud:
        with self.lock:
            self.worked[item.text] += 1
        self.plant(item, ctx)
        ctx.moved(1)
        return Loud(text=item.text.upper())

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> list[Artifact]:
        assert ctx.facts == {"made": "by plan"}
        assert ctx.phase in ("all", "collect")
        assert ctx.slice == range(len(ctx.planned))
        self.collected = list(outcomes)
        self.plant_collect(ctx)
        if not any(isinstance(outcome, Done) for outcome in self.collected):
            return []
        return [Artifact(name="words.txt", url="memory://out/words.txt", size_bytes=1)]


class World:
    """A store that outlives the runs, and one job in it."""

    def __init__(self, job: Shout | None = None, **document: Any) -> None:
        self.job = job or Shout()
        self.store = MemoryStore()
        self.clock = FastClock(speed=document.pop("speed", 2000))
        made = JobDocument.model_validate({"type": "shout", "output": "s3://bucket/out", **document})
        self.records: JobRecords = submit_locally(self.store, made)

    def run(self, crashed: str = "", **door: Any) -> End:
        door = {"waiting": None, "keep_seconds": 0.01, "clock": self.clock, **door}
        return engine.run(
            self.records,
            self.job,
            Door(storage=None, authority=Authority(), crashed=crashed, **door),  # type: ignore[arg-type]
        )


def lose_lease(world: World, lease: str = "lease-all-0.json") -> None:
    """Another run takes the lease, and this one notices."""
    name = f"jobs/{world.records.id}/g1/{lease}"
    found = world.store.read(name)
    assert found is not None
    world.store.replace(name, {**found.body, "run": "thief"}, found.version)
    for thread in threading.enumerate():
        if thread.name == "lease":
            thread._target.__self__.renew()  # type: ignore[attr-defined]


def fails(kind: Kind, *keys: str, **more: Any) -> Any:
    def plant(item: Word, ctx: Context) -> None:
        if item.text in keys:
            raise ItemError(kind, f"planted for {item.text}", **more)

    return plant


class Killed(BaseException):
    """A kill -9 as seen from inside: nothing after it runs, not even the store's writes."""
