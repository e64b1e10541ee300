"""A job as its caller sees it, put together from its documents."""

from __future__ import annotations

from batchlab.api import LISTED_FAILURES, Delivered, JobInfo, Link
from batchlab.errors import DocumentError
from batchlab.page import download_url, page_url, token
from batchlab.records import JobRecords
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.standing import standing
from batchlab.status import State, Status, stalled


def job_info(records: JobRecords, settings: Settings) -> JobInfo:
    """Where the job stands, and what came of it. Raises NotFound."""
    document = records.document()
    status = standing(records, records.status())
    report = records.report(status.generation) if status.ended else None
    return JobInfo(
        id=document.id,
        type=document.type,
        title=document.title,
        tags=document.tags,
        state=status.state,
        generation=status.generation,
        counts=status.counts,
        stalled=stalled(status, records.store.now()),
        message=status.message,
        created_at=status.created_at,
        started_at=status.started_at,
        last_progress_at=status.last_progress_at,
        ended_at=status.ended_at,
        resume_at=status.resume_at,
        expires_at=status.expires_at,
        page=page_url(settings, token(records)),
        artifacts=_delivered(records, settings, status, report),
        report=_trimmed(report) if report else None,
    )


def link_to(records: JobRecords, settings: Settings) -> Link:
    """Raises NotFound, and DocumentError when there is nothing to link to."""
    info = job_info(records, settings)
    downloads = tuple(artifact.link for artifact in info.artifacts if artifact.link)
    if not info.state.ended:
        raise DocumentError(f"Job {info.id} is {info.state}; there is a link once it has ended.")
    if not info.artifacts:
        raise DocumentError(
            f"Job {info.id} {info.state}: nothing was delivered, so there is nothing to link to."
        )
    if info.page is None:
        raise DocumentError(
            "Links need an address that customers reach: set BATCHLAB_PUBLIC_BASE_URL, such as https://photos.example.com."
        )
    if not downloads:
        raise DocumentError(f"Job {info.id}: what was delivered has expired. Submit the job again.")
    return Link(page=info.page, downloads=downloads, expires_at=info.expires_at)


def _delivered(
    records: JobRecords, settings: Settings, status: Status, report: Report | None
) -> tuple[Delivered, ...]:
    artifacts = report.artifacts if report else ()
    gone = status.state is State.EXPIRED or (
        status.expires_at is not None and status.expires_at <= records.store.now()
    )
    delivered = []
    for number, artifact in enumerate(artifacts, 1):
        link = (
            None if gone else download_url(settings, token(records), number if len(artifacts) > 1 else None)
        )
        delivered.append(
            Delivered(
                name=artifact.name,
                url=artifact.url,
                size_bytes=artifact.size_bytes,
                sha256=artifact.sha256,
                members=artifact.members,
                link=link,
            )
        )
    return tuple(delivered)


def _trimmed(report: Report) -> Report:
    """An answer that is polled stays small: items have pages of their own."""
    return report.model_copy(
        update={
            "items": (),
            "items_omitted": report.counts.total,
            "failures": report.failures[:LISTED_FAILURES],
        }
    )
