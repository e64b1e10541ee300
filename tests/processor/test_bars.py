"""The bars on a real terminal: a pseudo-terminal whose bytes are looked at."""

import os
import pty
import sys
import time
from collections.abc import Iterator
from typing import TextIO

import pytest
from pydantic import BaseModel

from batchlab.document import JobDocument
from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed
from batchlab_processor.bars import Bars
from batchlab_processor.clock import Clock
from batchlab_processor.job import Entry
from batchlab_processor.progress import Progress

DOCUMENT = JobDocument(id="01j00000000000000000000000", type="zip-export", title="Smith", output="s3://b/out")


class Photo(BaseModel):
    pass


class Screen:
    """The terminal's other end."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self.text = ""

    def read(self) -> str:
        """What was written since the last look."""
        self.stream.flush()
        time.sleep(0.02)
        new = b""
        try:
            while chunk := os.read(self.master, 65536):
                new += chunk
        except BlockingIOError:
            pass
        return new.decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "24")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    screen = Screen()
    yield screen
    screen.stream.close()
    os.close(screen.master)


@pytest.fixture
def progress() -> Progress:
    progress = Progress(Clock())
    progress.plan([Entry(f"{number}.jpg", Photo(), size_bytes=4_000_000) for number in range(20)], {})
    return progress


def test_counts_bytes_and_items_in_flight_are_seen(screen: Screen, progress: Progress) -> None:
    bars = Bars(screen.stream)
    bars.start(DOCUMENT, progress)
    progress.ended(Done(key="0.jpg", size_bytes=4_000_000))
    progress.started("1.jpg")
    progress.moved(1_000_000)
    bars.show(progress.snapshot())
    seen = screen.read()
    bars.stop()
    assert "zip-export 01j00000000000000000000000  Smith" in seen
    assert "1 of 20 photos, 5.0 MB of 80.0 MB" in seen
    assert "1.jpg" in seen and "1.0 MB of 4.0 MB" in seen


def test_failures_stay_above_the_bars_without_what_a_terminal_obeys(
    screen: Screen, progress: Progress
) -> None:
    bars = Bars(screen.stream)
    bars.start(DOCUMENT, progress)
    bars.show(progress.snapshot())
    screen.read()
    message = "[red]no[/red] \x1b[2J https://h/x?token=CANARY"
    bars.ended(Failed(key="2.jpg", kind=Kind.MISSING, message=message))
    seen = screen.read()
    bars.stop()
    assert "2.jpg - missing: [red]no[/red]" in seen
    assert "\x1b[2J" not in seen and "CANARY" not in seen


def test_what_others_write_to_stderr_does_not_break_the_bars(
    screen: Screen, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen.stream)
    bars = Bars(screen.stream)
    bars.start(DOCUMENT, progress)
    bars.show(progress.snapshot())
    sys.stderr.write("a log line\n")
    bars.show(progress.snapshot())
    seen = screen.read()
    bars.stop()
    assert "a log line" in seen
    assert seen.index("a log line") < seen.rindex("0 of 20 photos"), "drawn again below it"
    assert sys.stderr is screen.stream


def test_the_terminal_is_given_back(screen: Screen, progress: Progress) -> None:
    bars = Bars(screen.stream)
    bars.start(DOCUMENT, progress)
    bars.show(progress.snapshot())
    bars.stop()
    bars.stop()
    bars.show(progress.snapshot())
    seen = screen.read()
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "the cursor is shown again"


def test_many_workers_leave_room_on_a_small_terminal(
    screen: Screen, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "10")
    bars = Bars(screen.stream)
    bars.start(DOCUMENT, progress)
    bars._lines = 64
    bars.show(progress.snapshot())
    seen = screen.read()
    bars.stop()
    assert seen.count("\n") <= 10


def test_planning_shows_that_something_goes_on(screen: Screen) -> None:
    bars, fresh = Bars(screen.stream), Progress(Clock())
    bars.start(DOCUMENT, fresh)
    bars.show(fresh.snapshot())
    seen = screen.read()
    bars.stop()
    assert "planning, 0.0 s" in seen
