"""Lists of photos in files of this machine: .txt, .csv, .jsonl and .json."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from batchlab.cli.places import is_url, url_of
from batchlab.csv_lines import ITEM_COLUMNS, read_table
from batchlab.errors import DocumentError
from batchlab.jobs.zip_export import ItemSpec
from batchlab.problems import problems_of

LIST_SUFFIXES = (".txt", ".csv", ".jsonl", ".json")
_PROBLEMS_SHOWN = 20
_BYTE_ORDER_MARK = "\ufeff"


def read_list(path: Path) -> list[ItemSpec]:
    """The photos that the file lists, in its order; raises DocumentError with a line for each thing wrong.

    Relative paths in it count from its own folder.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return parse_list(lines, path.suffix.lower(), path.name, path.parent)
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}.") from None


def parse_list(lines: IO[str], suffix: str, name: str, folder: Path) -> list[ItemSpec]:
    """The photos of a list of the kind that `suffix` says; `name` stands in messages."""
    rows = {".csv": _csv_rows, ".jsonl": _json_lines, ".json": _json_array}.get(suffix, _plain_lines)
    items: list[ItemSpec] = []
    problems: list[str] = []
    try:
        for place, row in rows(lines):
            try:
                items.append(ItemSpec.model_validate(_with_url(row, folder)))
            except ValidationError as error:
                problems += [f"{name}{place}: {line}" for line in problems_of(error, ItemSpec, root="item")]
            if len(problems) >= _PROBLEMS_SHOWN:
                problems = [*problems[:_PROBLEMS_SHOWN], "... and perhaps more."]
                break
    except UnicodeDecodeError:
        raise DocumentError(f"{name}: is not UTF-8. Save it as UTF-8.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise DocumentError(f"{name}: is not valid JSON: {error}.") from None
    except csv.Error as error:
        raise DocumentError(f"{name}: is not valid CSV: {error}.") from None
    if problems:
        raise DocumentError(problems)
    if not items:
        raise DocumentError(f"{name}: lists no photos.")
    return items


def _with_url(row: Any, folder: Path) -> Any:
    """The row with a URL where it has a path."""
    if isinstance(row, str):
        return url_of(row, folder)
    if isinstance(row, dict) and isinstance(row.get("url"), str) and not is_url(row["url"]):
        return {**row, "url": url_of(row["url"], folder)}
    return row


def _plain_lines(lines: IO[str]) -> Iterator[tuple[str, str]]:
    """One URL or path in a line; empty lines and lines that begin with # say nothing."""
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix(_BYTE_ORDER_MARK)
        if text and not text.startswith("#"):
            yield f":{number}", text


def _json_lines(lines: IO[str]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f":{number}", json.loads(line)


def _json_array(lines: IO[str]) -> Iterator[tuple[str, Any]]:
    array = json.load(lines)
    if not isinstance(array, list):
        raise DocumentError("expected a JSON list of photos. A job document is run by: batchlab run DOCUMENT")
    yield from ((f"[{position}]", row) for position, row in enumerate(array))


def _csv_rows(lines: IO[str]) -> Iterator[tuple[str, Any]]:
    """Each row by its header line; empty cells are absent, and a size is a number."""
    table = read_table(lines, ITEM_COLUMNS)
    if "url" not in table.columns:
        raise csv.Error(f"its first line names no column url. Columns: {', '.join(ITEM_COLUMNS)}")
    for row in table.rows:
        item: dict[str, Any] = dict(row.cells)
        if row.too_many:
            item["more cells than the first line"] = True
        size = item.get("size")
        if isinstance(size, str) and size.isascii() and size.isdigit():
            item["size"] = int(size)
        yield f":{row.line}", item
