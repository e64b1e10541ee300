"""The jobs of a store, as `batchlab.backend.Backend` asks of them: what stands behind every door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchlab import notify
from batchlab.api import Estimate, ItemPage, JobInfo, JobPage, JobTypeInfo, Link, LogPage
from batchlab.backend import Backend, JobQuery
from batchlab.document import JobDocument, digest
from batchlab.errors import NotFound
from batchlab.ids import is_id
from batchlab.jobs import params_model
from batchlab.records import JobRecords, key_name
from batchlab.service import submission
from batchlab.service.admission import admit
from batchlab.service.item_pages import ItemPages
from batchlab.service.job_info import job_info, link_to
from batchlab.service.listing import list_page
from batchlab.service.turns import Turns
from batchlab.timer import watch

if TYPE_CHECKING:
    from batchlab.service.core import Service


class Jobs(Backend):
    """Answers from the store of `service`; what documents may touch is what its settings list.

    `followed`: somebody looks at the clock of this store, as `serve` and the functions of AWS do.
    """

    def __init__(self, service: Service, *, followed: bool = True) -> None:
        self.service = service
        self.followed = followed
        self.turns = Turns()
        self.item_pages = ItemPages()

    def submit(self, document: JobDocument) -> JobInfo:
        """Raises DocumentError, KeyTaken among them, and InFlight while the same submission hangs."""
        admit(document, self.service.settings, self.service.store)
        known = self._accepted(document)
        if known is None:
            with self.turns.of(document.idempotency_key):
                known = self._accepted(document) or submission.submit(self.service, document)
        return self._info(known)

    def estimate(self, document: JobDocument) -> Estimate:
        from batchlab.estimate import estimate

        admit(document, self.service.settings, self.service.store)
        return estimate(document, self.service.settings)

    def get(self, job_id: str) -> JobInfo:
        return self._info(self._records(job_id))

    def list(self, query: JobQuery) -> JobPage:
        return list_page(self.service.store, query)

    def items(
        self, job_id: str, *, outcome: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> ItemPage:
        return self.item_pages.page(self._records(job_id), outcome=outcome, limit=limit, cursor=cursor)

    def logs(self, job_id: str, *, cursor: str | None = None) -> LogPage:
        return self.service.runner.logs(self._existing(job_id), cursor)

    def cancel(self, job_id: str) -> JobInfo:
        records = self._existing(job_id)
        submission.cancel(self.service, records)
        return self._info(records)

    def retry(self, job_id: str) -> JobInfo:
        records = self._existing(job_id)
        submission.retry(self.service, records)
        return self._info(records)

    def link(self, job_id: str) -> Link:
        return link_to(self._records(job_id), self.service.settings)

    def replay(self, job_id: str) -> int:
        records = self._existing(job_id)
        # A receiver may take 15 s, and ten targets longer than a request lives: whoever follows the jobs sends them.
        count = notify.start_over(records) if self.followed else notify.replay(records, self.service.outlets)
        watch(records.store, records.id, records.store.now())
        return count

    def job_types(self) -> tuple[JobTypeInfo, ...]:
        return tuple(JobTypeInfo(name=name, params=_schema(name)) for name in self.service.settings.job_types)

    def _accepted(self, document: JobDocument) -> JobRecords | None:
        """The job of an earlier submission of the very same; whatever that did not come to, the sweeper does."""
        if document.idempotency_key is None:
            return None
        found = self.service.store.read(key_name(document.idempotency_key))
        if found is None or found.body["digest"] != digest(document):
            return None
        records = JobRecords(self.service.store, str(found.body["id"]))
        return records if self.service.store.read(f"{records.folder}/status.json") else None

    def _info(self, records: JobRecords) -> JobInfo:
        return job_info(records, self.service.settings)

    def _records(self, job_id: str) -> JobRecords:
        if not is_id(job_id):
            raise NotFound(f"{job_id[:40]!r} is no job id: expected 26 letters and digits.")
        return JobRecords(self.service.store, job_id)

    def _existing(self, job_id: str) -> JobRecords:
        records = self._records(job_id)
        records.document()
        return records


def _schema(name: str) -> dict[str, Any]:
    model = params_model(name)
    return {} if model is None else model.model_json_schema()
