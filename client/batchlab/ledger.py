"""The ledger: outcomes that survive a kill, in segments of JSON lines, one writer per run.

jobs/<id>/g<n>/ledger/<run>-<k>.jsonl is written whole, so a kill loses at most what was not flushed yet,
and nothing that was recorded and flushed. A line is an outcome, or a note of the job type ({"note": ...}).
There is no thread here: a full segment is written by whoever fills it, and the engine calls `flush` every 2 s.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from batchlab.errors import ServiceError
from batchlab.outcome import AnyOutcome, Done, Failed, Outcome, Skipped
from batchlab.store import JSON, AlreadyExists, Store

_READERS = 8  # a bucket answers in 20 ms, and 100,000 quick items leave some thousand segments
_SEGMENT = re.compile(r"(?P<run>.+)-(?P<number>[0-9]+)\.jsonl")
_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(AnyOutcome)


@dataclass(frozen=True)
class Folded:
    """What the segments of one generation say together."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by key; results in their JSON form
    notes: list[JSON] = field(default_factory=list)  # in the order they were written, run by run


class LedgerWriter:
    """Thread-safe. What was recorded is kept here until it is durable, however often the store fails."""

    def __init__(
        self, store: Store, job_id: str, generation: int, run: str, *, every_outcomes: int = 5
    ) -> None:
        self._store = store
        self._prefix = f"{folder(job_id, generation)}{run}-"
        self._every_outcomes = every_outcomes
        self._waiting: list[JSON] = []
        self._unsure: list[JSON] = []  # the segment whose writing failed; it may be there all the same
        self._segments = 0
        # Reentrant, because a signal may make the thread that is writing flush once more.
        self._adding = threading.RLock()
        self._writing = threading.RLock()  # held while a segment is written, so that flush waits for it

    def record(self, outcome: Outcome) -> None:
        """Adds an outcome; writes a segment when `every_outcomes` lines wait. Raises what the store raises."""
        self.note(outcome.model_dump(mode="json", exclude_defaults=True) | {"outcome": outcome.outcome})

    def note(self, line: JSON) -> None:
        """Adds a line of the job type's own; it has a "note" and no "outcome"."""
        # What JSON cannot say raises TypeError here, where it comes from, and NaN becomes null: once it waits
        # to be written, such a line would block the ledger for ever.
        plain = json.loads(json.dumps(line), parse_constant=lambda _: None)
        with self._adding:
            self._waiting.append(plain)
            full = len(self._waiting) >= self._every_outcomes
        if full:
            self.flush()

    def flush(self) -> None:
        """Returns when everything recorded before is durable; raises what the store raises, and keeps it all."""
        with self._writing:
            if self._unsure:
                self._write(self._unsure)
            with self._adding:
                self._unsure, self._waiting = self._waiting, []
            if self._unsure:
                self._write(self._unsure)

    def _write(self, lines: list[JSON]) -> None:
        name = f"{self._prefix}{self._segments:06d}.jsonl"
        try:
            self._store.append(name, lines)
        except AlreadyExists:
            if self._store.lines(name) != lines:  # else an earlier try got through after all
                self._segments += 1
                self._write(lines)
                return
        self._segments += 1
        self._unsure = []

    def close(self) -> None:
        self.flush()


def folder(job_id: str, generation: int) -> str:
    return f"jobs/{job_id}/g{generation}/ledger/"


def segments(store: Store, job_id: str, generation: int) -> list[str]:
    """The names of all segments, run by run by the time they started. Raises ServiceError for what is none."""
    prefix = folder(job_id, generation)
    found_there: list[tuple[str, int, str]] = []
    for name in store.names(prefix):
        found = _SEGMENT.fullmatch(name.removeprefix(prefix))
        if found is None:
            raise ServiceError(f"{name} is no segment of a ledger; was it written by another program?")
        found_there.append((found["run"], int(found["number"]), name))
    return [name for _, _, name in sorted(found_there)]


def fold(store: Store, job_id: str, generation: int) -> Folded:
    """What all segments of a generation say; see `fold_segments`."""
    return fold_segments(store, segments(store, job_id, generation))


def fold_segments(store: Store, names: Sequence[str]) -> Folded:
    """One outcome per key: the first Done, else the last Failed, else the last Skipped.

    `names` are as `segments` gives them, so the answer does not depend on the order of a listing. Raises
    ServiceError when a segment was damaged; a kill cannot do that.
    """
    folded = Folded()
    with ThreadPoolExecutor(_READERS, "ledger") as pool:
        for name, lines in zip(names, pool.map(store.lines, names), strict=True):
            for number, line in enumerate(lines, 2):  # the first line is the store's
                _add(folded, line, f"{name}, line {number}")
    return folded


def _add(folded: Folded, line: JSON, place: str) -> None:
    if "outcome" not in line:
        folded.notes.append(line)
        return
    try:
        outcome = _OUTCOME.validate_python(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise ServiceError(
            f"{place} is no outcome ({'.'.join(map(str, problem['loc']))}: {problem['msg']}). "
            "Was it written by a newer version of batchlab?"
        ) from None
    before = folded.outcomes.get(outcome.key)
    if not isinstance(before, Done) and not (isinstance(before, Failed) and isinstance(outcome, Skipped)):
        folded.outcomes[outcome.key] = outcome
