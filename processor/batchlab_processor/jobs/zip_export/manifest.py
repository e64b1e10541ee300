"""Lists of photos kept in a file: a JSON array, JSON lines, or CSV with a header; compressed or not."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Any, TextIO

from pydantic import ValidationError

from batchlab.csv_lines import ITEM_COLUMNS, Row, read_table
from batchlab.jobs.zip_export import ItemSpec, Manifest
from batchlab.kinds import ItemError, Kind
from batchlab.problems import problems_of
from batchlab.redact import shown
from batchlab_processor.job import Context
from batchlab_processor.storage import documents
from batchlab_processor.storage.base import Reader

MOST_ITEMS = 1_000_000  # the plan of one job is held in memory, about 1 kB an item
LONGEST_LINE_CHARACTERS = 64 * 1024
PROBLEMS_SHOWN = 20
_PIECE_BYTES = 256 * 1024


def read_manifest(manifest: Manifest, ctx: Context) -> list[ItemSpec]:
    """The photos that the manifest lists, in its order.

    Raises ItemError: validation with a line for each thing wrong (at most 20), also when digest or count are
    not those given; and what storage raises.
    """
    place = shown(manifest.manifest)
    with ctx.storage.open(manifest.manifest) as reader:
        hashed = _Hashed(reader)
        try:
            with documents.text(nullcontext(hashed)) as text:
                items = _checked(_items(text), place)
        except (json.JSONDecodeError, csv.Error, RecursionError) as error:
            hashed.check(manifest, place)
            raise _invalid(place, f"cannot be read: {error}. {_EXPECTED}") from None
        except ItemError:
            hashed.check(
                manifest, place
            )  # of two things wrong, another file than was meant explains the other
            raise
        hashed.check(manifest, place)
    if manifest.count is not None and len(items) != manifest.count:
        raise _invalid(place, f"lists {len(items):,} photos, the document says {manifest.count:,}.")
    return items


_EXPECTED = "Expected a JSON array, JSON lines, or CSV with a header line that has a column url."


class _Hashed:
    """A reader that knows the SHA-256 of what went through it: of the file as it is stored."""

    def __init__(self, reader: Reader) -> None:
        self.probed = reader.probed
        self.size_bytes = reader.size_bytes
        self._reader = reader
        self._digest = hashlib.sha256()

    def readinto(self, buffer: memoryview) -> int:
        count = self._reader.readinto(buffer)
        self._digest.update(buffer[:count])
        return count

    def read(self, size: int = -1) -> bytes:
        content = self._reader.read(size)
        self._digest.update(content)
        return content

    def check(self, manifest: Manifest, place: str) -> None:
        """Raises ItemError(validation) when it is not the digest that the document says; reads to the end."""
        if manifest.sha256 is None:
            return
        while self.read(_PIECE_BYTES):
            pass
        if self._digest.hexdigest() != manifest.sha256:
            digest = self._digest.hexdigest()
            raise _invalid(place, f"has the SHA-256 {digest}, the document says {manifest.sha256}.")


def _items(text: TextIO) -> Iterator[tuple[str, Any]]:
    lines = enumerate(_lines(text), start=1)
    begin, first = next(((number, line) for number, line in lines if line.strip()), (1, ""))
    if first.lstrip().startswith("["):
        array = json.loads(first + text.read())
        yield from ((f"[{position}]", item) for position, item in enumerate(array))
    elif first.lstrip().startswith(("{", '"{', '"h', '"s')) and _is_json(first):
        yield f"line {begin}", json.loads(first)
        for number, line in lines:
            if line.strip():
                yield f"line {number}", json.loads(line)
    elif first:
        blank = [""] * (begin - 1)
        table = read_table(chain(blank, [first], (line for _, line in lines)), ITEM_COLUMNS)
        if "url" not in table.columns:
            raise csv.Error("its first line has no column url")
        for row in table.rows:
            yield f"line {row.line}", _from_row(row)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return line.lstrip().startswith("{")
    return True


def _lines(text: TextIO) -> Iterator[str]:
    """Line by line, bounded, because a small compressed file may hold one line of gigabytes."""
    while line := text.readline(LONGEST_LINE_CHARACTERS):
        if len(line) == LONGEST_LINE_CHARACTERS and not line.lstrip().startswith("["):
            raise csv.Error(f"a line has more than {LONGEST_LINE_CHARACTERS:,} characters")
        yield line


def _from_row(row: Row) -> dict[str, Any]:
    """A CSV row as an item: a size is a number."""
    item: dict[str, Any] = dict(row.cells)
    size = item.get("size")
    if isinstance(size, str) and size.isascii() and size.isdigit():
        item["size"] = int(size)
    if row.too_many:
        item["more cells than the header line has"] = True
    return item


def _checked(rows: Iterable[tuple[str, Any]], place: str) -> list[ItemSpec]:
    items: list[ItemSpec] = []
    problems: list[str] = []
    for where, row in rows:
        if len(items) >= MOST_ITEMS:
            raise ItemError(Kind.TOO_LARGE, f"{place} lists more than {MOST_ITEMS:,} photos. Split the job.")
        try:
            items.append(ItemSpec.model_validate(row))
        except ValidationError as error:
            problems += [f"{where}: {problem}" for problem in problems_of(error, ItemSpec, root="item")]
        if len(problems) >= PROBLEMS_SHOWN:
            problems = [*problems[:PROBLEMS_SHOWN], "... and perhaps more."]
            break
    if problems:
        raise _invalid(place, "\n".join(problems))
    return items


def _invalid(place: str, problem: str) -> ItemError:
    return ItemError(Kind.VALIDATION, f"The manifest {place}: {problem}")
