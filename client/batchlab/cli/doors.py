"""Where a command finds its jobs: in a store (--store), or behind a URL (--url, BATCHLAB_URL)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchlab.cli.options import look_at, settings_of, store_of
from batchlab.errors import NotFound
from batchlab.streams import say

if TYPE_CHECKING:
    from batchlab.backend import Backend
    from batchlab.job import Job
    from batchlab.settings import Settings


@dataclass(frozen=True)
class Door:
    """Jobs, and what to type to come to them again."""

    backend: Backend
    place: str  # a URL, as it is shown
    options: str = ""  # " --store URL", " --url URL" or nothing when the environment says it

    def job(self, text: str) -> Job:
        """The job that `text` means: an id, an unmistakable beginning, or latest. Raises NotFound, UsageError."""
        from batchlab.cli.choosing import choose
        from batchlab.job import Job

        try:
            return Job(self.backend, self.backend.get(choose(self.backend, self.place, text)))
        except NotFound as error:
            hint = "" if self.options else _elsewhere(self.place)
            raise NotFound(error.message + hint) from None


@contextlib.contextmanager
def door(store: str, url: str = "") -> Iterator[Door]:
    """The jobs of --store when it is typed, else of --url, else of BATCHLAB_URL, else of BATCHLAB_STORE."""
    settings = look_at(store)
    wanted = "" if store else url or settings.url
    opened = _at_url(wanted, settings, typed=bool(url)) if wanted else in_store(settings, typed=store)
    said = _Said()
    logging.getLogger("batchlab").addHandler(said)
    try:
        yield opened
    finally:
        logging.getLogger("batchlab").removeHandler(said)
        close = getattr(opened.backend, "close", None)
        if close is not None:
            close()


class _Said(logging.Handler):
    """What is logged on the way, such as a job that nobody can read, is a line for the user."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        say(f"batchlab: {record.getMessage()}")


def in_store(settings: Settings, *, typed: str = "") -> Door:
    """The jobs of the settings' store."""
    from batchlab.cli.places import pretty
    from batchlab.cli.store_jobs import StoreJobs

    found = store_of(settings)
    return Door(StoreJobs(found, settings), pretty(found.url), f" --store {typed}" if typed else "")


def _at_url(url: str, settings: Settings, *, typed: bool) -> Door:
    from batchlab.opening import open_backend
    from batchlab.redact import shown

    options = f" --url '{url}'" if typed and "?" in url else f" --url {url}" if typed else ""
    if url.startswith("file://"):  # to look at it nobody needs to run anything
        return Door(in_store(settings_of(url)).backend, url, options)
    return Door(open_backend(url, settings), shown(url), options)


def _elsewhere(place: str) -> str:
    """Which place was looked at, when the user typed none."""
    if place.startswith(("https://", "http://", "batch://")):
        return f" BATCHLAB_URL is {place}; jobs that ran here: add --store DIRECTORY."
    return ""
