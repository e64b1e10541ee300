"""Plain tables and colours for a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta

from batchlab.words import printable

_COLOURS = {"succeeded": 32, "partial": 33, "failed": 31, "cancelled": 33, "done": 32, "running": 36}
_GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows under their header, columns aligned, the last one cut where the terminal ends; no newline at the end."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *lines]) for column in range(len(header))]
    room = _width()
    shown = [_line(header, widths, room)]
    shown += [_coloured(_line(line, widths, room), line) for line in lines]
    return "\n".join(shown)


def wrapped(text: str) -> str:
    """The lines broken between words where the terminal ends; unchanged when stdout goes elsewhere."""
    width = _width()
    if width is None:
        return text
    return "\n".join(
        textwrap.fill(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


def state_coloured(state: str) -> str:
    """The word in its colour, when stdout is a terminal that shows colours."""
    return _painted(state, state)


def ago(moment: datetime, now: datetime) -> str:
    """ "just now", "5 min ago", "3 h ago", "12 d ago"."""
    passed = now - moment
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if passed >= length:
            return f"{passed // length} {unit} ago"
    return "just now"


def _line(cells: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    line = _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    return line if room is None or len(line) <= room else line[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _coloured(line: str, cells: Sequence[str]) -> str:
    for cell in cells:
        if cell in _COLOURS:
            return line.replace(f" {cell} ", f" {_painted(cell, cell)} ", 1)
    return line


def _painted(text: str, state: str) -> str:
    # NO_COLOR is read here: colours are wanted before any setting is asked for. See no-color.org.
    if state not in _COLOURS or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[state]}m{text}\x1b[0m"


def _width() -> int | None:
    """Columns of the terminal; None when stdout goes elsewhere and nothing may be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
