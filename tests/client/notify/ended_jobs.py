"""Jobs that have ended, in a store whose clock a test moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from batchlab.document import JobDocument
from batchlab.outcome import Done, Failed, Outcome
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Artifact, Figures, Report, build_report
from batchlab.status import State
from batchlab.store import JSON
from batchlab.stores.memory import MemoryStore

NOON = datetime(2026, 6, 6, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JOB_ID = "01jx3w7n2k8v5q9r4t6y1z0abc"


class Clocked(MemoryStore):
    """A store whose time stands still until the test moves it."""

    def __init__(self, time: datetime = NOON) -> None:
        super().__init__("clocked")
        self.time = time

    def now(self) -> datetime:
        return self.time

    def notifications(self) -> dict[str, JSON]:
        """The notifications by the last part of their names."""
        found = {
            name.rpartition("/")[2]: self.read(name) for name in self.names("jobs/") if "/notify-" in name
        }
        return {name: stored.body for name, stored in found.items() if stored is not None}


def ended(
    store: MemoryStore,
    notify: Sequence[Mapping[str, Any]],
    *,
    photos: int = 3,
    missing: Mapping[str, str] | None = None,  # key to the kind of its failure
    names: Mapping[str, str] | None = None,
    artifacts: int = 1,
    size_bytes: int = 1_900_000_000,
    state: State | None = None,  # None: what the outcomes make of it
    expires: timedelta | None = timedelta(days=7),
    **fields: Any,
) -> JobRecords:
    """A job whose first generation has just ended."""
    fields = {"id": JOB_ID, "type": "zip-export", "title": "Anna & Ben, 6 June", "expires": expires, **fields}
    if fields["type"] == "zip-export":
        items = [f"https://photos.example/secret/{number}.jpg?token=x" for number in range(photos)]
        fields = {"params": {"items": items}, "output": "s3://deliveries/zips", **fields}
    document = JobDocument.model_validate({"notify": list(notify), **fields})
    records = submit_locally(store, document)
    end_generation(
        records,
        photos=photos,
        missing=missing,
        names=names,
        artifacts=artifacts,
        size_bytes=size_bytes,
        state=state,
    )
    return records


def end_generation(
    records: JobRecords,
    *,
    photos: int = 3,
    missing: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    artifacts: int = 1,
    size_bytes: int = 1_900_000_000,
    state: State | None = None,
) -> Report:
    """The current generation's report and status, as a run writes them."""
    document, status, now = records.document(), records.status(), records.store.now()
    missing = missing or {}
    keys = [*missing, *(f"photo-{number}" for number in range(photos - len(missing)))]
    outcomes: list[Outcome] = [
        Failed(key=key, kind=missing[key], message="https://photos.example/secret/1.jpg: 404", attempts=3)
        if key in missing
        else Done(key=key, size_bytes=4_000_000, attempts=1)
        for key in keys
    ]
    files = [
        Artifact(
            name=f"album-{number}.zip", url=f"s3://deliveries/zips/album-{number}.zip", size_bytes=size_bytes
        )
        for number in range(artifacts)
    ]
    report = build_report(
        document,
        outcomes,
        files,
        Figures(started_at=now - timedelta(minutes=5), ended_at=now),
        generation=status.generation,
        stopped="cancelled" if state is State.CANCELLED else None,
        error="https://internal.example/x?token=y: Traceback" if state is State.FAILED else None,
        effects_survive=document.type != "zip-export",
        facts={"missing": dict(names)} if names else None,
    )
    records.create_report(status.generation, report)
    kept = now + document.expires if document.expires is not None and files else None
    records.save_status(
        status.model_copy(
            update={
                "state": report.state,
                "counts": report.counts,
                "message": report.message,
                "ended_at": now,
                "expires_at": kept,
                "artifacts": tuple(file.name for file in files),
            }
        )
    )
    return report
