"""Where a command finds its jobs: in a store (--store), or behind a URL (--url, BATCHLAB_URL)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchlab.cli.options import look_at, settings_of, store_of
from batchlab.errors import NotFound, UsageError
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
    remote: bool = False  # whether somebody else runs the jobs

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
    with using(opened):
        yield opened


@contextlib.contextmanager
def service_door(url: str, name: str, store: str) -> Iterator[Door]:
    """Who runs jobs: --url, else the stack --name, else BATCHLAB_URL, else the stack batchlab with --store."""
    from batchlab.batch.address import is_batch_url
    from batchlab.opening import open_backend
    from batchlab.redact import shown

    settings = look_at(store)
    wanted = url or ("" if name else settings.url)
    if wanted and not is_batch_url(wanted):
        opened = Door(open_backend(wanted, settings), shown(wanted), _typed(url), remote=True)
    else:
        opened = _stack(url, name, store)
    with using(opened):
        yield opened


def _stack(url: str, name: str, store: str) -> Door:
    from batchlab.cli.on_aws import address_with_store
    from batchlab.opening import in_batch

    address = address_with_store(url, name, store)
    if not address.store.startswith(("s3://", "r2://")):
        raise UsageError(
            "Where to? Set BATCHLAB_URL, or name whom to ask: --url https://HOST. On this machine `batchlab serve` "
            "says its address, and --url file:///DIRECTORY needs no server. For the stack on AWS Batch its store is "
            "enough: --store s3://BUCKET/PREFIX (deploy.sh prints it)."
        )
    backend = in_batch(address, settings_of(address.store))
    return Door(backend, f"queue {address.queue}", _typed(url) or f" --store {address.store}", remote=True)


@contextlib.contextmanager
def using(opened: Door) -> Iterator[None]:
    """Inside, what is logged is said; afterwards its connections are closed."""
    said = _Said()
    logging.getLogger("batchlab").addHandler(said)
    try:
        yield
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

    options = _typed(url) if typed else ""
    if url.startswith("file://"):  # to look at it nobody needs to run anything
        return Door(in_store(settings_of(url)).backend, url, options)
    return Door(open_backend(url, settings), shown(url), options, remote=True)


def _typed(url: str) -> str:
    """The option as it is typed again."""
    if not url:
        return ""
    return f" --url '{url}'" if "?" in url else f" --url {url}"


def _elsewhere(place: str) -> str:
    """Which place was looked at, when the user typed none."""
    if place.startswith(("https://", "http://", "batch://")):
        return f" BATCHLAB_URL is {place}; jobs that ran here: add --store DIRECTORY."
    return ""
