"""What there is to clean up after one job: read from its status, and from a note of what was done before.

jobs/<id>/cleaned.json   {generation, uploads, artifacts, expires_at}: what cleanup need not look at again
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from batchlab.errors import NotFound
from batchlab.job_index import list_jobs
from batchlab.jobs.cleanup import CleanupParams
from batchlab.records import JobRecords
from batchlab.status import Status
from batchlab.store import Store

Step = Literal["uploads", "artifacts", "documents"]  # in this order

# The one type of ours that records uploads: volumes of plan.json and plan-2.json, notes "archive" of the ledger.
LEAVES_UPLOADS = "zip-export"


class Finding(BaseModel):
    """One job after which there is something to clean up."""

    job: str
    index: tuple[str, ...]  # its names in the store's index
    generation: int  # the last one when it was found; 0: its job.json is gone
    ended: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Indexed:
    """One job of the index."""

    id: str
    type: str
    created_at: datetime
    names: tuple[str, ...]


def indexed(store: Store) -> Iterator[Indexed]:
    """Every job once."""
    found: dict[str, Indexed] = {}
    for listed in list_jobs(store):
        before = found.get(listed.id)
        names = (*(before.names if before else ()), listed.name)
        found[listed.id] = Indexed(listed.id, listed.type, listed.created_at, names)
    yield from found.values()


def look(store: Store, job: Indexed, params: CleanupParams) -> Finding | None:
    """What is to be done after `job` by now; None: nothing. Raises BatchlabError when its documents cannot be read."""
    records, now = JobRecords(store, job.id), store.now()
    try:
        status = records.status()
        if status.ended:
            return _after_end(records, status, job, params, now)
    except NotFound:  # it has no job.json any more: a cleanup was killed while it deleted its documents
        passed = _passed(job.created_at, params.keep_documents, now)
        return _finding(job, 0, ended=True, steps=("documents",)) if passed else None
    if job.type != LEAVES_UPLOADS or _touched_at(status) + params.uploads_older_than > now:
        return None
    if next(store.names(f"pending/{job.id}"), None) is not None:
        return None  # somebody starts it again
    return _finding(job, status.generation, ended=False, steps=("uploads",))


def _after_end(
    records: JobRecords, status: Status, job: Indexed, params: CleanupParams, now: datetime
) -> Finding | None:
    cleaned = before(records, status)
    steps: list[Step] = []
    if job.type == LEAVES_UPLOADS and not cleaned.uploads:
        steps.append("uploads")
    known = status.expires_at or cleaned.expires_at  # the status may have been given more time
    expires_at = known if cleaned.generation else expiry(records, status)
    kept = expires_at is not None and expires_at > now
    if expires_at is not None and not kept and not cleaned.artifacts:
        steps.append("artifacts")
    if not kept and _passed(ended_at(status), params.keep_documents, now):
        steps.append("documents")
    return _finding(job, status.generation, ended=True, steps=tuple(steps)) if steps else None


class Cleaned(BaseModel):
    """The body of jobs/<id>/cleaned.json."""

    generation: int = 0  # 0: never cleaned in this generation
    uploads: bool = False  # nothing unfinished is left
    artifacts: bool = False  # what had expired is deleted
    expires_at: datetime | None = None


def before(records: JobRecords, status: Status) -> Cleaned:
    """What was done after this generation of the job."""
    found = records.store.read(f"{records.folder}/cleaned.json")
    cleaned = Cleaned() if found is None else Cleaned.model_validate(found.body)
    return cleaned if cleaned.generation == status.generation else Cleaned()


def remember(records: JobRecords, status: Status, **done: Any) -> None:
    """Adds to what `before` says."""
    cleaned = before(records, status)
    known = {} if cleaned.generation else {"expires_at": expiry(records, status)}
    after = cleaned.model_copy(update={**known, "generation": status.generation, **done})
    records.store.put(f"{records.folder}/cleaned.json", after.model_dump(mode="json"))


def expiry(records: JobRecords, status: Status) -> datetime | None:
    """When the artifacts of a job that has ended expire: counted from delivery, which is its end. None: never."""
    if status.expires_at is not None:
        return status.expires_at
    lifetime = records.document().expires
    return None if lifetime is None else ended_at(status) + lifetime


def ended_at(status: Status) -> datetime:
    return status.ended_at or status.last_progress_at or status.created_at


def _touched_at(status: Status) -> datetime:
    """The last sign of life, or the one that is awaited: a job that waits for its quota is not dead."""
    signs = (status.created_at, status.started_at, status.last_progress_at, status.resume_at)
    return max(sign for sign in signs if sign is not None)


def _passed(begin: datetime, lifetime: timedelta | None, now: datetime) -> bool:
    return lifetime is not None and begin + lifetime <= now


def _finding(job: Indexed, generation: int, *, ended: bool, steps: tuple[Step, ...]) -> Finding:
    return Finding(job=job.id, index=job.names, generation=generation, ended=ended, steps=steps)
