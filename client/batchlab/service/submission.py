"""From a document to a job on its way: accepted once, taken up again wherever it was killed, cancelled, retried.

The order of documents is that of docs/decisions/0011: keys, pending, job.json (from here the job exists), index,
status, page, timer, and then whoever runs it is told. Each step may be repeated by anybody at any time.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from batchlab import page
from batchlab.authority import Authority
from batchlab.backend import Hope
from batchlab.document import JobDocument
from batchlab.errors import BatchlabError, KeyTaken
from batchlab.records import JobRecords, create_job
from batchlab.service.core import Service
from batchlab.service.follow import look
from batchlab.status import State, Status
from batchlab.store import JSON
from batchlab.timer import watch

__all__ = ["KeyTaken", "cancel", "complete", "retry", "submit", "sweep"]

LEFT_ALONE = timedelta(seconds=60)  # no function of ours lives longer: whoever put a job there is dead
GIVEN_UP = timedelta(minutes=15)  # what has no job.json by then was never accepted
FIRST_LOOK = timedelta(minutes=10)
SWEPT_AT_ONCE = 50

logger = logging.getLogger("batchlab")


def submit(service: Service, document: JobDocument, grant: Authority | None = None) -> JobRecords:
    """The job exists, once, and is on its way. `document` was admitted (batchlab.service.admission).

    Raises DocumentError when its id belongs to another document, KeyTaken when its idempotency key does, and
    ServiceError or Denied when a step fails: when the job exists by then, the sweeper takes it up.
    """
    records = create_job(service.store, document, grant, pending=True)
    if records.pending() is not None or service.runner.hope(records) is Hope.UNKNOWN:
        complete(service, records)
    return records


def complete(service: Service, records: JobRecords) -> None:
    """All that follows job.json is there, and the job is with whoever runs it; one that has ended needs nothing."""
    records.list_and_queue(records.document())
    if records.status().ended:
        records.drop_pending()
        return
    page.token(records)
    page.publish(records, service.pages, service.settings)
    watch(service.store, records.id, service.store.now() + FIRST_LOOK)
    service.runner.start(records)


def retry(service: Service, records: JobRecords) -> Status:
    """Generation n+1 is on its way. Raises DocumentError unless the job ended partial, failed or cancelled."""
    state = records.status().state
    if state in (State.PARTIAL, State.FAILED, State.CANCELLED):
        records.create_pending()  # first, so that no killed retry is forgotten
    records.start_retry()
    complete(service, records)
    return records.status()


def cancel(service: Service, records: JobRecords) -> Status:
    """The job is asked to stop, and one that has not begun never begins; one that has ended stays as it is."""
    status = records.status()
    if status.ended:
        return status
    records.ask_to_cancel(status.generation)
    records.save_status(status.model_copy(update={"state": State.CANCELLING}))
    service.runner.stop(records)
    look(service, records.id)
    return records.status()


def sweep(service: Service) -> int:
    """Whatever stands in pending/ for a minute is taken up again; how many jobs that were."""
    swept = 0
    for name in service.store.names("pending/"):
        if swept >= SWEPT_AT_ONCE:
            break
        try:
            swept += _sweep(service, JobRecords(service.store, name.removeprefix("pending/")))
        except BatchlabError as error:
            logger.warning("%s is taken up later: %s", name, error.message)
    return swept


def _sweep(service: Service, records: JobRecords) -> bool:
    now = service.store.now()
    pending = records.pending()
    if pending is None or not _left_alone(pending, now):
        return False
    if not records.exists():
        if now - datetime.fromisoformat(pending["at"]) >= GIVEN_UP:
            records.drop_pending()
        return False
    hope = service.runner.hope(records)
    if hope is Hope.UNKNOWN:
        complete(service, records)
    elif hope is Hope.OVER:
        look(service, records.id)
    return hope in (Hope.UNKNOWN, Hope.OVER)


def _left_alone(pending: JSON, now: datetime) -> bool:
    if "not_before" in pending:
        return now >= datetime.fromisoformat(pending["not_before"])
    return now - datetime.fromisoformat(pending["at"]) >= LEFT_ALONE
