"""CSV as spreadsheets write it: for lists on this machine and for manifests."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

ITEM_COLUMNS = ("url", "name", "id", "size", "takenAt")  # of lists of photos


@dataclass(frozen=True)
class Row:
    """A row below the header line, by its words."""

    line: int  # of the file, from 1, where the row ends
    cells: dict[str, str]  # without empty ones
    too_many: bool  # it has more cells than the header line


@dataclass(frozen=True)
class Table:
    """Rows that hold nothing at all are left out."""

    columns: tuple[str, ...]  # known ones as they are known, others as they stand there
    rows: Iterator[Row]


def read_table(lines: Iterable[str], known: Collection[str]) -> Table:
    """The table below the first line that is not blank; raises csv.Error, also when a known column is there twice.

    The separator is the one that the header line shows: Excel writes ";" where a comma is the decimal point.
    Known columns are found in any case, and with blanks around them.
    """
    rest, before = iter(lines), 0
    header = ""
    for header in rest:
        if header.strip():
            break
        before += 1
    separator = max(",;\t", key=header.count)
    reader = csv.reader(chain([header], rest), delimiter=separator, strict=True)
    spelt = {name.lower(): name for name in known}
    columns = tuple(spelt.get(name.strip().lower(), name.strip()) for name in next(reader, []))
    for name in known:
        if columns.count(name) > 1:
            raise csv.Error(f"its header line has the column {name} twice")
    return Table(
        columns, (row for cells in reader if (row := _row(cells, columns, reader.line_num + before)))
    )


def _row(cells: list[str], columns: tuple[str, ...], line: int) -> Row | None:
    if not any(cell.strip() for cell in cells):
        return None
    named = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    return Row(line, named, any(cells[len(columns) :]))
