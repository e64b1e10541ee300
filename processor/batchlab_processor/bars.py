"""The progress of a run on a terminal: one bar for all, one line for each item in flight."""

from __future__ import annotations

import threading
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchlab.document import JobDocument
from batchlab.outcome import Failed, Outcome
from batchlab.redact import scrub
from batchlab.words import counted, duration, printable, size
from batchlab_processor.display import Display
from batchlab_processor.progress import InFlight, Progress, Snapshot

BAR_COLUMNS = 24
ITEM_BAR_COLUMNS = 12
LINES_AROUND = 4  # of the terminal's lines are left to what else is written


def bars_fit(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can redraw, and its user did not set NO_COLOR."""
    console = Console(file=stream)
    return console.is_terminal and not console.is_dumb_terminal and not console.no_color


class Bars(Display):
    """Redraws in place, no more often than `show` is called. Failures stay above the bars."""

    def __init__(self, stream: TextIO) -> None:
        # The log goes to sys.stderr; rich passes it on above the bars. stdout stays as it is: it is data.
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._type = ""
        self._lines = 0  # of items: it only grows, so that what is below does not jump

    def start(self, document: JobDocument, progress: Progress) -> None:
        with self._lock:
            self._type = document.type
            title = printable(f"{document.type} {document.id}  {document.title}".rstrip())
            self._console.print(Text(title, style="bold", no_wrap=True, overflow="ellipsis"))
            self._live = Live(
                Text("planning"),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=True,
            )
            self._live.start()

    def show(self, snapshot: Snapshot) -> None:
        with self._lock:
            if self._live is not None:
                self._live.update(self._drawn(snapshot), refresh=True)

    def ended(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            text = printable(scrub(f"{outcome.key} - {outcome.kind}: {outcome.message}"))
            with self._lock:
                if self._live is not None:
                    self._console.print(Text.assemble(("failed ", "red"), text))

    def stop(self) -> None:
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    def _drawn(self, snapshot: Snapshot) -> Group:
        if not snapshot.counts.total:
            moved = f", {size(snapshot.bytes_per_second)}/s" if snapshot.bytes_per_second else ""
            return Group(_line(f"planning, {duration(snapshot.elapsed_seconds)}{moved}"))
        room = max(0, self._console.height - LINES_AROUND)
        shown = snapshot.in_flight[:room]
        self._lines = min(room, max(self._lines, len(shown)))
        items = Table.grid(padding=(0, 1))
        items.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        items.add_column(width=ITEM_BAR_COLUMNS)
        items.add_column(no_wrap=True)
        items.expand = True
        for item in shown:
            items.add_row(f"  {printable(scrub(item.key))}", _item_bar(item), _item_figures(item))
        for _ in range(self._lines - len(shown)):
            items.add_row("", "", "")
        return Group(self._overall(snapshot), items)

    def _overall(self, snapshot: Snapshot) -> Table:
        counts = snapshot.counts
        said = [f"{counts.ended:,} of {counted(counts.total, self._type)}"]
        if counts.failed:
            said.append(f"{counts.failed:,} failed")
        total = f" of {size(counts.total_bytes)}" if counts.total_bytes else ""
        if counts.done_bytes:
            said.append(f"{size(counts.done_bytes)}{total}")
        if snapshot.stalled:
            said.append("no progress for 5 minutes")
        elif snapshot.bytes_per_second:
            said.append(f"{size(snapshot.bytes_per_second)}/s")
        if snapshot.eta_seconds is not None and counts.ended < counts.total:
            said.append(f"{duration(snapshot.eta_seconds)} left")
        line = Table.grid(padding=(0, 1))
        line.add_column(width=BAR_COLUMNS)
        line.add_column(no_wrap=True, overflow="ellipsis")
        line.add_row(ProgressBar(total=1.0, completed=snapshot.share, width=BAR_COLUMNS), ", ".join(said))
        return line


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _item_bar(item: InFlight) -> ProgressBar | str:
    if not item.total_bytes:
        return ""
    return ProgressBar(
        total=float(item.total_bytes), completed=float(item.size_bytes), width=ITEM_BAR_COLUMNS
    )


def _item_figures(item: InFlight) -> str:
    total = f" of {size(item.total_bytes)}" if item.total_bytes else ""
    moved = f"{size(item.size_bytes)}{total}, " if item.size_bytes or total else ""
    return f"{moved}{duration(item.seconds)}"
