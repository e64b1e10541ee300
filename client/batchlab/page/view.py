"""What a customer is told of a job at one moment, as data: read from its documents, nothing rendered yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from batchlab.document import JobDocument
from batchlab.kinds import Kind
from batchlab.records import JobRecords
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.standing import standing
from batchlab.status import State, Status, stalled

MISSING_SHOWN = 200  # names; the report has them all
_LEAST_SHARE, _LEAST_SECONDS = (
    0.02,
    20.0,
)  # of the work and the time behind us, before anybody guesses the rest

Stage = Literal[
    "queued", "starting", "running", "paused", "cancelling",
    "ready", "ready_incomplete", "done", "done_incomplete", "failed", "cancelled", "expired",
]  # fmt: skip


@dataclass(frozen=True)
class Download:
    """One artifact."""

    number: int  # from 1: it stands in the link
    name: str
    url: str  # where it lies; the customer never sees it
    size_bytes: int
    members: int | None  # files in an archive
    content_type: str


@dataclass(frozen=True)
class Delivery:
    """What one generation delivered, and until when its links work."""

    generation: int
    state: State
    downloads: tuple[Download, ...]
    expires_at: datetime | None  # None: for ever

    @property
    def size_bytes(self) -> int:
        return sum(download.size_bytes for download in self.downloads)

    @property
    def members(self) -> int | None:
        """Files in all archives together; None when one of them is no archive."""
        counts = [download.members for download in self.downloads]
        return None if None in counts else sum(count or 0 for count in counts)


@dataclass(frozen=True)
class View:
    """One job as its page shows it."""

    status: Status  # with the counts of this moment
    language: str  # one of batchlab.settings.LANGUAGES
    title: str  # "" when the job has none
    stage: Stage
    stalled: bool
    eta_seconds: float | None
    delivery: Delivery | None  # what can be downloaded now, possibly of an earlier generation
    expires_at: datetime | None  # from then on the whole page says that it has expired, and nothing else
    missing: tuple[tuple[str, Kind], ...]  # (name, why), at most MISSING_SHOWN
    missing_count: int  # all that is not there, whatever the reason
    not_started: int
    contact: str  # an e-mail address or an https URL; "" when there is none

    @property
    def of_older(self) -> bool:
        """Whether what can be downloaded is an earlier generation's."""
        return self.delivery is not None and self.delivery.generation < self.status.generation

    @property
    def percent(self) -> int:
        """0 to 100: of the bytes when all sizes are known, else of the items; 100 only at the end."""
        counts = self.status.counts
        if counts.total_bytes:
            share = counts.done_bytes / counts.total_bytes
        else:
            share = counts.ended / counts.total if counts.total else 0.0
        return min(int(share * 100), 100 if self.status.ended else 99)

    @property
    def shape(self) -> str:
        """Another word when the page has to be loaded again; counts alone do not change it."""
        parts = [str(self.status.generation), self.stage]
        parts += ["stalled"] * self.stalled + ["older"] * self.of_older
        return "-".join(parts)


def view_of(
    records: JobRecords, status: Status, settings: Settings, eta_seconds: float | None = None
) -> View:
    """The view of the job when its status is `status`. `eta_seconds`: of whoever works on it and knows better."""
    document, now = records.document(), records.store.now()
    status = standing(records, status)
    report = records.report(status.generation) if status.ended else None
    delivery = delivery_of(records, document, status, report)
    own = delivery is not None and delivery.generation == status.generation
    expires_at = delivery.expires_at if own and delivery is not None else None
    if status.state is State.EXPIRED:
        expires_at = expires_at or status.expires_at
        delivery = None
    if delivery is not None and delivery.expires_at is not None and delivery.expires_at <= now:
        delivery = None
    stage = _stage(status, now, delivered=delivery is not None and own, expires_at=expires_at)
    lists = stage in ("ready_incomplete", "done_incomplete", "failed") and report is not None
    return View(
        status=status,
        language=document.language or settings.language,
        title=document.title,
        stage=stage,
        stalled=stalled(status, now),
        eta_seconds=_guess(status, now) if eta_seconds is None and stage == "running" else eta_seconds,
        delivery=delivery,
        expires_at=expires_at,
        missing=_missing(report) if lists and report is not None else (),
        missing_count=_missing_count(status),
        not_started=sum(report.skipped_by_reason.values()) if lists and report is not None else 0,
        contact=settings.contact,
    )


def delivery_of(
    records: JobRecords, document: JobDocument, status: Status, report: Report | None
) -> Delivery | None:
    """What the last generation that delivered something delivered; `report` is that of the status's generation."""
    for generation in range(status.generation, 0, -1):
        its = report if generation == status.generation else records.report(generation)
        if its is None or not its.artifacts or its.state not in (State.SUCCEEDED, State.PARTIAL):
            continue
        moved = (
            status.expires_at if generation == status.generation else None
        )  # it may have been given more time
        counted = None if document.expires is None else its.ended_at + document.expires
        downloads = (
            Download(number, found.name, found.url, found.size_bytes, found.members, found.content_type)
            for number, found in enumerate(its.artifacts, 1)
        )
        return Delivery(generation, its.state, tuple(downloads), moved or counted)
    return None


def _stage(status: Status, now: datetime, *, delivered: bool, expires_at: datetime | None) -> Stage:
    match status.state:
        case State.QUEUED:
            return "queued"
        case State.STARTING:
            return "starting"
        case State.CANCELLING:
            return "cancelling"
        case State.RUNNING:
            return "paused" if status.resume_at is not None and now < status.resume_at else "running"
        case State.FAILED:
            return "failed"
        case State.CANCELLED:
            return "cancelled"
        case State.EXPIRED:
            return "expired"
    if expires_at is not None and expires_at <= now:
        return "expired"
    whole = status.state is State.SUCCEEDED
    if delivered:
        return "ready" if whole else "ready_incomplete"
    return "done" if whole else "done_incomplete"


def _missing(report: Report) -> tuple[tuple[str, Kind], ...]:
    names = report.facts.get("missing") or {}  # of zip-export: what a photo would have been called
    return tuple(
        (str(names.get(failure.key, failure.key)), failure.kind)
        for failure in report.failures[:MISSING_SHOWN]
    )


def _missing_count(status: Status) -> int:
    counts = status.counts
    return counts.total - counts.done if status.ended else counts.failed


def _guess(status: Status, now: datetime) -> float | None:
    """From the pace so far; None when it is too early to say."""
    counts, seen = status.counts, status.last_progress_at
    share = counts.done_bytes / counts.total_bytes if counts.total_bytes else None
    if share is None:
        share = counts.ended / counts.total if counts.total else 0.0
    if status.started_at is None or seen is None:
        return None
    seconds = (seen - status.started_at).total_seconds()
    if share < _LEAST_SHARE or seconds < _LEAST_SECONDS:
        return None
    return max(0.0, seconds * (1 - share) / share - (now - seen).total_seconds())
