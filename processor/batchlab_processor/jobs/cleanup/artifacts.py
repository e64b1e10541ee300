"""What a job delivered, and whether it may be deleted: only what it made itself, and what no other job still names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal
from urllib.parse import quote

from batchlab.errors import NotFound
from batchlab.job_index import list_jobs
from batchlab.kinds import ItemError, Kind
from batchlab.ledger import fold
from batchlab.outcome import Done
from batchlab.records import JobRecords
from batchlab.report import Artifact
from batchlab.status import Status
from batchlab_processor.job import Context
from batchlab_processor.jobs.cleanup.finding import expiry

Verdict = Literal["delete", "gone", "refused", "foreign", "named"]

_TYPE_WORD = "batchlab-type"  # metadata of every object that our job types deliver
# The one type of ours whose report does not name all that it delivered: its ledger does, as `keys` and `page_bytes`.
_LISTS_SOME = "contact-sheets"
_SLACK = timedelta(minutes=1)  # between the clocks of whoever submits and the store's


def delivered(records: JobRecords, status: Status) -> list[Artifact]:
    """What all generations of the job have delivered, each place once, as it was last written."""
    found: dict[str, Artifact] = {}
    for generation in range(1, status.generation + 1):
        report = records.report(generation)
        found |= {artifact.url: artifact for artifact in (report.artifacts if report else ())}
        if status.type == _LISTS_SOME:
            found |= {artifact.url: artifact for artifact in _sheets(records, generation)}
    return list(found.values())


def _sheets(records: JobRecords, generation: int) -> Iterator[Artifact]:
    output = str(records.document().output).rstrip("/")
    for outcome in fold(records.store, records.id, generation).outcomes.values():
        if isinstance(outcome, Done):
            made = outcome.result
            for key, size_bytes in zip(made["keys"], made.get("page_bytes", ()), strict=False):
                yield Artifact(name=key, url=f"{output}/{quote(key)}", size_bytes=size_bytes)


def judge(artifact: Artifact, status: Status, named: Named, ctx: Context) -> Verdict:
    """What is to be done with an artifact of a job that has expired. Raises ItemError when nobody can tell."""
    try:
        probed = ctx.storage.probe(artifact.url, delivered=True)
    except ItemError as error:
        if error.kind is Kind.MISSING:
            return "gone"
        if error.kind is Kind.BLOCKED_URL:
            return "refused"
        raise
    own = f"/{status.id}/g" in artifact.url  # a submitted job's own folder: nobody else delivers there
    made_by = None if probed.metadata is None else probed.metadata.get(_TYPE_WORD)
    if probed.size_bytes != artifact.size_bytes or made_by not in (None, status.type):
        return "foreign"
    if not own and probed.metadata is not None and made_by is None:
        return "foreign"
    return "delete" if own or not named.by_another(artifact.url, status.id, status.type, ctx) else "named"


class Named:
    """Which places, outside of jobs' own folders, jobs name that have not expired. Thread-safe; for one run.

    Of a job that has not ended nobody knows yet whether it will name what is there already (`reuse`), so all
    below its output stays until the next cleanup.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_type: dict[str, _OfType] = {}

    def by_another(self, url: str, job_id: str, job_type: str, ctx: Context) -> bool:
        """Whether a job other than `job_id` delivers there, or may."""
        with self._lock:
            if job_type not in self._by_type:
                self._by_type[job_type] = _OfType(job_type, ctx)
            return self._by_type[job_type].by_another(url, job_id, ctx)


class _OfType:
    def __init__(self, job_type: str, ctx: Context) -> None:
        self._type = job_type
        self._since = ctx.store.now() - _SLACK
        self._jobs: set[str] = set()
        self._reports: dict[str, set[str]] = {}  # URL -> jobs
        self._at_work: dict[str, str] = {}  # job -> its output
        for listed in list_jobs(ctx.store, job_type=job_type):
            self._add(listed.id, ctx)

    def by_another(self, url: str, job_id: str, ctx: Context) -> bool:
        for listed in list_jobs(ctx.store, job_type=self._type, since=self._since):
            if listed.id not in self._jobs:
                self._add(listed.id, ctx)
        others = self._reports.get(url, set()) - {job_id}
        return bool(others) or any(
            job != job_id and url.startswith(f"{output}/") for job, output in self._at_work.items()
        )

    def _add(self, job_id: str, ctx: Context) -> None:
        self._jobs.add(job_id)
        records = JobRecords(ctx.store, job_id)
        try:
            status = records.status()
            if not status.ended:
                self._at_work[job_id] = str(records.document().output).rstrip("/")
                return
            expires_at = expiry(records, status)
        except NotFound:  # another cleanup has just deleted its documents
            return
        if expires_at is None or expires_at > ctx.store.now():
            for artifact in delivered(records, status):
                self._reports.setdefault(artifact.url, set()).add(job_id)
