"""A service over a store in memory whose clock the test moves, with a runner that says what the test wants."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from batchlab.api import LogPage
from batchlab.backend import Hope, Runner
from batchlab.document import JobDocument, load_document
from batchlab.outcome import Outcome
from batchlab.records import JobRecords
from batchlab.report import Report
from batchlab.service.core import Service
from batchlab.service.submission import submit
from batchlab.settings import Settings
from batchlab.status import State, Status
from batchlab.stores.memory import MemoryStore

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class ClockedStore(MemoryStore):
    """A store whose server's clock stands still until the test moves it."""

    def __init__(self) -> None:
        super().__init__(f"scene-{secrets.token_hex(6)}")
        self.time = START

    def now(self) -> datetime:
        return self.time

    def pass_time(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@dataclass
class Scripted(Runner):
    """Says `hopes` by job, else UNKNOWN until it was asked to start and WAITING from then on."""

    hopes: dict[str, Hope] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def start(self, records: JobRecords) -> None:
        self.started.append(records.id)
        self.hopes[records.id] = Hope.WAITING

    def stop(self, records: JobRecords) -> None:
        self.stopped.append(records.id)

    def hope(self, records: JobRecords) -> Hope:
        return self.hopes.get(records.id, Hope.UNKNOWN)

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage:
        return LogPage(next="")


class Scene:
    """The service, and shortcuts into its store."""

    def __init__(self, **settings: Any) -> None:
        self.store = ClockedStore()
        self.runner = Scripted()
        self.settings = Settings(store=self.store.url, **settings)
        self.service = Service.of_settings(self.settings, self.runner, self.store)

    def submit(self, **fields: Any) -> JobRecords:
        document = sharing(**fields) if "shards" in fields else self_test(**fields)
        return submit(self.service, document)

    def names(self, prefix: str) -> list[str]:
        return list(self.store.names(prefix))

    def move(self, records: JobRecords, state: State, **changes: Any) -> Status:
        return records.save_status(records.status().model_copy(update={"state": state, **changes}))

    def plan(self, records: JobRecords, *keys: str, durable: str = "item") -> None:
        """As batchlab_processor.saved_plan writes it."""
        entries = [{"key": key, "item": {}} for key in keys]
        records.save_plan(records.status().generation, {"facts": {}, "entries": entries, "durable": durable})

    def settle(self, records: JobRecords, *outcomes: Outcome) -> None:
        lines = [{**each.model_dump(mode="json"), "outcome": each.outcome} for each in outcomes]
        folder = f"{records.folder}/g{records.status().generation}"
        number = len(list(self.store.names(f"{folder}/ledger/")))
        self.store.append(f"{folder}/ledger/run-{number:06}.jsonl", lines)

    def report(self, records: JobRecords) -> Report:
        report = records.report(records.status().generation)
        assert report is not None
        return report


def self_test(**fields: Any) -> JobDocument:
    return load_document({"type": "self-test", **fields})


def sharing(**fields: Any) -> JobDocument:
    """Of a stranger's type, which may be shared between machines."""
    return load_document({"type": "sharing", **fields}, types={"sharing": None})
