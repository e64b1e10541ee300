"""Which jobs a client lists: its caller's words as the questions that a backend takes, page after page."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import UTC, datetime, timedelta

from batchlab.backend import JobQuery
from batchlab.durations import parse_duration
from batchlab.errors import DocumentError, UsageError
from batchlab.nearest import did_you_mean
from batchlab.status import State

_PAGE = 100
LARGEST_PAGE = 500  # backend.JobQuery

Since = datetime | timedelta | None  # a moment, or how long before now; a naive one is this machine's


def query_of(
    *,
    status: State | str | None = None,
    job_type: str | None = None,
    tag: tuple[str, str] | None = None,
    since: Since = None,
    limit: int | None = None,
) -> JobQuery:
    """The question for the first page; raises UsageError for a status or a limit that is none."""
    if limit is not None and limit < 1:
        raise UsageError("limit: expected 1 or more.")
    if isinstance(since, timedelta):
        since = datetime.now(UTC) - since
    elif since is not None and since.tzinfo is None:
        since = since.astimezone()
    return JobQuery(
        state=None if status is None else state_of(str(status)),
        type=job_type,
        tag=tag,
        since=since,
        limit=_page_size(limit),
    )


def behind(query: JobQuery, cursor: str, left: int | None) -> JobQuery:
    """The question for the page behind; `left` jobs are still wanted, None: all."""
    return dataclasses.replace(query, cursor=cursor, limit=_page_size(left))


def state_of(text: str) -> State:
    """Raises UsageError that names the states."""
    try:
        return State(text.lower())
    except ValueError:
        known = [str(state) for state in State]
        raise UsageError(
            f"status: there is no state {text!r}.{did_you_mean(text, known)} States: {', '.join(known)}."
        ) from None


def pair_of(name: str, text: str) -> tuple[str, str]:
    """The tag that `text` spells; raises DocumentError, which says `name` for what was read."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise DocumentError(f"{name}: expected NAME=VALUE, such as event=7.")
    return key, value


def moment_of(name: str, text: str, now: datetime) -> datetime:
    """A duration before `now`, or a date (midnight UTC) or a moment (UTC without an offset).

    Raises DocumentError, which says `name` for what was read.
    """
    with contextlib.suppress(ValueError, OverflowError):
        return now - parse_duration(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DocumentError(f"{name}: expected 12h, 7d, or a date such as 2026-06-06.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _page_size(limit: int | None) -> int:
    return min(limit or _PAGE, LARGEST_PAGE)
