"""Jobs run as children of this process: so many at once, started again when interrupted, ended when it ends.

What waits stands in the store (pending/), not only here: whoever comes after a kill starts it again.
"""

from __future__ import annotations

import logging
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from batchlab.api import LogPage
from batchlab.backend import Hope, Runner
from batchlab.local import processor_command
from batchlab.records import JobRecords
from batchlab.service.child import is_paused, may_succeed, start_child
from batchlab.service.log_files import log_page
from batchlab.settings import Settings

AT_ONCE = 2  # jobs; each has workers of its own
LEAVE_SECONDS = 30.0  # a run that is asked to stop has left after 25
_LONGEST_PAUSE_SECONDS = 60.0
_GOOD_RUN_SECONDS = 60.0  # a run that got so far starts the count anew

logger = logging.getLogger("batchlab")


@dataclass
class _Job:
    """One generation that is to run here."""

    records: JobRecords
    generation: int
    not_before: float = 0.0  # by the monotonic clock
    tries: int = 0  # in a row, that came to nothing
    child: subprocess.Popen[bytes] | None = None
    started: float = 0.0


class Children(Runner):
    """A context; inside it a thread starts children and waits for them, after it none is left.

    `ended` is called with the id of each job whose run is over: somebody is to look at it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        at_once: int = AT_ONCE,
        ended: Callable[[str], None] = lambda job_id: None,
        pause_seconds: float = 1.0,
    ) -> None:
        self._settings = settings
        self._at_once = at_once
        self._ended = ended
        self._pause_seconds = pause_seconds
        self._command = processor_command()
        self._jobs: dict[str, _Job] = {}  # in the order in which they start
        self._given_up: set[tuple[str, int]] = set()
        self._changing = threading.Lock()
        self._events: queue.SimpleQueue[tuple[_Job, int] | None] = queue.SimpleQueue()
        self._closing = False
        # The kernel ends the children with the thread that started them: this one outlives them all.
        self._thread = threading.Thread(target=self._run, name="children", daemon=True)

    def __enter__(self) -> Children:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Asks the children to stop, and waits until they have flushed what they did."""
        self._closing = True
        self._events.put(None)
        self._thread.join(LEAVE_SECONDS)
        for job in self._running():
            assert job.child is not None
            job.child.kill()
        self._thread.join(LEAVE_SECONDS)

    # -- what a runner is asked ---------------------------------------------------------------------------------

    def start(self, records: JobRecords) -> None:
        generation = records.status().generation
        if records.pending() is None:
            records.create_pending()
        with self._changing:
            known = self._jobs.get(records.id)
            if known is None or (known.generation != generation and known.child is None):
                self._jobs[records.id] = _Job(records, generation)
            self._given_up.discard((records.id, generation))
        self._events.put(None)

    def stop(self, records: JobRecords) -> None:
        with self._changing:
            known = self._jobs.get(records.id)
            if known is not None and known.child is None:
                del self._jobs[records.id]
                known = None
        if known is None:
            records.drop_pending()

    def hope(self, records: JobRecords) -> Hope:
        generation = records.status().generation
        with self._changing:
            known = self._jobs.get(records.id)
            over = (records.id, generation) in self._given_up
        if known is not None and known.generation == generation:
            return Hope.WAITING if known.child is None else Hope.RUNNING
        if records.at_work(generation):
            return Hope.RUNNING
        return Hope.OVER if over else Hope.UNKNOWN

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage:
        return log_page(records, cursor)

    def knows(self, job_id: str) -> bool:
        """Whether the job runs here or waits."""
        with self._changing:
            return job_id in self._jobs

    @property
    def idle(self) -> bool:
        """Whether nothing runs here or waits."""
        with self._changing:
            return not self._jobs

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asked = False
        while not self._closing or self._running():
            try:
                event = self._events.get(timeout=self._seconds_until_next())
            except queue.Empty:
                event = None
            if event is not None:
                self._settle(*event)
            if not self._closing:
                self._begin_what_may()
            elif not asked:
                asked = True
                for job in self._running():
                    assert job.child is not None
                    job.child.terminate()

    def _running(self) -> list[_Job]:
        with self._changing:
            return [job for job in self._jobs.values() if job.child is not None]

    def _seconds_until_next(self) -> float | None:
        with self._changing:
            times = [job.not_before for job in self._jobs.values() if job.child is None]
            full = sum(job.child is not None for job in self._jobs.values()) >= self._at_once
        return None if full or not times else max(0.0, min(times) - time.monotonic())

    def _begin_what_may(self) -> None:
        with self._changing:
            free = self._at_once - sum(job.child is not None for job in self._jobs.values())
            now = time.monotonic()
            ready = [job for job in self._jobs.values() if job.child is None and job.not_before <= now]
        for job in ready:
            if free <= 0:
                return
            free -= self._begin(job)

    def _begin(self, job: _Job) -> bool:
        """Whether a child runs now; a job that has ended, or that somebody else works on, is none of ours."""
        records = job.records
        try:
            status = records.status()
            if status.ended or status.generation != job.generation:
                self._forget(job)
                self._ended(records.id)
                return False
            if records.at_work(job.generation):
                self._forget(job)
                return False
            child = start_child(self._command, records, self._settings)
        except Exception as error:  # noqa: BLE001  the thread must live on: with it the other children would end
            logger.warning("Job %s is started later: %s", records.id, error)
            self._again(job)
            return False
        with self._changing:
            self._jobs[records.id] = job  # also when it was cancelled this moment: the run sees that itself
            job.child, job.started = child, time.monotonic()
        threading.Thread(target=self._wait, args=(job, child), name=f"child-{child.pid}", daemon=True).start()
        logger.info("Job %s runs, as process %d.", records.id, child.pid)
        return True

    def _wait(self, job: _Job, child: subprocess.Popen[bytes]) -> None:
        self._events.put((job, child.wait()))

    def _settle(self, job: _Job, code: int) -> None:
        """What the end of a child means for its job."""
        seconds = time.monotonic() - job.started
        with self._changing:
            job.child = None
        job.tries = 0 if seconds >= _GOOD_RUN_SECONDS else job.tries
        records = job.records
        logger.info("Job %s: its run is over after %.1f s, exit code %d.", records.id, seconds, code)
        try:
            status = records.status()
            paused = is_paused(records, code)
        except Exception as error:  # noqa: BLE001  as above
            logger.warning("Job %s is looked at later: %s", records.id, error)
            self._again(job)
            return
        done = status.ended or status.generation != job.generation
        if done or paused or self._closing or code == 0:  # 0: another run has it
            self._forget(job)
        elif may_succeed(code, job.tries):
            self._again(job)
            return
        else:
            logger.error("Job %s is given up; `batchlab logs %s` shows what it said.", records.id, records.id)
            with self._changing:
                self._given_up.add((records.id, job.generation))
            self._forget(job)
        self._ended(records.id)

    def _again(self, job: _Job) -> None:
        job.tries += 1
        job.not_before = time.monotonic() + min(
            _LONGEST_PAUSE_SECONDS, self._pause_seconds * 2 ** (job.tries - 1)
        )

    def _forget(self, job: _Job) -> None:
        with self._changing:
            if self._jobs.get(job.records.id) is job:
                del self._jobs[job.records.id]
