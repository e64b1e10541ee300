"""Which job types are installed: all of them, our own too, come through the entry points `batchlab.jobs`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from batchlab.errors import DocumentError
from batchlab.nearest import did_you_mean
from batchlab_processor.job import JobType

GROUP = "batchlab.jobs"


@cache
def names() -> tuple[str, ...]:
    """The names of the installed job types, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def job_type(name: str) -> JobType[Any, Any]:
    """A new instance of the job type `name`; raises DocumentError that names the nearest installed one."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            loaded: type[JobType[Any, Any]] = entry.load()
            return loaded()
    guess = did_you_mean(name, names())
    raise DocumentError(f"type: no job type {name!r}.{guess} Installed: {', '.join(names()) or 'none'}.")
