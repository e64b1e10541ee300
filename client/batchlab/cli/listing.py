"""Which jobs `batchlab list` shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batchlab.durations import parse_duration
from batchlab.errors import Damaged, NotFound, UsageError
from batchlab.nearest import did_you_mean
from batchlab.records import JobRecords, list_jobs
from batchlab.status import State, Status
from batchlab.store import Store
from batchlab.streams import say


def find_jobs(store: Store, *, state: str, type_name: str, tag: str, since: str, limit: int) -> list[Status]:
    """The newest `limit` jobs that are all that is asked for; empty texts ask for nothing.

    Only a `state` makes it read documents of jobs that are not shown.
    """
    if limit < 1:
        raise UsageError("--limit: expected 1 or more.")
    wanted = _state(state) if state else None
    pair = _tag(tag) if tag else None
    moment = _moment(since, store.now()) if since else None
    found: list[Status] = []
    for listed in list_jobs(store, job_type=type_name or None, tag=pair, since=moment):
        try:
            status = JobRecords(store, listed.id).status()
        except NotFound:  # its folder was deleted, and its line in the index is left
            continue
        except Damaged as damaged:
            say(f"batchlab: {listed.id} is left out: {damaged.message}")
            continue
        if wanted is None or status.state is wanted:
            found.append(status)
            if len(found) == limit:
                break
    return found


def _state(text: str) -> State:
    try:
        return State(text.lower())
    except ValueError:
        known = [str(state) for state in State]
        raise UsageError(
            f"--status: there is no state {text!r}.{did_you_mean(text, known)} States: {', '.join(known)}."
        ) from None


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
