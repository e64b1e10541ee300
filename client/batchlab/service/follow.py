"""Following a job to its end and beyond: one function, for every event, every end of a run, and the clock.

`look` never trusts what woke it. It reads status, lease, dispatch documents and what the runner says, does the next
thing that is due, and sets when it looks again (docs/decisions/0011).
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from batchlab import page
from batchlab.backend import Hope
from batchlab.errors import BatchlabError, NotFound
from batchlab.lease import LIFETIME
from batchlab.notify import announce
from batchlab.records import JobRecords
from batchlab.service.core import Service
from batchlab.service.ending import end_without_a_run
from batchlab.status import Status
from batchlab.timer import Due, due, looked, watch

__all__ = ["look", "tick", "watch"]

QUIET = timedelta(minutes=10)  # waiting or running: events come sooner, and only a lost one costs this time
# A lease whose holder died lives on for a minute; a dispatcher's claim, too.
SOON = LIFETIME + timedelta(seconds=15)
LOOKERS = 8  # a look is a dozen small requests, one after the other
TICK_SECONDS = 40.0  # the functions live for 60, and a look may send webhooks that take 15

logger = logging.getLogger("batchlab")


def look(service: Service, job_id: str) -> datetime | None:
    """Does what is due for the job; returns, and sets, when to look again. None: never, all is told or it is no job.

    May be called at any time by anybody, also twice at once. Raises ServiceError or Denied when the store or the
    runner cannot be asked: look again.
    """
    records = JobRecords(service.store, job_id)
    try:
        status = records.status()
    except NotFound:
        return None
    again = None
    if not status.ended:
        again = _carry_on(service, records, status)
        status = records.status()
    page.publish(records, service.pages, service.settings)  # before the news: they link to it
    if status.ended:
        again = _tell(service, records, status)
    if again is not None:
        watch(service.store, job_id, again)
    return again


def tick(service: Service, seconds: float = TICK_SECONDS) -> int:
    """Every job whose time has come is looked at, and what was left in pending/ is taken up; how many those were.

    Begins nothing after `seconds`: what is left is due at the next tick.
    """
    from batchlab.service.submission import sweep

    until = time.monotonic() + seconds
    swept = sweep(service)

    def look_at(each: Due) -> bool:
        if time.monotonic() >= until:
            return False
        _look_when_due(service, each)
        return True

    with ThreadPoolExecutor(LOOKERS, "look") as pool:
        return swept + sum(pool.map(look_at, due(service.store)))


def _look_when_due(service: Service, each: Due) -> None:
    try:
        look(service, each.job_id)
    except Exception as error:
        if not isinstance(error, BatchlabError):
            logger.exception("Job %s could not be looked at.", each.job_id)
        else:
            logger.warning("Job %s is looked at again later: %s", each.job_id, error.message)
        watch(service.store, each.job_id, service.store.now() + QUIET)
    looked(service.store, each)


def _carry_on(service: Service, records: JobRecords, status: Status) -> datetime:
    """The next thing for a job that has not ended; returns when to look again if it still has not."""
    now = service.store.now()
    cancelled = records.cancel_requested(status.generation)
    if status.resume_at is not None and now < status.resume_at and not cancelled:
        return status.resume_at
    hope = service.runner.hope(records)
    if hope in (Hope.WAITING, Hope.RUNNING) and not cancelled:
        return now + QUIET  # before the leases: ten thousand shards have as many
    if records.at_work(status.generation):
        return now + (SOON if hope is Hope.OVER else QUIET)
    if cancelled:
        service.runner.stop(records)
        hope = service.runner.hope(records)
    elif hope is Hope.UNKNOWN or (hope is Hope.OVER and status.resume_at is not None):
        service.runner.start(records)  # the next phase, the start after a pause, or one that got lost
        hope = service.runner.hope(records)
    # Of a job that nobody was asked to run, only a wish to cancel is the end.
    if hope is Hope.OVER or (cancelled and hope is Hope.UNKNOWN):
        end_without_a_run(records)
        return now + SOON
    return now + (SOON if hope is Hope.UNKNOWN else QUIET)


def _tell(service: Service, records: JobRecords, status: Status) -> datetime | None:
    """Whoever is to be told of the end is; returns when the next try is due, or the page changes once more."""
    times = [announce(records, service.outlets)]
    if status.expires_at is not None and status.expires_at > service.store.now():
        times.append(status.expires_at)
    return min((each for each in times if each is not None), default=None)
