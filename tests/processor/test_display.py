import io
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from batchlab.document import JobDocument
from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab_processor.clock import Clock
from batchlab_processor.display import Careful, Display, Lines, Quiet, choose_display
from batchlab_processor.job import Entry
from batchlab_processor.progress import Progress, Snapshot

START = datetime(2025, 1, 19, 10, 2, 15, tzinfo=UTC)
ID = "01j00000000000000000000000"
DOCUMENT = JobDocument(id=ID, type="zip-export", title="Smith", output="s3://bucket/out")


class Photo(BaseModel):
    pass


class StillClock(Clock):
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class Run:
    """A display that is fed like the engine does it."""

    def __init__(self, items: int, size_bytes: int | None = 1_000_000) -> None:
        self.clock = StillClock()
        self.progress = Progress(self.clock)
        self.stream = io.StringIO()
        self.display = choose_display(stream=self.stream)
        self.entries = [Entry(f"{number}.jpg", Photo(), size_bytes=size_bytes) for number in range(items)]
        self.display.start(DOCUMENT, self.progress)
        self.progress.plan(self.entries, {})

    def end(self, outcome: Outcome, seconds: float = 1.0) -> None:
        self.progress.started(outcome.key)
        self.progress.moved(outcome.size_bytes)
        self.clock.seconds += seconds
        self.progress.ended(outcome)
        self.display.ended(outcome)
        self.display.show(self.progress.snapshot())

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def done(number: int) -> Done:
    return Done(key=f"{number}.jpg", size_bytes=1_000_000)


def failed(number: int, message: str = "Not there (404).") -> Failed:
    return Failed(key=f"{number}.jpg", kind=Kind.MISSING, message=message)


def test_a_small_job_has_a_line_for_each_event() -> None:
    run = Run(4)
    for number in range(3):
        run.end(done(number))
    run.end(failed(3))
    run.display.stop()
    job = f"[{ID}]"
    assert run.lines == [
        f"2025-01-19T10:02:15Z {job} START: zip-export, Smith",
        f"2025-01-19T10:02:16Z {job} PROGRESS: 1/4 (25%) - 4 photos, 4.0 MB planned",
        f"2025-01-19T10:02:16Z {job} PROGRESS: 1/4 (25%) - 0.jpg complete",
        f"2025-01-19T10:02:17Z {job} PROGRESS: 2/4 (50%) - 1.jpg complete",
        f"2025-01-19T10:02:18Z {job} PROGRESS: 3/4 (75%) - 2.jpg complete",
        f"2025-01-19T10:02:19Z {job} ERROR: 3.jpg - missing: Not there (404).",
        f"2025-01-19T10:02:19Z {job} PROGRESS: 4/4 (100%) - 3.jpg failed",
        f"2025-01-19T10:02:19Z {job} COMPLETE: 3 of 4 photos done, 1 failed in 4.0 s",
    ]


def test_five_thousand_quick_photos_write_few_lines_but_every_failure() -> None:
    run = Run(5000)
    for number in range(5000):
        run.end(failed(number) if number % 500 == 7 else done(number), seconds=0.01)
    run.display.stop()
    progress = [line for line in run.lines if " PROGRESS: " in line]
    assert len(progress) <= 50 / 2 + 2, "50 seconds, one each 2 s"
    assert sum(" ERROR: " in line for line in run.lines) == 10
    assert re.search(
        r"PROGRESS: \d+/5000 \(\d+%\) - \d+\.jpg complete, \d+\.\d MB/s, \d+ s left", progress[3]
    )
    assert "5000/5000 (100%)" in progress[-1]


def test_five_thousand_slow_photos_write_a_line_each_percent() -> None:
    run = Run(5000)
    for number in range(5000):
        run.end(done(number), seconds=3)
    percents = [line for line in run.lines if "complete" in line and " PROGRESS: " in line]
    assert len(percents) <= 101 + 5000 * 3 / 60


def test_a_very_slow_job_gives_a_sign_each_minute() -> None:
    run = Run(5000)
    run.progress.started("0.jpg")
    for _ in range(30):
        run.clock.seconds += 10
        run.progress.moved(1000)
        run.display.show(run.progress.snapshot())
    signs = [line for line in run.lines if "0/5000 (0%) - 100 B/s" in line]
    assert len(signs) == 5


def test_a_stall_is_told_once() -> None:
    run = Run(4)
    for _ in range(40):
        run.clock.seconds += 10
        run.display.show(run.progress.snapshot())
    assert sum("no progress for 5 minutes" in line for line in run.lines) == 1


def test_a_run_that_is_stopped_does_not_say_complete() -> None:
    run = Run(4)
    run.end(done(0))
    run.display.stop()
    assert run.lines[-1].endswith("PROGRESS: 1/4 (25%) - stopped after 1.0 s")
    run.display.ended(done(1))
    run.display.show(run.progress.snapshot())
    assert run.lines[-1].endswith("stopped after 1.0 s"), "after stop nothing is written"


def test_lines_carry_no_token_and_cannot_command_the_terminal() -> None:
    run = Run(2)
    run.end(
        Failed(key="0.jpg", kind=Kind.AUTH, message="403: https://a:CANARY@h/x?token=CANARY\x1b[2J\nforged")
    )
    assert "CANARY" not in run.stream.getvalue() and "\x1b" not in run.stream.getvalue()
    assert all(line.startswith("2025-01-19T") for line in run.lines)


def test_stdout_is_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(2)
    display = choose_display()
    display.start(DOCUMENT, run.progress)
    run.progress.ended(done(0))
    display.ended(done(0))
    display.stop()
    captured = capsys.readouterr()
    assert captured.out == "" and "0.jpg complete" in captured.err


def test_json_logs_carry_the_events_as_records(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(2)
    caplog.set_level("INFO")
    display = choose_display(json_logs=True)
    display.start(DOCUMENT, run.progress)
    run.progress.ended(failed(0))
    display.ended(failed(0))
    said = [(record.getMessage(), getattr(record, "job", None)) for record in caplog.records]
    assert ("PROGRESS: 1/2 (50%) - 0.jpg failed", ID) in said
    assert not any(text.startswith("ERROR") for text, _ in said), "the engine logs failures itself"


def test_quiet_is_quiet() -> None:
    assert isinstance(choose_display(quiet=True), Quiet)


class Broken(Display):
    """Fails at every call, as a closed terminal does."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, document: JobDocument, progress: Progress) -> None:
        self.calls.append("start")
        raise BrokenPipeError("the terminal is gone")

    def show(self, snapshot: Snapshot) -> None:
        self.calls.append("show")
        raise ValueError

    def stop(self) -> None:
        self.calls.append("stop")
        raise BrokenPipeError


def test_a_display_that_breaks_falls_silent_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    broken, run = Broken(), Run(1)
    display = Careful(broken)
    display.start(DOCUMENT, run.progress)
    display.show(run.progress.snapshot())
    display.ended(done(0))
    display.stop()
    assert broken.calls == ["start", "stop"]
    assert "the job goes on: BrokenPipeError: the terminal is gone" in caplog.text


def test_a_closed_stderr_harms_nobody() -> None:
    run = Run(1)
    run.stream.close()
    run.end(done(0))
    run.display.stop()


def test_redirected_output_and_no_color_get_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def inner(stream: Any) -> str:
        display = choose_display(stream=stream)
        assert isinstance(display, Careful)
        return type(display.inner).__name__

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert inner(io.StringIO()) == Lines.__name__
    assert inner(Terminal()) == "Bars"
    monkeypatch.setenv("TERM", "dumb")
    assert inner(Terminal()) == "Lines"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert inner(Terminal()) == "Lines"


def test_containers_do_not_pay_for_rich() -> None:
    import subprocess

    code = "import sys, batchlab_processor.display; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
