"""A store with jobs of any age, and cleanups of it by the real engine and storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Artifact, Report
from batchlab.settings import Settings
from batchlab.status import State, Status
from batchlab.store import Store
from batchlab_processor import engine
from batchlab_processor.jobs.cleanup import Cleanup
from batchlab_processor.storage import Storage, WriteOptions, open_storage
from batchlab_processor.testing import FastClock

PHOTO = "https://x.example/a.jpg"
DAY = timedelta(days=1)


@dataclass
class Laboratory:
    """`output`: where its jobs deliver. `roots`: where a cleanup may delete; None: exactly there."""

    store: Store
    output: str
    settings: Settings = field(default_factory=Settings)
    roots: tuple[str, ...] | None = None

    @property
    def authority(self) -> Authority:
        return Authority(
            output_roots=(self.output,) if self.roots is None else self.roots,
            job_types=None,
            allow_memory=True,
            store_url=self.store.url,
        )

    @property
    def storage(self) -> Storage:
        return open_storage(self.settings, self.authority)

    def job(
        self,
        state: str = "succeeded",
        *,
        ended: timedelta = DAY,
        expires: str | None = "12h",
        delivers: tuple[str, ...] = ("{id}/g1/album.zip",),
        job_type: str = "zip-export",
        **more: Any,
    ) -> JobRecords:
        """A job whose last sign of life is `ended` ago, with what it delivered."""
        params: dict[str, Any] = {"items": [PHOTO]} if job_type == "zip-export" else {}
        values = {"type": job_type, "params": params, "output": self.output, **more}
        document = load_document(values | ({"expires": expires} if expires else {}))
        at = self.store.now() - ended
        records = submit_locally(cast(Store, _Then(self.store, at)), document)
        records.store = self.store
        artifacts = [self.deliver(name.format(id=records.id), job_type) for name in delivers]
        self.moved(records, state, at)
        if records.status().ended:
            records.create_report(1, report(records.status(), at, artifacts))
        return records

    def moved(self, records: JobRecords, state: str, at: datetime, **more: Any) -> None:
        status = records.status()
        times = {"created_at": at, "started_at": at, "last_progress_at": at}
        ended = {"ended_at": at} if state in ("succeeded", "partial", "failed", "cancelled") else {}
        records.save_status(status.model_copy(update={"state": State(state), **times, **ended, **more}))

    def deliver(self, name: str, made_by: str = "zip-export", content: bytes = b"PK") -> Artifact:
        url = f"{self.output}/{name}"
        words = {"batchlab-type": made_by} if made_by else {}
        with self.storage.write(url, WriteOptions(overwrite=True, metadata=words)) as writer:
            writer.write(content)
            writer.commit()
        return Artifact(name=name.rpartition("/")[2], url=url, size_bytes=len(content))

    def there(self) -> list[str]:
        """What is below the output."""
        reader = Authority(source_roots=(self.output,), file_sources=True, allow_memory=True)
        listed = open_storage(self.settings, reader).list(f"{self.output}/")
        return [found.url.removeprefix(f"{self.output}/") for found in listed]

    def clean(self, records: JobRecords | None = None, **params: Any) -> Report:
        """One cleanup to its end; `records`: the job of a killed one, gone on with."""
        if records is None:
            records = submit_locally(self.store, load_document({"type": "cleanup", "params": params}))
        door = engine.Door(
            storage=self.storage,
            authority=self.authority,
            clock=FastClock(start=self.store.now()),
            keep_seconds=0.01,
            waiting=None,
        )
        end = engine.run(records, Cleanup(), door)
        assert end.report is not None, end.message
        return end.report

    def documents(self, records: JobRecords) -> list[str]:
        return [name for name in self.store.names("") if records.id in name]


class _Then:
    """A store as it was at another time."""

    def __init__(self, store: Store, at: datetime) -> None:
        self._store = store
        self.now = lambda: at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def deleted(report: Report) -> dict[str, int]:
    """The counts that are not zero."""
    counts = report.facts.get("deleted", report.facts.get("would_delete", {}))
    return {name: count for name, count in counts.items() if count}


def report(status: Status, at: datetime, artifacts: list[Artifact]) -> Report:
    return Report(
        id=status.id,
        type=status.type,
        state=status.state,
        generation=status.generation,
        started_at=at,
        ended_at=at,
        seconds=0,
        counts=status.counts,
        artifacts=tuple(artifacts),
    )
