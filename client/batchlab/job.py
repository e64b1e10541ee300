"""One job, as a client holds it: a look at it that may be renewed, and what may be wished of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from batchlab.api import ItemInfo, JobInfo, Link, LogLine
from batchlab.backend import Backend
from batchlab.errors import ServiceError
from batchlab.following import Following, Timeout
from batchlab.http_asks import Look
from batchlab.http_backend import HttpBackend
from batchlab.report import Report
from batchlab.status import State, exit_code

OnProgress = Callable[[JobInfo], None]
LOG_SECONDS = 2.0  # between two looks for new lines


class Job:
    """A job that exists. `info` is what was seen last; all methods raise NotFound, Denied or ServiceError."""

    def __init__(
        self, backend: Backend, info: JobInfo, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._backend = backend
        self._look = Look(info)
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.info.type}, {self.state})"

    @property
    def id(self) -> str:
        return self._look.info.id

    @property
    def info(self) -> JobInfo:
        return self._look.info

    @property
    def state(self) -> State:
        return self._look.info.state

    @property
    def report(self) -> Report | None:
        """What came of it, without its items (see `items`); None until it has ended."""
        return self._look.info.report

    @property
    def exit_code(self) -> int:
        """As the command line has it: 0 succeeded, 1 failed, 3 partial, 4 cancelled or expired.

        Raises ValueError when the job has not ended.
        """
        return exit_code(self.state)

    def refresh(self) -> JobInfo:
        """Where it stands now."""
        self._refresh(lambda: math.inf)
        return self.info

    def _refresh(self, left: Callable[[], float]) -> None:
        # what a wish answered has no validator, so the first look after it is whole
        if isinstance(self._backend, HttpBackend):
            self._look = self._backend.look(self.id, self._look, left)
        else:
            self._look = Look(self._backend.get(self.id))

    def watch(self, timeout: Timeout = None) -> Iterator[JobInfo]:
        """Each change that is seen, the present state first, to the end. `timeout` in seconds.

        Raises WaitTimeout; the job goes on. A service that is away for less than 5 minutes is waited for.
        """
        following = Following(self.id, timeout)
        while True:
            try:
                self._refresh(following.left)
            except ServiceError as error:
                self._sleep(following.failed(error))
                continue
            if following.news(self._look):
                yield self.info
            if self.info.ended:
                return
            self._sleep(following.pause(self._look))

    def wait(self, timeout: Timeout = None, on_progress: OnProgress | None = None) -> JobInfo:
        """The job has ended. `on_progress` is called with each change. Raises WaitTimeout; the job goes on."""
        for info in self.watch(timeout):
            if on_progress is not None:
                on_progress(info)
        return self.info

    def logs(self, follow: bool = False) -> Iterator[LogLine]:
        """What its runs wrote, the oldest first; with `follow` until the job has ended."""
        cursor: str | None = None
        while True:
            page = self._backend.logs(self.id, cursor=cursor)
            yield from page.lines
            cursor = page.next
            if page.ended or (not page.lines and not follow):
                return
            if not page.lines:
                self._sleep(LOG_SECONDS)

    def items(self, status: str | None = None) -> Iterator[ItemInfo]:
        """What became of each item that has ended; `status`: done, failed or skipped only."""
        cursor: str | None = None
        while True:
            page = self._backend.items(self.id, outcome=status, cursor=cursor)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def retry(self) -> JobInfo:
        """The next generation, which takes what failed or was not started, is on its way.

        Raises DocumentError unless the job is partial, failed or cancelled.
        """
        self._look = Look(self._backend.retry(self.id))
        return self.info

    def cancel(self) -> JobInfo:
        """The job is asked to stop; one that has ended stays as it is."""
        self._look = Look(self._backend.cancel(self.id))
        return self.info

    def link(self) -> Link:
        """Where the customer gets what was delivered. Raises DocumentError when there is nothing, or no more."""
        return self._backend.link(self.id)

    def replay(self) -> int:
        """Every notification of its end is due now, and sent once more within a minute; how many there are."""
        return self._backend.replay(self.id)
