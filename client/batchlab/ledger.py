"""The ledger: outcomes that survive a kill, in segments of JSON lines, one writer per run.

jobs/<id>/g<n>/ledger/<run>-<k>.jsonl is written whole, so a kill loses at most what was not flushed yet,
and nothing that was recorded and flushed. A line is an outcome, or a note of the job type ({"note": ...}).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from batchlab.outcome import AnyOutcome, Done, Outcome
from batchlab.store import JSON, Store

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(AnyOutcome)


@dataclass(frozen=True)
class Folded:
    """What the segments of one generation say together."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by key; results in their JSON form
    notes: list[JSON] = field(default_factory=list)  # in the order they were written, run by run


class LedgerWriter:
    """Thread-safe. `record` and `note` are cheap; `flush` returns when all before it is durable."""

    def __init__(
        self, store: Store, job_id: str, generation: int, run: str, *, every_outcomes: int = 5
    ) -> None:
        self._store = store
        self._prefix = f"{folder(job_id, generation)}{run}-"
        self._every_outcomes = every_outcomes
        self._lines: list[JSON] = []
        self._segments = 0
        self._adding = threading.Lock()
        self._writing = threading.Lock()  # held while a segment is written, so that flush waits for it

    def record(self, outcome: Outcome) -> None:
        """Adds an outcome; writes a segment when `every_outcomes` lines wait. Raises what the store raises."""
        self.note(outcome.model_dump(mode="json", exclude_defaults=True) | {"outcome": outcome.outcome})

    def note(self, line: JSON) -> None:
        with self._adding:
            self._lines.append(line)
            full = len(self._lines) >= self._every_outcomes
        if full:
            self.flush()

    def flush(self) -> None:
        with self._writing:
            with self._adding:
                lines = self._lines[:]
            if not lines:
                return
            self._store.append(f"{self._prefix}{self._segments:06d}.jsonl", lines)
            self._segments += 1
            with self._adding:
                del self._lines[: len(lines)]

    def close(self) -> None:
        self.flush()


def folder(job_id: str, generation: int) -> str:
    return f"jobs/{job_id}/g{generation}/ledger/"


def fold(store: Store, job_id: str, generation: int) -> Folded:
    """One outcome per key: the first Done, else the last of the others. Runs sort by the time they started."""
    names = list(store.names(folder(job_id, generation)))
    return fold_lines(line for name in names for line in store.lines(name))


def fold_lines(lines: Iterable[JSON]) -> Folded:
    outcomes: dict[str, Outcome] = {}
    notes: list[JSON] = []
    for line in lines:
        if "outcome" not in line:
            notes.append(line)
            continue
        outcome = _OUTCOME.validate_python(line)
        if not isinstance(outcomes.get(outcome.key), Done):
            outcomes[outcome.key] = outcome
    return Folded(outcomes, notes)
