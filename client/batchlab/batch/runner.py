"""AWS Batch as the one that runs jobs: asked once for each start, believed only about its own jobs."""

from __future__ import annotations

from typing import Any

from batchlab import aws
from batchlab.api import LogPage
from batchlab.backend import Hope, Runner
from batchlab.batch.address import BatchAddress
from batchlab.batch.jobs import BatchJobs
from batchlab.batch.log_pages import log_page
from batchlab.records import JobRecords
from batchlab.service.dispatch import BatchPlace, Dispatcher
from batchlab.service.phases import ALL, IN_PHASES, Start, next_step
from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.stores import open_store


class BatchRunner(Runner):
    """In the queues and with the job definition that `settings` name; raises UsageError when they name none."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        place = BatchPlace.of_settings(settings)
        opened = store or open_store(settings.store, settings=settings)
        # one attempt: a lost answer may be a started job, and the dispatcher looks before it asks again
        batch = aws.service_client("batch", settings.aws_region, attempts=1)
        self._dispatcher = Dispatcher(opened, batch, place)
        self._jobs = BatchJobs(BatchAddress(place.standard_queue, region=settings.aws_region), settings)

    def start(self, records: JobRecords) -> None:
        """What is due next of the job is in AWS Batch. Raises NotYet when somebody else is at it."""
        step = next_step(records, self._describe)
        if isinstance(step, Start):
            self._dispatcher.dispatch(records.id, step)
        elif "at" in (records.pending() or {}):  # its dispatcher was killed after all else was done
            records.drop_pending()

    def stop(self, records: JobRecords) -> None:
        """What has not started in AWS Batch never does. A container that runs sees the wish in the store."""
        for batch_job in self.batch_jobs(records):
            job = self._describe(batch_job)
            if job is not None and job["status"] in ("SUBMITTED", "PENDING", "RUNNABLE"):
                self._jobs.cancel(batch_job, f"batchlab: job {records.id} was cancelled.")

    def hope(self, records: JobRecords) -> Hope:
        step = next_step(records, self._describe)
        return Hope.UNKNOWN if isinstance(step, Start) else step

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage:
        ended = records.status().ended
        return log_page(self._jobs, self.batch_jobs(records, every=True), cursor, ended=ended)

    def batch_jobs(self, records: JobRecords, *, every: bool = False) -> list[str]:
        """The ids in AWS Batch of the current generation's phases; with `every` those they took the place of, too."""
        generation = records.status().generation
        found: list[str] = []
        for phase in (ALL, *IN_PHASES):
            claim = records.dispatched(generation, phase) or {}
            if every:
                found += [each["batch_job"] for each in claim.get("earlier", ())]
            found += [claim["batch_job"]] if "batch_job" in claim else []
        return found

    def _describe(self, batch_job: str) -> dict[str, Any] | None:
        return next(iter(self._jobs.describe([batch_job])), None)
