"""Seeing to the jobs of a store from this machine: runs them, follows each to its end, and looks at the clock.

Two attendants of one store share its jobs: a lease says who has which.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from batchlab.errors import BatchlabError, NotFound
from batchlab.records import JobRecords
from batchlab.service.children import AT_ONCE, Children
from batchlab.service.core import Service
from batchlab.service.follow import look, tick
from batchlab.service.log_files import marked, unmark
from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.timer import anything_due

TICK_SECONDS = 2.0
# Who was away when a job ended is told again after 5 s and 5 min (batchlab.notify.schedule); later tries wait for
# whoever sees to the store next.
SOON = timedelta(minutes=6)

logger = logging.getLogger("batchlab")


class Attendant:
    """A context; inside it the jobs of the store run here and are followed."""

    def __init__(
        self, settings: Settings, store: Store, *, jobs: int = AT_ONCE, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self.children = Children(settings, at_once=jobs, ended=self._wake)
        self.service = Service.of_settings(settings, self.children, store)
        self._tick_seconds = tick_seconds
        self._over: queue.SimpleQueue[str] = queue.SimpleQueue()  # jobs whose run is over
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attendant", daemon=True)

    def __enter__(self) -> Attendant:
        self.children.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is started any more, and what runs has flushed what it did; may be called twice."""
        self._stop.set()
        self._over.put("")
        self.children.__exit__()
        self._thread.join(self._tick_seconds)  # it may be telling somebody slow of an end; that is told again

    def at_rest(self) -> bool:
        """Whether nothing is left to run or to be looked at soon: neither here nor in the store."""
        store = self.service.store
        if not self.children.idle or marked(store.url) or next(store.names("pending/"), None) is not None:
            return False
        return not anything_due(store, store.now() + SOON)

    def adopt(self) -> None:
        """Starts whatever waits in the store: what a killed process left, and what others put there."""
        for name in self.service.store.names("pending/"):
            records = JobRecords(self.service.store, name.removeprefix("pending/"))
            if not self.children.knows(records.id) and _due(records):
                self.children.start(records)
        for job_id in marked(self.service.store.url):
            if not self.children.knows(job_id):
                self._do(f"job {job_id}", partial(self._look_at, job_id))

    def _look_at(self, job_id: str) -> None:
        """The end of a run, or its loss, has its consequences; until then its mark stays."""
        records = JobRecords(self.service.store, job_id)
        try:
            status = records.status()
        except NotFound:  # deleted
            unmark(records.store.url, job_id)
            return
        if records.at_work(status.generation):
            return
        look(self.service, job_id)
        if not self.children.knows(job_id):  # else it was started again, and is marked anew
            if records.status().ended:
                records.drop_pending()
            unmark(records.store.url, job_id)

    def _wake(self, job_id: str) -> None:
        self._over.put(job_id)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._do("what waits", self.adopt)
            self._do("the clock", lambda: tick(self.service))
            for job_id in self._woken():
                self._do(f"job {job_id}", partial(self._look_at, job_id))

    def _woken(self) -> Iterator[str]:
        """The jobs whose run is over, as they come; returns when it is time for the clock again."""
        with contextlib.suppress(queue.Empty):
            wait: float | None = self._tick_seconds
            while not self._stop.is_set():
                job_id = self._over.get(timeout=wait)
                wait = 0.05
                if job_id:
                    yield job_id

    def _do(self, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except BatchlabError as error:
            logger.warning("%s is looked at again in a moment: %s", what, error.message)
        except Exception:
            logger.exception("%s could not be looked at", what)


def _due(records: JobRecords) -> bool:
    """Whether a job that stands in pending/ is to start now: it exists, is not paused and nobody works on it."""
    pending = records.pending()
    if pending is None:
        return False
    if "not_before" in pending and datetime.fromisoformat(pending["not_before"]) > records.store.now():
        return False
    try:
        return not records.at_work(records.status().generation)
    except NotFound:  # its submission is at its beginning
        return False
