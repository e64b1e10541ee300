"""The ledger as one run sees it: what earlier runs settled, and what this one adds."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import BaseModel

from batchlab.ledger import Folded, LedgerWriter, fold
from batchlab.outcome import Done, Failed, Outcome
from batchlab.store import JSON, Store
from batchlab_processor.job import JobType


class RunLedger:
    """Outcomes of this generation, and the Done ones of earlier generations whose effects still stand."""

    def __init__(
        self,
        store: Store,
        job_id: str,
        generation: int,
        run: str,
        job: JobType[Any, Any],
        *,
        durable: str,
        workers: int,
    ) -> None:
        self._job = job
        self._durable = durable
        self._folded: Folded = fold(store, job_id, generation)
        self._outcomes: dict[str, Outcome] = dict(self._folded.outcomes)
        self._earlier: dict[str, Outcome] = {}
        if durable != "job":  # the effects of a job type that is durable as a whole went with its generation
            for before in range(1, generation):
                done = fold(store, job_id, before).outcomes.items()
                self._earlier.update({key: outcome for key, outcome in done if isinstance(outcome, Done)})
        self._writer = LedgerWriter(store, job_id, generation, run, every_outcomes=workers)
        self._own_notes: list[JSON] = []
        self._lock = threading.Lock()

    def ended(self) -> dict[str, Outcome]:
        """The outcomes of this generation that were recorded; those of earlier runs with results in JSON form."""
        return self._outcomes

    def failed(self, key: str) -> Failed | None:
        """The failure of `key` in this generation, when one was recorded."""
        outcome = self._outcomes.get(key)
        return outcome if isinstance(outcome, Failed) else None

    def done(self, key: str) -> Done | None:
        """The Done of `key` in this generation or an earlier one, its result as the job type's model."""
        outcome = self._outcomes.get(key) or self._earlier.get(key)
        if not isinstance(outcome, Done):
            return None
        result = None if outcome.result is None else self._job.result.model_validate(outcome.result)
        return outcome.model_copy(update={"result": result})

    def recorded(self, key: str) -> BaseModel | None:
        done = self.done(key)
        return None if done is None else done.result

    def convict(self, failed: Failed) -> None:
        """An item that killed its process twice has failed, from now on and for later runs too."""
        self._outcomes[failed.key] = failed
        self._writer.record(failed)
        self._writer.flush()  # before the next crash

    def record(self, outcome: Outcome) -> None:
        """Keeps what survives a kill: failures, and Done items whose effect is there when work returns."""
        if isinstance(outcome, Failed) or (isinstance(outcome, Done) and self._durable == "item"):
            self._outcomes[outcome.key] = outcome
            self._writer.record(outcome)

    def settle(self, key: str, result: BaseModel) -> None:
        done = Done(key=key, result=result)
        self._outcomes[key] = done
        self._writer.record(done)

    def note(self, name: str, body: dict[str, Any], *, flush: bool = True) -> None:
        line = {"note": name, **body}
        self._writer.note(line)
        if flush:
            self._writer.flush()
        with self._lock:
            self._own_notes.append(line)

    def notes(self, name: str) -> list[dict[str, Any]]:
        with self._lock:
            lines = [*self._folded.notes, *self._own_notes]
        return [line for line in lines if line.get("note") == name]

    def flush(self) -> None:
        """Returns when everything recorded before is durable."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
