"""Which jobs `batchlab list` shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batchlab.api import JobSummary
from batchlab.backend import Backend
from batchlab.client import Client
from batchlab.durations import parse_duration
from batchlab.errors import UsageError
from batchlab.job_queries import state_of


def find_jobs(
    backend: Backend, *, state: str, type_name: str, tag: str, since: str, limit: int, now: datetime
) -> list[JobSummary]:
    """The newest `limit` jobs that are all that is asked for; empty texts ask for nothing. Raises UsageError."""
    if limit < 1:
        raise UsageError("--limit: expected 1 or more.")
    try:
        wanted = state_of(state) if state else None
    except UsageError as error:
        raise UsageError(f"--{error.message}") from None
    jobs = Client(backend=backend).jobs.list(
        status=wanted,
        type=type_name or None,
        tag=_tag(tag) if tag else None,
        since=_moment(since, now) if since else None,
        limit=limit,
    )
    return list(jobs)


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError("--tag: expected NAME=VALUE, such as event=7.")
    return name, value


def _moment(text: str, now: datetime) -> datetime:
    """A duration before `now`, or a date (midnight UTC) or time."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("--since: expected 12h, 7d, or a date such as 2026-06-06.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(moment, now + timedelta(days=1))
