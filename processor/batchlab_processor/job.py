"""What the author of a job type sees: three verbs, and a context to do them with.

    class Shout(JobType[Word, Loud]):
        name = "shout"
        params = ShoutParams

        def plan(self, ctx): return Plan([Entry(key=w, item=Word(text=w)) for w in ctx.params.words])
        def work(self, item, ctx): return Loud(text=item.text.upper())
        def collect(self, outcomes, ctx): return [ctx.deliver("shout.txt", ...)]

Plain functions, called in threads. An item that cannot be done raises `ItemError`; any other exception
out of `work` is a bug of the job type and fails that item with kind `bug`.
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

if TYPE_CHECKING:
    from batchlab.document import JobDocument
    from batchlab.report import Artifact
    from batchlab.store import Store
    from batchlab_processor.storage import Storage

Item = TypeVar("Item", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)
A = TypeVar("A")
B = TypeVar("B")


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


class Context(Protocol):
    """What the engine lends to the three verbs."""

    document: JobDocument
    generation: int
    params: Any  # an instance of the job type's `params`
    facts: dict[str, Any]  # the plan's facts; {} while planning
    report_facts: dict[str, Any]  # what the report shall say besides; "sink" names the sink that ran
    storage: Storage
    store: Store  # where job documents live; for the self-test and for cleaning up
    key: str | None  # the item being worked on, in `work`; else None
    attempt: int  # 1 or more in `work`; else 0
    stop: threading.Event  # set when the run must end soon; long work looks at it
    log: logging.LoggerAdapter[logging.Logger]  # carries job, key and attempt

    def now(self) -> datetime:
        """UTC."""
        ...

    def target(self, name: str) -> str:
        """The URL at which this job delivers `name`: the exact key for the CLI, else <output>/<id>/g<n>/<name>."""
        ...

    def overwrite(self) -> bool:
        """Whether an object that exists at `target` may be replaced."""
        ...

    def password(self, ref: str) -> str:
        """The secret named `ref` in the configuration; raises ItemError(validation) naming the setting."""
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

    def note(self, name: str, body: dict[str, Any]) -> None:
        """Keeps a fact of the job type in the ledger; it has survived a kill when this returns."""
        ...

    def notes(self, name: str) -> list[dict[str, Any]]:
        """The notes of this generation with that name, those of earlier runs first."""
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

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """Sees every outcome once, settled ones of earlier runs included, while work goes on.

        Items start only as outcomes are taken (bounded bytes), so take them all. Returns what was delivered.
        """
        for _ in outcomes:
            pass
        return []
