"""Which jobs `batchlab list` shows."""

from __future__ import annotations

from datetime import datetime

from batchlab.api import JobSummary
from batchlab.backend import Backend
from batchlab.client import Client
from batchlab.errors import UsageError
from batchlab.job_queries import moment_of, pair_of, state_of


def find_jobs(
    backend: Backend, *, state: str, type_name: str, tag: str, since: str, limit: int, now: datetime
) -> list[JobSummary]:
    """The newest `limit` jobs that are all that is asked for; empty texts ask for nothing.

    Raises UsageError and DocumentError, which name the option.
    """
    if limit < 1:
        raise UsageError("--limit: expected 1 or more.")
    try:
        wanted = state_of(state) if state else None
    except UsageError as error:
        raise UsageError(f"--{error.message}") from None
    jobs = Client(backend=backend).jobs.list(
        status=wanted,
        type=type_name or None,
        tag=pair_of("--tag", tag) if tag else None,
        since=moment_of("--since", since, now) if since else None,
        limit=limit,
    )
    return list(jobs)
