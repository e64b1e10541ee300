"""What people see of a run, on stderr: bars on a terminal, otherwise one line per event. stdout is data.

The engine calls `start`, then `show` five times a second and `ended` for every item, then `stop`, from
several threads. A display that breaks falls silent; the job goes on.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TextIO

from batchlab.document import JobDocument
from batchlab.outcome import Failed, Outcome
from batchlab.redact import scrub
from batchlab.words import counted, duration, printable, size
from batchlab_processor.progress import Progress, Snapshot

EVERY_ITEM = 100  # a job of at most so many items has a line for each: a percent or more
LINE_SECONDS = 2.0  # a larger one has a line for each percent, but not more often than this
HEARTBEAT_SECONDS = 60.0  # and one after this time, however slow it is

logger = logging.getLogger("batchlab.display")


class Display:
    """Says nothing; the others override what they need."""

    def start(self, document: JobDocument, progress: Progress) -> None:
        """The run begins; nothing is planned yet."""

    def show(self, snapshot: Snapshot) -> None:
        """How far it is now."""

    def ended(self, outcome: Outcome) -> None:
        """One item has its outcome, and the progress has counted it."""

    def stop(self) -> None:
        """The run ended or was interrupted; nothing more is written."""


class Quiet(Display):
    """For --quiet, --json and tests."""


def choose_display(
    *, quiet: bool = False, job_id: str = "", json_logs: bool = False, stream: TextIO | None = None
) -> Display:
    """Bars on a terminal, unless NO_COLOR is set; else lines; with `json_logs` the lines are log records.

    `job_id` stands in the lines before the document is known.
    """
    if quiet:
        return Quiet()
    if json_logs:
        return Careful(Lines(_to_log))
    stream = stream or sys.stderr
    if stream.isatty():
        from batchlab_processor.bars import Bars, bars_fit  # rich costs 60 ms to import: not in containers

        if bars_fit(stream):
            return Careful(Bars(stream))
    return Careful(Lines(_to_stream(stream), job_id))


class Careful(Display):
    """Guards the job against its display: after the first exception it is silent."""

    def __init__(self, inner: Display) -> None:
        self.inner = inner

    def start(self, document: JobDocument, progress: Progress) -> None:
        self._try(lambda: self.inner.start(document, progress))

    def show(self, snapshot: Snapshot) -> None:
        self._try(lambda: self.inner.show(snapshot))

    def ended(self, outcome: Outcome) -> None:
        self._try(lambda: self.inner.ended(outcome))

    def stop(self) -> None:
        self._try(self.inner.stop)

    def _try(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001  a closed terminal or a defect here must not end the job
            broken, self.inner = self.inner, Quiet()
            with suppress(Exception):
                broken.stop()  # gives the terminal back
            logger.warning("The display stopped, the job goes on: %s: %s", type(error).__name__, error)


Write = Callable[[datetime, str, str, str], None]  # when (UTC), job id, event, text


class Lines(Display):
    """One line per event: START, PROGRESS, ERROR, COMPLETE. A large job's PROGRESS lines are thinned out."""

    def __init__(self, write: Write, job_id: str = "") -> None:
        self._write = write
        self._job_id = job_id
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._type = ""
        self._planned = False
        self._stalled = False
        self._line_at = 0.0  # monotonic; when the last PROGRESS line was written
        self._line_percent = 0

    def start(self, document: JobDocument, progress: Progress) -> None:
        with self._lock:
            self._progress, self._job_id, self._type = progress, document.id, document.type
            self._line_at = progress.clock.monotonic()
            title = f", {document.title}" if document.title else ""
            self._say("START", f"{document.type}{title}")

    def show(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._tell_plan(snapshot)
            if snapshot.stalled and not self._stalled:
                self._say("PROGRESS", f"{_share(snapshot)} - no progress for 5 minutes")
            self._stalled = snapshot.stalled
            if self._planned and self._silent_seconds() >= HEARTBEAT_SECONDS:
                self._tell(snapshot, "")

    def ended(self, outcome: Outcome) -> None:
        with self._lock:
            if self._progress is None:
                return
            snapshot = self._progress.snapshot()
            self._tell_plan(snapshot)
            if isinstance(outcome, Failed):
                self._say("ERROR", f"{outcome.key} - {outcome.kind}: {outcome.message}")
            counts = snapshot.counts
            last = counts.ended == counts.total
            another_percent = _percent(snapshot) > self._line_percent
            if (
                counts.total <= EVERY_ITEM
                or last
                or (another_percent and self._silent_seconds() >= LINE_SECONDS)
            ):
                self._tell(
                    snapshot, f"{outcome.key} {'failed' if isinstance(outcome, Failed) else 'complete'}"
                )

    def stop(self) -> None:
        with self._lock:
            if self._progress is None:
                return
            snapshot = self._progress.snapshot()
            counts, took = snapshot.counts, duration(snapshot.elapsed_seconds)
            if counts.total and counts.ended == counts.total:
                failed = f", {counts.failed:,} failed" if counts.failed else ""
                text = f"{counts.done:,} of {counted(counts.total, self._type)} done{failed} in {took}"
                self._say("COMPLETE", text)
            else:
                self._say("PROGRESS", f"{_share(snapshot)} - stopped after {took}")
            self._progress = None

    def _tell_plan(self, snapshot: Snapshot) -> None:
        if self._planned or not snapshot.counts.total:
            return
        self._planned = True
        total_bytes = snapshot.counts.total_bytes
        sizes = f", {size(total_bytes)}" if total_bytes else ""
        planned = f"{counted(snapshot.counts.total, self._type)}{sizes} planned"
        self._say("PROGRESS", f"{_share(snapshot)} - {planned}")

    def _tell(self, snapshot: Snapshot, what: str) -> None:
        said = [what] if what else []
        if snapshot.counts.total > EVERY_ITEM or not what:
            said += _pace(snapshot)
        self._say("PROGRESS", " - ".join([_share(snapshot), ", ".join(said) or "working"]))
        self._line_percent = _percent(snapshot)
        self._line_at += self._silent_seconds()

    def _say(self, event: str, text: str) -> None:
        if self._progress is not None:
            self._write(self._progress.clock.now(), self._job_id, event, text)

    def _silent_seconds(self) -> float:
        return self._progress.clock.monotonic() - self._line_at if self._progress else 0.0


def _pace(snapshot: Snapshot) -> list[str]:
    said = []
    if snapshot.bytes_per_second:
        said.append(f"{size(snapshot.bytes_per_second)}/s")
    if snapshot.eta_seconds:
        said.append(f"{duration(snapshot.eta_seconds)} left")
    return said


def _percent(snapshot: Snapshot) -> int:
    return 100 * snapshot.counts.ended // max(1, snapshot.counts.total)


def _share(snapshot: Snapshot) -> str:
    return f"{snapshot.counts.ended}/{snapshot.counts.total} ({_percent(snapshot)}%)"


def _to_stream(stream: TextIO) -> Write:
    def write(when: datetime, job_id: str, event: str, text: str) -> None:
        stream.write(printable(f"{when:%Y-%m-%dT%H:%M:%SZ} [{job_id}] {event}: {scrub(text)}") + "\n")
        stream.flush()

    return write


def _to_log(when: datetime, job_id: str, event: str, text: str) -> None:
    if event != "ERROR":  # the engine logs each failure itself, with its attempts
        logger.info("%s: %s", event, text, extra={"job": job_id})
