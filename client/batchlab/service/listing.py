"""Pages of jobs, the newest first. Names alone say type, tags and age; where a job stands is read, many at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from batchlab.api import JobPage, JobSummary
from batchlab.backend import JobQuery
from batchlab.errors import Damaged, DocumentError, NotFound, UsageError
from batchlab.job_index import Listed, list_jobs
from batchlab.records import JobRecords
from batchlab.service.cursors import NO_CURSOR, cursor_of, place_of
from batchlab.standing import standing
from batchlab.status import State, stalled
from batchlab.store import Store
from batchlab.stores.body import check_name

LONGEST_PAGE = 500
MOST_READ = 2_000  # statuses of one page that looks for a state: 2 to 3 s on S3, far below a function's 30 s
_STEP = 100  # statuses that are read at once
_READERS = 10  # as many connections as the store's client keeps

logger = logging.getLogger("batchlab")


def list_page(store: Store, query: JobQuery) -> JobPage:
    """The newest jobs that `query` asks for, at most `limit`; with a state a page may hold fewer and have a next.

    Raises DocumentError for a limit or a cursor that is none.
    """
    if not 1 <= query.limit <= LONGEST_PAGE:
        raise DocumentError(f"limit: {query.limit} is out of range: 1 to {LONGEST_PAGE}.")
    after = _name_of(query.cursor)
    listed = list_jobs(store, job_type=query.type, tag=query.tag, since=query.since, after=after)
    found: list[JobSummary] = []
    some: list[Listed] = []
    looked, last = 0, ""
    with ThreadPoolExecutor(_READERS, "list") as pool:
        while len(found) < query.limit and looked < MOST_READ:
            # of those that are read not all are wanted, so a short page reads on in large steps
            step = 0 if query.state is None else min(_STEP, MOST_READ - looked)
            some = list(islice(listed, max(query.limit, step)))
            if not some:
                return JobPage(jobs=tuple(found))
            for job, summary in zip(some, pool.map(lambda job: _summary(store, job), some), strict=True):
                looked, last = looked + 1, job.name
                if summary is not None and query.state in (None, summary.state):
                    found.append(summary)
                    if len(found) == query.limit:
                        break
    return JobPage(jobs=tuple(found), next=cursor_of(last) if _more(listed, last, some) else None)


def _name_of(cursor: str | None) -> str:
    """The name in the index at which the page before ended."""
    name = place_of(cursor)
    try:
        known = not name or check_name(name).startswith("index/")
    except UsageError:
        known = False
    if not known:
        raise DocumentError(NO_CURSOR)
    return name


def _more(listed: Iterator[Listed], last: str, some: list[Listed]) -> bool:
    return last != some[-1].name or next(listed, None) is not None


def _summary(store: Store, listed: Listed) -> JobSummary | None:
    """None: the job's folder was deleted and its line is left, or nobody can read it."""
    records = JobRecords(store, listed.id)
    try:
        status = records.status()
        if status.state in (State.RUNNING, State.CANCELLING):
            status = standing(records, status)
    except NotFound:
        return None
    except Damaged as damaged:
        logger.warning("%s is left out of a list: %s", listed.id, damaged.message)
        return None
    return JobSummary(
        id=status.id,
        type=status.type,
        title=status.title,
        tags=listed.tags,
        state=status.state,
        generation=status.generation,
        counts=status.counts,
        stalled=stalled(status, store.now()),
        created_at=status.created_at,
        ended_at=status.ended_at,
    )
