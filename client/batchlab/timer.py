"""When which job is looked at again: a clock in key names, so that ten thousand quiet jobs cost one listing.

watch/<13 digits: ms since 1970>-<id> is empty; jobs/<id>/watch.json says which of these names counts, so that a job
has one however many set it. Whoever is killed in between leaves a name too many: one more look, which is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from batchlab.store import Store

_PREFIX = "watch/"
_NAME = re.compile(r"watch/(\d{13})-([0-9a-z]{26})")


@dataclass(frozen=True)
class Due:
    """A job whose time has come."""

    name: str
    job_id: str


def watch(store: Store, job_id: str, at: datetime) -> None:
    """The job is looked at no later than at `at`; an earlier time that is set and not yet over stays."""
    before = _set_for(store, job_id)
    if before and _name(store.now(), job_id) < before <= _name(at, job_id) and _is_there(store, before):
        return
    name = _name(at, job_id)
    store.put(name, {})
    store.put(f"jobs/{job_id}/watch.json", {"name": name})
    if before and before != name:
        store.delete(before)


def due(store: Store) -> Iterator[Due]:
    """The jobs whose time has come, the longest due first; nothing beyond is listed."""
    until = _name(store.now(), "~")
    for name in store.names(_PREFIX):
        if name > until:
            return
        found = _NAME.fullmatch(name)
        if found is not None:
            yield Due(name, found[2])


def anything_due(store: Store, by: datetime) -> bool:
    """Whether a job is to be looked at by then."""
    name = next(store.names(_PREFIX), None)
    return name is not None and name <= _name(by, "~")


def looked(store: Store, done: Due) -> None:
    """This time is over; one that was set since stays."""
    store.delete(done.name)


def _set_for(store: Store, job_id: str) -> str:
    found = store.read(f"jobs/{job_id}/watch.json")
    return "" if found is None else str(found.body["name"])


def _is_there(store: Store, name: str) -> bool:
    """Clocks that show seconds give two setters one name, and the one that is slower may have deleted it."""
    return next(store.names(name), None) is not None


def _name(at: datetime, job_id: str) -> str:
    return f"{_PREFIX}{int(at.astimezone(UTC).timestamp() * 1000):013d}-{job_id}"
