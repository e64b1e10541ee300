"""The jobs of a store, looked at without any service: looking writes nothing."""

from __future__ import annotations

from batchlab.api import Delivered, Estimate, ItemPage, JobInfo, JobPage, JobTypeInfo, Link, LogPage
from batchlab.backend import Backend, JobQuery
from batchlab.document import JobDocument
from batchlab.errors import UsageError
from batchlab.records import JobRecords
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.standing import standing
from batchlab.status import stalled
from batchlab.store import Store


class StoreJobs(Backend):
    """What the documents of `store` say. Wishes that somebody must carry out raise UsageError, save the one to stop."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings

    def get(self, job_id: str) -> JobInfo:
        records = JobRecords(self.store, job_id)
        document = records.document()
        status = standing(records, records.status())
        report = records.report(status.generation) if status.ended else None
        return JobInfo(
            **status.model_dump(exclude={"artifacts"}),
            tags=document.tags,
            stalled=stalled(status, self.store.now()),
            artifacts=_delivered(report) if report else (),
            report=report,
        )

    def list(self, query: JobQuery) -> JobPage:
        from batchlab.service.listing import list_page

        return list_page(self.store, query)

    def items(
        self, job_id: str, *, outcome: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> ItemPage:
        """All of them at once: what is here needs no pages."""
        from batchlab.items import items_of

        found = items_of(JobRecords(self.store, job_id), failed_only=outcome == "failed")
        return ItemPage(items=tuple(item for item in found if outcome in (None, item.outcome)))

    def cancel(self, job_id: str) -> JobInfo:
        records = JobRecords(self.store, job_id)
        current = records.status()
        if not current.ended:
            records.ask_to_cancel(current.generation)
        return self.get(job_id)

    def link(self, job_id: str) -> Link:
        from batchlab.service.job_info import link_to

        return link_to(JobRecords(self.store, job_id), self.settings)

    def submit(self, document: JobDocument) -> JobInfo:
        raise self._nobody("submits")

    def estimate(self, document: JobDocument) -> Estimate:
        from batchlab.estimate import estimate

        return estimate(document, self.settings)

    def logs(self, job_id: str, *, cursor: str | None = None) -> LogPage:
        if not self.store.url.startswith("file://"):
            raise self._nobody("keeps logs")
        from batchlab.service.log_files import log_page

        records = JobRecords(self.store, job_id)
        records.document()
        return log_page(records, cursor)

    def retry(self, job_id: str) -> JobInfo:
        raise self._nobody("retries")

    def replay(self, job_id: str) -> int:
        raise self._nobody("sends notifications")

    def job_types(self) -> tuple[JobTypeInfo, ...]:
        raise self._nobody("takes jobs")

    def _nobody(self, does: str) -> UsageError:
        return UsageError(
            f"{self.store.url} is a store, and nobody {does} there. Name the service: --url https://HOST"
        )


def _delivered(report: Report) -> tuple[Delivered, ...]:
    return tuple(
        Delivered(
            name=artifact.name,
            url=artifact.url,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            members=artifact.members,
        )
        for artifact in report.artifacts
    )
