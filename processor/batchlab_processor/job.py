"""What the author of a job type sees: three verbs, and a context to do them with.

    class Shout(JobType[Word, Loud]):
        name = "shout"
        params = ShoutParams

        def plan(self, ctx): return Plan([Entry(key=w, item=Word(text=w)) for w in ctx.params.words])
        def work(self, item, ctx): return Loud(text=item.text.upper())
        def collect(self, outcomes, ctx): return [ctx.deliver("shout.txt", ...)]

Plain functions, called in threads. An item that cannot be done raises `ItemError`; any other exception
out of `work` is a bug of the job type and fails that item with kind `bug`. `JobFailed` ends the whole job.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast

from pydantic import BaseModel

from batchlab.outcome import Failed, Outcome
from batchlab.shards import Phase

if TYPE_CHECKING:
    from batchlab.document import JobDocument
    from batchlab.report import Artifact, Report
    from batchlab.store import Store
    from batchlab_processor.storage import Storage

Item = TypeVar("Item", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)
A = TypeVar("A")
B = TypeVar("B")


class JobFailed(Exception):
    """The whole job cannot go on; the message is the report's error. Out of any verb, and out of `gave_up`."""


STARTS_OVER = 2  # so often, then the job fails


class StartOver(Exception):
    """Out of `collect`: what it saw does not hold any more (the upload is gone), so work again, in this run.

    `settled` is asked anew for every item; what had failed stays failed. After the second time the job fails,
    and the message is the report's error.
    """


@dataclass(frozen=True)
class Entry(Generic[Item]):
    """One item of a plan."""

    key: str  # unique in the plan; stable over runs and retries
    item: Item
    stage: int = 0  # 0 or more; a stage starts when the one before has ended
    size_bytes: int | None = None  # bytes to move, for progress and for the bound on bytes alive


@dataclass(frozen=True)
class Plan(Generic[Item]):
    """All that a job will do, in order. `Failed` entries were found wanting while planning."""

    entries: Sequence[Entry[Item] | Failed]
    facts: dict[str, Any] = field(default_factory=dict)  # JSON; for all items: names, dates, digests


@dataclass(frozen=True)
class Earlier:
    """A generation of this job that has ended."""

    generation: int  # 1 or more
    report: Report
    facts: dict[str, Any]  # its plan's; {} when it ended before it had a plan


class Context(Protocol):
    """What the engine lends to the three verbs."""

    document: JobDocument
    generation: int
    phase: Phase  # which verbs this run calls: "work" is a shard's; "collect" works on what is left, too
    params: Any  # an instance of the job type's `params`
    facts: dict[str, Any]  # the plan's facts; {} while planning
    planned: Sequence[Entry[Any] | Failed]  # the plan's entries; () while planning
    slice: range  # positions in `planned` of the items that this run works on: a shard's neighbours, else all
    report_facts: dict[str, Any]  # what the report shall say besides. "sink" names the sink that ran;
    # "unfinished", a sentence, makes a job partial whose items are all done; "summary", lines, is shown to people
    storage: Storage
    store: Store  # where job documents live; for the self-test and for cleaning up
    key: str | None  # the item being worked on, in `work`; else None
    attempt: int  # 1 or more in `work`; else 0
    stop: threading.Event  # set when the run must end soon; long work looks at it
    log: logging.LoggerAdapter[logging.Logger]  # carries job, key and attempt

    def now(self) -> datetime:
        """UTC."""
        ...

    def target(self, name: str, shared: str | None = None) -> str:
        """The URL at which this job delivers `name`: the exact key for the CLI, else <output>/<id>/g<n>/<name>.

        With `shared`, which jobs that deliver the same give alike: <output>/<shared>/<name>.
        """
        ...

    def overwrite(self) -> bool:
        """Whether an object that exists at `target` may be replaced."""
        ...

    def password(self, ref: str) -> str:
        """The secret named `ref` in the configuration; raises ItemError(validation) naming the setting."""
        ...

    def entry(self, section: str, name: str) -> Any:
        """The entry `name` of the configuration, secrets in place; raises ItemError(validation) naming what to add."""
        ...

    def scratch(self) -> str:
        """A directory of this run on the local disk; the engine removes it."""
        ...

    def moved(self, size_bytes: int) -> None:
        """Tells the progress that bytes of the current item arrived."""
        ...

    def uploaded(self, size_bytes: int) -> None:
        """Tells the progress that bytes were delivered."""
        ...

    def settle(self, key: str, result: BaseModel) -> None:
        """For durable == "own": the effect of `key` now survives a kill."""
        ...

    def recorded(self, key: str) -> BaseModel | None:
        """The Result of `key` that survived an earlier run or generation, as the ledger has it."""
        ...

    def note(self, name: str, body: dict[str, Any], flush: bool = True) -> None:
        """Keeps a fact of the job type in the ledger; it has survived a kill when this returns.

        With `flush=False` it survives one after `limits.workers` further entries of the ledger, or 2 s.
        """
        ...

    def notes(self, name: str) -> list[dict[str, Any]]:
        """The notes of this generation with that name, those of earlier runs first."""
        ...

    def earlier(self) -> Earlier | None:
        """The last generation before this one that delivered an artifact, else the last one that ended.

        None in the first generation. Its outcomes are what `recorded` gives.
        """
        ...

    def confirm(self) -> None:
        """Call it right before delivering, and in a long delivery whenever `stop` is set: ends the run when it
        was asked to stop, and when it lost its lease, so that nobody delivers twice.
        """
        ...

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Failed]]:
        """`function` over items with the job's workers, pace and attempts, in the order of `items`.

        An ItemError becomes Failed (key = str(position)); other exceptions are raised.
        """
        ...


class JobType(ABC, Generic[Item, Result]):
    """A kind of job. Item and Result are pydantic models: they live in plan and ledger."""

    name: ClassVar[str]
    summary: ClassVar[str] = ""  # one line for `batchlab types`
    params: ClassVar[type[BaseModel]]
    item: ClassVar[type[BaseModel]]  # the model of Item
    result: ClassVar[type[BaseModel]]  # the model of Result
    ordered: ClassVar[bool] = False  # collect sees the outcomes in plan order

    def durable(self, params: Any) -> Literal["item", "job", "own"]:
        """When an item's effect survives a kill.

        item: when work returns; job: only when collect returns; own: when the type calls ctx.settle(key).
        """
        return "item"

    @abstractmethod
    def plan(self, ctx: Context) -> Plan[Item]:
        """Says what is to be done; runs once per generation, its answer is saved before the first work."""

    @abstractmethod
    def work(self, item: Item, ctx: Context) -> Result:
        """Does one item, in a worker thread; may be tried again; idempotent by key. Raises ItemError."""

    def settled(self, key: str, item: Item, ctx: Context) -> Result | None:
        """The Result of an item that needs no work any more; None: work on it. Default: what the ledger says."""
        recorded = ctx.recorded(key)
        return None if recorded is None else cast(Result, recorded)

    def gave_up(self, key: str, item: Item, failed: Failed, ctx: Context) -> None:
        """Called when an item has failed for good, in the worker's thread before that takes another item.

        Idempotent by key: after a kill it may be called again. Items that failed while planning or by killing
        their process are not announced here; `collect` sees them like all others. What it raises fails the job.
        """

    def preview(self, plan: Plan[Item]) -> Sequence[str]:
        """What a dry run says of the plan, in lines."""
        failed = sum(isinstance(entry, Failed) for entry in plan.entries)
        return [f"{len(plan.entries) - failed:,} to do, {failed:,} that cannot be done."]

    def shard_ended(self, ctx: Context) -> None:
        """All items of a shard have ended, and its process is about to: what is still under way must arrive."""

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """Sees every outcome once, settled ones of earlier runs included, while work goes on.

        Items start only as outcomes are taken (bounded bytes), so take them all. Returns what was delivered.
        Taking an outcome raises RunStopped when the run stops; let it pass. Its `resumable` says whether the job
        goes on later, so that what was begun (an upload) must stay. Raises StartOver to work once more.
        """
        for _ in outcomes:
            pass
        return []
