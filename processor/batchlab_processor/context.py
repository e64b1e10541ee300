"""What the engine lends to a job type: the Context protocol of `job`, one per run, with a view per item."""

from __future__ import annotations

import copy
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed
from batchlab.shards import Phase
from batchlab.store import Store
from batchlab_processor.clock import Clock
from batchlab_processor.job import Earlier, Entry
from batchlab_processor.logs import item_logger
from batchlab_processor.progress import Progress
from batchlab_processor.storage import Storage

A = TypeVar("A")
B = TypeVar("B")


class Ledger(Protocol):
    """What a context needs of the run's ledger."""

    def settle(self, key: str, result: BaseModel) -> None: ...
    def note(self, name: str, body: dict[str, Any], *, flush: bool = True) -> None: ...
    def notes(self, name: str) -> list[dict[str, Any]]: ...
    def recorded(self, key: str) -> BaseModel | None: ...


@dataclass
class Services:
    """What all views of one run share."""

    document: JobDocument
    generation: int
    params: Any
    storage: Storage
    store: Store
    authority: Authority
    clock: Clock
    progress: Progress
    ledger: Ledger
    passwords: Callable[[str], str]  # raises ItemError(validation) for an unknown name
    entries: Callable[[str, str], Any]  # the same, of any section
    confirm: Callable[[], None]
    earlier: Callable[[], Earlier | None]
    map: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[tuple[Any, Any]]]
    phase: Phase = "all"
    stop: threading.Event = field(default_factory=threading.Event)
    scratch: Path | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class RunContext:
    """See `batchlab_processor.job.Context` for what each name promises."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.document = services.document
        self.generation = services.generation
        self.phase: Phase = services.phase
        self.params = services.params
        self.storage = services.storage
        self.store = services.store
        self.stop = services.stop
        self.facts: dict[str, Any] = {}
        self.planned: Sequence[Entry[Any] | Failed] = ()
        self.slice = range(0)
        self.report_facts: dict[str, Any] = {}
        self.key: str | None = None
        self.attempt = 0
        self.size_bytes = 0  # moved in this attempt
        self.log: logging.LoggerAdapter[logging.Logger] = item_logger(services.document.id, None, None)

    def for_item(self, entry: Entry[Any], attempt: int) -> RunContext:
        """A view that counts and logs for one attempt at one item."""
        view = copy.copy(self)
        view.key, view.attempt, view.size_bytes = entry.key, attempt, 0
        view.log = item_logger(self.document.id, entry.key, attempt)
        return view

    def now(self) -> datetime:
        return self._services.clock.now()

    def target(self, name: str, shared: str | None = None) -> str:
        output = str(self.document.output).rstrip("/")
        if self._services.authority.exact_target:
            return f"{output}/{quote(name)}"
        if shared is not None:
            return f"{output}/{shared}/{quote(name)}"
        return f"{output}/{self.document.id}/g{self.generation}/{quote(name)}"

    def overwrite(self) -> bool:
        return self._services.authority.overwrite

    def password(self, ref: str) -> str:
        return self._services.passwords(ref)

    def entry(self, section: str, name: str) -> Any:
        return self._services.entries(section, name)

    def scratch(self) -> str:
        with self._services.lock:
            if self._services.scratch is None:
                self._services.scratch = Path(tempfile.mkdtemp(prefix="batchlab-"))
        return str(self._services.scratch)

    def moved(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._services.progress.moved(size_bytes)

    def uploaded(self, size_bytes: int) -> None:
        self._services.progress.uploaded(size_bytes)

    def settle(self, key: str, result: BaseModel) -> None:
        self._services.ledger.settle(key, result)

    def recorded(self, key: str) -> BaseModel | None:
        return self._services.ledger.recorded(key)

    def note(self, name: str, body: dict[str, Any], flush: bool = True) -> None:
        self._services.ledger.note(name, body, flush=flush)

    def notes(self, name: str) -> list[dict[str, Any]]:
        return self._services.ledger.notes(name)

    def earlier(self) -> Earlier | None:
        return self._services.earlier()

    def confirm(self) -> None:
        self._services.confirm()

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Failed]]:
        return self._services.map(function, items)

    def clean_up(self) -> None:
        """Removes the scratch directory, if there is one."""
        if self._services.scratch is not None:
            shutil.rmtree(self._services.scratch, ignore_errors=True)


def no_entries(section: str, name: str) -> Any:
    """For runs without a configuration."""
    raise ItemError(
        Kind.VALIDATION,
        f"There is no entry {name!r} under {section}. Add it to the file that BATCHLAB_CONFIG names.",
    )


def no_passwords(ref: str) -> str:
    """For runs without a configuration."""
    raise ItemError(Kind.VALIDATION, f"There is no password named {ref!r}. Add it to the configuration file.")
