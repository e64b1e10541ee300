"""The end of a generation, as it may be told: what happened, and where the customer finds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from batchlab.document import JobDocument
from batchlab.page import download_url, page_url, token
from batchlab.records import JobRecords
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.status import Counts, State, Status
from batchlab.targets import Event


@dataclass(frozen=True)
class End:
    """What is known when a job has ended. Times are UTC."""

    event: Event
    document: JobDocument
    status: Status
    report: Report | None = None  # None: nobody could write one
    page: str | None = None  # the customer's page; None without BATCHLAB_PUBLIC_BASE_URL
    download: str | None = None  # the one file that was delivered; None when there are several, or none

    @property
    def state(self) -> State:
        """The state that is told of; the job's may have gone on to expired since."""
        return State(self.event)

    @property
    def counts(self) -> Counts:
        return self.report.counts if self.report is not None else self.status.counts

    @property
    def delivered(self) -> int:
        """Files that the customer can fetch."""
        return len(self.report.artifacts) if self.report is not None else 0

    @property
    def size_bytes(self) -> int:
        """Of those files, together."""
        return sum(artifact.size_bytes for artifact in self.report.artifacts) if self.report else 0

    @property
    def message(self) -> str:
        """One plain sentence in English."""
        if self.state is State.EXPIRED:
            return "What was delivered has been deleted, as announced."
        return self.status.message or (self.report.message if self.report is not None else "")

    @property
    def expires_at(self) -> datetime | None:
        """Until then what was delivered can be fetched; None: for ever, or nothing was delivered."""
        if self.status.expires_at is not None or not self.delivered:
            return self.status.expires_at
        assert self.report is not None  # it lists what was delivered
        kept = self.document.expires
        return None if kept is None else self.report.ended_at + kept

    @property
    def names(self) -> dict[str, str]:
        """What items that are missing would have been called, by key, as far as the job type tells."""
        return dict(self.report.facts.get("missing") or {}) if self.report is not None else {}

    @property
    def at(self) -> datetime:
        """When it happened."""
        expired = self.expires_at if self.state is State.EXPIRED else None
        return expired or self.status.ended_at or self.status.created_at

    def over(self, now: datetime) -> bool:
        """Whether what was delivered can be fetched no longer."""
        expires_at = self.expires_at
        return self.status.state is State.EXPIRED or (expires_at is not None and expires_at <= now)


def read_end(
    records: JobRecords, document: JobDocument, status: Status, event: Event, settings: Settings
) -> End:
    """What the job's documents say of its current generation, which has ended."""
    report = records.report(status.generation)
    page, download = _links(records, settings)
    one = report is not None and len(report.artifacts) == 1
    return End(event, document, status, report, page, download if one else None)


def _links(records: JobRecords, settings: Settings) -> tuple[str | None, str | None]:
    """The addresses of the customer's page and of the file itself."""
    if not settings.public_base_url:
        return None, None
    job_token = token(records)
    return page_url(settings, job_token), download_url(settings, job_token)
