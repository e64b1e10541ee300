"""The two seams of the service: who answers questions about jobs, and who runs them.

`Backend` is implemented by the jobs of a store (batchlab.service.jobs) and by the endpoint's client
(batchlab.http_backend); `Client` speaks to either. `Runner` is AWS Batch (batchlab.batch.runner) or this machine
(batchlab.service.here).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from batchlab.api import Estimate, ItemPage, JobInfo, JobPage, JobTypeInfo, Link, LogPage
from batchlab.document import JobDocument
from batchlab.records import JobRecords
from batchlab.status import State


@dataclass(frozen=True)
class JobQuery:
    """Which jobs to list; what is None asks for nothing."""

    state: State | None = None
    type: str | None = None
    tag: tuple[str, str] | None = None
    since: datetime | None = None
    limit: int = 50  # 1 to 500
    cursor: str | None = None


class Backend(Protocol):
    """Questions about jobs, and wishes. Each raises NotFound, Denied or ServiceError as batchlab.errors says."""

    def submit(self, document: JobDocument) -> JobInfo:
        """The job exists, once for each idempotency key, and is on its way. Raises DocumentError."""
        ...

    def estimate(self, document: JobDocument) -> Estimate: ...

    def get(self, job_id: str) -> JobInfo: ...

    def list(self, query: JobQuery) -> JobPage: ...

    def items(
        self, job_id: str, *, outcome: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> ItemPage:
        """`outcome`: done, failed or skipped only."""
        ...

    def logs(self, job_id: str, *, cursor: str | None = None) -> LogPage: ...

    def cancel(self, job_id: str) -> JobInfo:
        """The job is asked to stop; one that has ended stays as it is."""
        ...

    def retry(self, job_id: str) -> JobInfo:
        """Generation n+1 takes what failed or was not started. Raises DocumentError unless it may be retried."""
        ...

    def link(self, job_id: str) -> Link:
        """Raises DocumentError when nothing was delivered or it has expired."""
        ...

    def replay(self, job_id: str) -> int:
        """Every notification of the job's end is due now, with the webhook-id it had; how many there are.

        They are sent by whoever follows the jobs, and from here where nobody does.
        """
        ...

    def job_types(self) -> tuple[JobTypeInfo, ...]: ...


class Hope(StrEnum):
    """Whether a run of a job can still come."""

    WAITING = (
        "waiting"  # somebody will start it who was asked to, or takes up by himself what stands in pending/
    )
    RUNNING = "running"
    OVER = "over"  # whoever ran it has given up, or finished
    # Nobody was asked yet, nobody sees to what stands in pending/, or there is no answer: a reason to start a job once
    # more, which is harmless, and never one to end it.
    UNKNOWN = "unknown"


class Runner(Protocol):
    """Who runs jobs. All methods may be called again and again, and raise ServiceError to be asked again later."""

    def start(self, records: JobRecords) -> None:
        """From now on the job's current generation runs as soon as there is room, and `hope` says so at once."""
        ...

    def stop(self, records: JobRecords) -> None:
        """A job that has not begun never begins; one that runs sees the wish to cancel by itself."""
        ...

    def hope(self, records: JobRecords) -> Hope: ...

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage: ...
