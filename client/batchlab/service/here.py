"""Jobs of a directory, run on this machine by a process that outlives whoever submitted them.

A program that submits to `Client("file:///...")` is the door: its jobs may touch what its settings (BATCHLAB_*) list,
as at every other door. Nothing is granted for being named in a document, which a program often makes of what
strangers sent it; on the command line a person typed it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batchlab.api import LogPage
from batchlab.backend import Hope, Runner
from batchlab.errors import UsageError
from batchlab.local import processor_command
from batchlab.records import JobRecords
from batchlab.service.child import child_environment
from batchlab.service.log_files import log_folder, log_page
from batchlab.settings import Settings
from batchlab.store import Store

_LOCK = ".attendant"  # in the store's directory; a dot: no document
_LOOK_SECONDS = 0.5

logger = logging.getLogger("batchlab")


class LocalRunner(Runner):
    """Jobs of a file:// store. What is started goes on when this process ends, one way or another.

    After a kill -9 of the process that it leaves behind, or of the machine, the next `start` goes on with all jobs.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.store.startswith("file://"):
            raise UsageError(
                f"{settings.store}: jobs run on this machine from a store in a directory, file:///..."
            )
        self._settings = settings
        self._left: subprocess.Popen[bytes] | None = None  # who sees to the jobs as soon as it has begun

    def start(self, records: JobRecords) -> None:
        """Raises UsageError, with the command that installs it, where there is no batchlab-processor."""
        processor_command()
        if records.pending() is None:
            records.create_pending()
        if not _attended(records.store):  # one that was left may be about to go
            self._leave_an_attendant(records.store)

    def stop(self, records: JobRecords) -> None:
        if not records.at_work(records.status().generation):
            records.drop_pending()

    def hope(self, records: JobRecords) -> Hope:
        if records.at_work(records.status().generation):
            return Hope.RUNNING
        if records.pending() is not None and self._seen_to(records.store):
            return Hope.WAITING  # whoever it is starts whatever stands in pending/
        return Hope.UNKNOWN  # nobody sees to it: it is to be started

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage:
        return log_page(records, cursor)

    def _seen_to(self, store: Store) -> bool:
        """Whether somebody sees to the jobs of the store, or was left to and is about to begin."""
        return _attended(store) or (self._left is not None and self._left.poll() is None)

    def _leave_an_attendant(self, store: Store) -> None:
        """A second one that comes at the same time leaves at once."""
        with open(log_folder(store.url) / "attendant.log", "ab", buffering=0, opener=_private) as file:
            self._left = left = subprocess.Popen(
                [sys.executable, "-m", "batchlab.service.here", store.url],
                env=child_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=log_folder(store.url),
                start_new_session=True,
            )
        # A program that lives on keeps no zombie, and is not warned of a child that is meant to outlive it.
        threading.Thread(target=left.wait, name="attendant", daemon=True).start()


@contextlib.contextmanager
def attending(store: Store) -> Iterator[bool]:
    """Inside, no second process is left behind for this store; yields False when there is one already.

    A bucket has no lock to give: whoever serves one starts what waits there.
    """
    path = _lock_path(store)
    if path is None:
        yield True
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "ab", opener=_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def attend(settings: Settings) -> None:
    """Sees to the jobs of the store until nothing is left to run; returns at once when somebody else does."""
    from batchlab.service.attendant import Attendant
    from batchlab.stores import open_store

    store = open_store(settings.store, settings=settings)
    while True:
        with attending(store) as first:
            if not first:
                return
            with Attendant(settings, store) as attendant:
                rest = threading.Event()
                while not attendant.at_rest():
                    rest.wait(_LOOK_SECONDS)
        # Whoever submitted while the lock was held left it to us.
        if next(store.names("pending/"), None) is None:
            return


def _attended(store: Store) -> bool:
    """Asks without waiting; a holder that comes at this very moment may be refused, and leaves it to us."""
    path = _lock_path(store)
    assert path is not None
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _lock_path(store: Store) -> Path | None:
    parts = urlsplit(store.url)
    return Path(unquote(parts.path)) / _LOCK if parts.scheme == "file" else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


if __name__ == "__main__":
    from batchlab.service.serve_log import set_up

    told = dataclasses.replace(Settings.from_environment(os.environ), store=sys.argv[1])
    set_up(told)
    attend(told)
