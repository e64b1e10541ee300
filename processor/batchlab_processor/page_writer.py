"""The customer's page while a run works on the job: written at the start, every ten seconds, and at the end.

In a thread of its own, because what is slow here must hold up neither the ledger nor the end of the process.
"""

from __future__ import annotations

import logging
import random
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from batchlab.errors import BatchlabError
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.shards import Shard
from batchlab_processor.progress import Progress

if TYPE_CHECKING:
    from batchlab.page import Pages

PAGE_SECONDS = 10.0
LAST_SECONDS = (
    8.0  # for the last page; SIGTERM leaves 25 s for everything, and whoever follows the job writes it too
)

logger = logging.getLogger("batchlab")


class PageWriter:
    """A context around a run. A page that cannot be written never fails the job; the log says so once.

    Nothing is written for a job without a token: nobody was given an address. Shards take turns, because each page
    reads the progress of all.
    """

    def __init__(
        self,
        records: JobRecords,
        settings: Settings,
        shard: Shard | None = None,
        *,
        page_seconds: float = PAGE_SECONDS,
        last_seconds: float = LAST_SECONDS,
    ) -> None:
        self._records = records
        self._settings = settings
        self._shared = shard is not None and shard.count > 1
        self._page_seconds = page_seconds * (shard.count if shard is not None else 1)
        self._last_seconds = last_seconds
        self._progress: Progress | None = None
        self._pages: Pages | None = None
        self._said = False
        self._begun = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def follow(self, progress: Progress) -> None:
        """The run has begun, and says what it expects."""
        self._progress = progress
        self._begun.set()

    def __enter__(self) -> PageWriter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._begun.set()  # also for a run that stood aside
        self._thread.join(self._last_seconds)

    def _run(self) -> None:
        self._begun.wait()
        if self._shared:
            self._end.wait(random.uniform(0, self._page_seconds))
        while True:
            ended = self._end.is_set()
            if not (ended and self._shared) and not self._write():
                return
            if ended:
                return
            self._end.wait(self._page_seconds)

    def _write(self) -> bool:
        """Whether there is a page."""
        try:
            if self._pages is None and not self._records.has_page():
                return False
            from batchlab import page  # most runs have none, and start sooner without

            if self._pages is None:
                self._pages = page.open_pages(self._settings, self._records.store)
            page.publish(self._records, self._pages, self._settings, eta_seconds=self._eta())
        except Exception as error:  # noqa: BLE001  whatever it is, the job goes on
            if not self._said:
                self._said = True
                said = error.message if isinstance(error, BatchlabError) else type(error).__name__
                logger.warning("The customer's page could not be written: %s The job goes on.", said)
        return True

    def _eta(self) -> float | None:
        """Of the whole job; a shard knows its own part only."""
        if self._progress is None or self._shared:
            return None
        return self._progress.snapshot().eta_seconds
