"""Who is told what becomes of an item: the log, the job type, the ledger, the progress and the display."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from batchlab.errors import BatchlabError
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed, Outcome
from batchlab_processor.context import RunContext
from batchlab_processor.display import Display
from batchlab_processor.errors import classify
from batchlab_processor.job import Entry, JobFailed, JobType
from batchlab_processor.progress import Progress
from batchlab_processor.run_ledger import RunLedger
from batchlab_processor.schedule import RunStopped


class ItemWatch:
    """The Watcher of a run's pool."""

    def __init__(
        self,
        job: JobType[Any, Any],
        context: RunContext,
        ledger: RunLedger,
        progress: Progress,
        display: Display,
        stopped: Callable[[], RunStopped | None],
    ) -> None:
        self._job = job
        self._context = context
        self._ledger = ledger
        self._progress = progress
        self._display = display
        self._stopped = stopped

    def work(self, entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        """The job type's work on the item, and the bytes that it moved."""
        view = self._context.for_item(entry, attempt)
        result = self._job.work(entry.item, view)
        return result, view.size_bytes

    def started(self, entry: Entry[Any]) -> None:
        self._progress.started(entry.key)

    def failed_attempt(
        self,
        entry: Entry[Any],
        tries: int,
        error: ItemError,
        cause: BaseException,
        delay_seconds: float | None,
    ) -> None:
        log = self._context.for_item(entry, tries).log
        if delay_seconds is None:
            log.warning("%s", error, exc_info=cause if error.kind is Kind.BUG else None, extra={"told": True})
            return
        self._progress.waiting("rate_limit" if error.kind is Kind.RATE_LIMIT else "backoff", delay_seconds)
        log.info("%s; trying again in %.1f s", str(error).rstrip("."), delay_seconds)

    def gave_up(self, entry: Entry[Any], failed: Failed) -> None:
        view = self._context.for_item(entry, failed.attempts)
        try:
            self._job.gave_up(entry.key, entry.item, failed, view)
        except (JobFailed, BatchlabError):
            raise
        except Exception as cause:
            error = classify(cause)
            stopped = self._stopped()
            if stopped is not None and error.kind is not Kind.BUG:
                raise stopped from None  # an interrupted call is not a failed one
            view.log.warning("%s", error, exc_info=cause if error.kind is Kind.BUG else None)
            raise JobFailed(error.message) from cause

    def ended(self, entry: Entry[Any], outcome: Outcome) -> None:
        self._ledger.record(outcome)
        self._progress.ended(outcome)
        self._display.ended(outcome)
