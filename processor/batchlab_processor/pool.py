"""Worker threads over a schedule: each takes an item, tries it until it is done or hopeless, and gives it back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol

from batchlab.errors import Denied, ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab_processor.attempts import decide
from batchlab_processor.clock import Clock
from batchlab_processor.errors import classify
from batchlab_processor.job import Entry, JobFailed
from batchlab_processor.schedule import RunStopped, Schedule, StopReason


class Watcher(Protocol):
    """Who wants to know: the progress, the log and the ledger. Called in the worker's thread."""

    def started(self, entry: Entry[Any]) -> None: ...

    def failed_attempt(
        self,
        entry: Entry[Any],
        tries: int,
        error: ItemError,
        cause: BaseException,
        delay_seconds: float | None,
    ) -> None:
        """`delay_seconds` until the next attempt; None: there is none."""
        ...

    def gave_up(self, entry: Entry[Any], failed: Failed) -> None: ...

    def ended(self, entry: Entry[Any], outcome: Outcome) -> None: ...


class Pool:
    """A context; inside it at most `workers` threads work, after it none is left.

    `work(entry, attempt)` returns (result, bytes moved); attempt is 1 or more.
    """

    def __init__(
        self,
        schedule: Schedule,
        work: Callable[[Entry[Any], int], tuple[Any, int]],
        *,
        workers: int,
        attempts: int,
        clock: Clock,
        stop: threading.Event,
        watcher: Watcher | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._schedule = schedule
        self._work = work
        self._attempts = attempts
        self._clock = clock
        self._stop = stop
        self._watcher = watcher
        self._chance = chance or random.Random()
        names = (f"worker-{number}" for number in range(1, workers + 1))
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]

    def __enter__(self) -> Pool:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._schedule.stop(StopReason.CLOSED, "The collecting side ended.")
        for thread in self._threads:
            thread.join()

    def outcomes(self) -> Iterator[Outcome]:
        return self._schedule.outcomes()

    def _run(self) -> None:
        try:
            while (entry := self._schedule.take()) is not None:
                outcome: Outcome | None = None
                try:
                    outcome = self._end(entry)
                except RunStopped as end:  # from a map inside the item: it stops this schedule too
                    self._schedule.stop(end.reason, end.message, end.error)
                except JobFailed as error:
                    self._schedule.stop(StopReason.FATAL, str(error), error)
                finally:
                    self._schedule.give(entry, outcome)
        except BaseException as error:  # noqa: BLE001  not the item's fault: the store is gone, or a defect of the engine
            self._schedule.stop(StopReason.BROKEN, str(error) or type(error).__name__, error)

    def _end(self, entry: Entry[Any]) -> Outcome | None:
        """The item's outcome, when all has been told who want to know; None: abandoned."""
        if self._watcher is None:
            return self._try(entry)
        self._watcher.started(entry)
        outcome = self._try(entry)
        if isinstance(outcome, Failed):
            self._watcher.gave_up(entry, outcome)
        if outcome is not None:
            self._watcher.ended(entry, outcome)
        return outcome

    def _try(self, entry: Entry[Any]) -> Outcome | None:
        begin = self._clock.monotonic()
        tries = 0
        while True:
            tries += 1
            try:
                result, size_bytes = self._work(entry, tries)
            # Of ServiceError and Denied: the job's own store is away, no item's fault, and the job can go on later.
            except (JobFailed, ServiceError, Denied):
                raise
            except Exception as cause:  # noqa: BLE001  whatever an author raises is a result
                error = classify(cause)
                if self._stop.is_set() and error.kind is not Kind.BUG:
                    return None  # an interrupted item is not a failed item
                decision = decide(error, tries, self._attempts, self._chance)
                delay_seconds = decision.delay_seconds if decision.action == "retry" else None
                if self._watcher:
                    self._watcher.failed_attempt(entry, tries, error, cause, delay_seconds)
                if decision.action == "pause":
                    pause = RunStopped(StopReason.PAUSE, error.message, error)
                    self._schedule.stop(pause.reason, pause.message, error)
                    return None
                if decision.action == "retry":
                    if self._schedule.wait_for_attempt(
                        decision.delay_seconds, pool_waits=decision.pool_waits
                    ):
                        continue
                    stopped = self._schedule.stopped
                    if stopped is None or stopped.reason is not StopReason.DEADLINE:
                        return None
                seconds = self._clock.monotonic() - begin
                return Failed(
                    key=entry.key, kind=error.kind, message=error.message, attempts=tries, seconds=seconds
                )
            seconds = self._clock.monotonic() - begin
            return Done(key=entry.key, result=result, attempts=tries, seconds=seconds, size_bytes=size_bytes)
