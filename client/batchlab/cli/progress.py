"""How far a job is, on stderr: a line that is drawn again on a terminal, else one for each tenth and each minute."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from batchlab.streams import say
from batchlab.words import counted, duration, printable, size

if TYPE_CHECKING:
    from batchlab.api import JobInfo

HEARTBEAT_SECONDS = 60.0
_STEPS = 10  # lines for a job that comes along well


class Progress(Protocol):
    def show(self, info: JobInfo) -> None: ...


@contextlib.contextmanager
def choose_progress(*, compact: bool, quiet: bool) -> Iterator[Progress]:
    """A live line on a terminal that can redraw and whose user did not set NO_COLOR; else lines; or nothing."""
    if quiet:
        yield _Nothing()
    elif compact or not sys.stderr.isatty():
        yield Lines(compact=compact)
    else:
        from rich.console import Console

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        if console.is_dumb_terminal or console.no_color:
            yield Lines()
        else:
            with console.status("") as status:
                yield _Live(status.update)


def line_of(info: JobInfo) -> str:
    """ "running: 120 of 5,000 photos (2 %), 3 failed, 480.0 MB, about 12 min 5 s left"."""
    counts = info.counts
    said = "stalled, no progress for 5 minutes" if info.stalled else str(info.state)
    if not counts.total:
        return said
    parts = [
        f"{counts.ended:,} of {counted(counts.total, info.type)} ({100 * counts.ended // counts.total} %)"
    ]
    parts += [f"{counts.failed:,} failed"] if counts.failed else []
    parts += [size(counts.done_bytes)] if counts.done_bytes else []
    if not info.ended and (left := _seconds_left(info) or 0.0) >= 1:
        parts.append(f"about {duration(left)} left")
    return f"{said}: {', '.join(parts)}"


class Lines:
    """A line when the state changes or an item fails, and unless `compact` for each tenth and each minute."""

    def __init__(
        self,
        *,
        compact: bool = False,
        write: Callable[[str], None] = say,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compact = compact
        self._write = write
        self._monotonic = monotonic
        self._said: tuple[object, ...] = ()
        self._step = -1
        self._at = 0.0

    def show(self, info: JobInfo) -> None:
        state = (info.state, info.generation, info.stalled, info.counts.failed)
        step = _STEPS * info.counts.ended // info.counts.total if info.counts.total else 0
        silent = self._monotonic() - self._at >= HEARTBEAT_SECONDS
        if state != self._said or (not self._compact and (step != self._step or silent)):
            self._write(f"{datetime.now().astimezone():%H:%M:%S} {line_of(info)}")
            self._said, self._step, self._at = state, step, self._monotonic()


class _Live:
    def __init__(self, update: Callable[[str], None]) -> None:
        self._update = update

    def show(self, info: JobInfo) -> None:
        self._update(printable(line_of(info)))


class _Nothing:
    def show(self, info: JobInfo) -> None:
        """For --quiet and --json."""


def _seconds_left(info: JobInfo) -> float | None:
    """As long again as what is done took, by bytes where they are known."""
    counts = info.counts
    if info.started_at is None or info.last_progress_at is None:
        return None
    passed = (info.last_progress_at - info.started_at).total_seconds()
    done, total = (
        (counts.done_bytes, counts.total_bytes) if counts.total_bytes else (counts.ended, counts.total)
    )
    if passed <= 0 or not done or not total or done >= total:
        return None
    return passed * (total - done) / done
