"""Lists of photos kept in a file: a JSON array, JSON lines, or CSV with a header; plain, gzip or bzip2."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from pydantic import ValidationError

from batchlab.jobs.zip_export import ItemSpec, Manifest
from batchlab.kinds import ItemError, Kind
from batchlab.problems import problems_of
from batchlab.redact import shown
from batchlab_processor.job import Context

MOST_ITEMS = 1_000_000  # the plan of one job is held in memory, about 1 kB an item
LARGEST_ARRAY_CHARACTERS = 512 * 1024 * 1024  # a JSON array is read at once; lines are not
LONGEST_LINE_CHARACTERS = 64 * 1024
PROBLEMS_SHOWN = 20
_IN_MEMORY_BYTES = 16 * 1024 * 1024
_COPY_BYTES = 1024 * 1024


def read_manifest(manifest: Manifest, ctx: Context) -> list[ItemSpec]:
    """The photos that the manifest lists, in its order.

    Raises ItemError: validation with a line for each thing wrong (at most 20), also when digest or count are
    not those given; corrupt when the compressed file is cut; and what storage raises.
    """
    place = shown(manifest.manifest)
    with _fetched(manifest, place, ctx) as content:
        try:
            items = _checked(_rows(content), place)
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
            raise ItemError(Kind.CORRUPT, f"{place} cannot be decompressed: {error}.") from None
        except UnicodeDecodeError as error:
            raise _invalid(
                place, f"is not UTF-8 at byte {error.start:,} of a block. Save it as UTF-8."
            ) from None
        except (json.JSONDecodeError, csv.Error, RecursionError) as error:
            raise _invalid(place, f"cannot be read: {error}. {_EXPECTED}") from None
    if manifest.count is not None and len(items) != manifest.count:
        raise _invalid(place, f"lists {len(items):,} photos, the document says {manifest.count:,}.")
    return items


_EXPECTED = "Expected a JSON array, JSON lines, or CSV with a header line that has a column url."


@contextmanager
def _fetched(manifest: Manifest, place: str, ctx: Context) -> Iterator[IO[bytes]]:
    """The file as it is stored, read once, so that what was hashed is what is read."""
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=ctx.scratch()) as file:
        with ctx.storage.open(manifest.manifest) as reader:
            while piece := reader.read(_COPY_BYTES):
                digest.update(piece)
                file.write(piece)
        if manifest.sha256 is not None and digest.hexdigest() != manifest.sha256:
            raise _invalid(
                place, f"has the SHA-256 {digest.hexdigest()}, the document says {manifest.sha256}."
            )
        file.seek(0)
        yield file


def _rows(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Each item as it stands there, with words for where."""
    magic = file.read(3)
    file.seek(0)
    content: Any = file
    if magic.startswith(b"\x1f\x8b"):
        content = gzip.GzipFile(fileobj=file)
    elif magic == b"BZh":
        content = bz2.BZ2File(file)
    text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    try:
        yield from _items(text)
    finally:
        text.detach()


def _items(text: io.TextIOWrapper) -> Iterator[tuple[str, Any]]:
    lines = _lines(text)
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("["):
        array = json.loads(first + text.read(LARGEST_ARRAY_CHARACTERS))
        yield from ((f"[{position}]", item) for position, item in enumerate(array))
    elif first.lstrip().startswith(("{", '"{', '"h', '"s')) and _is_json(first):
        yield "line 1", json.loads(first)
        for number, line in enumerate(lines, start=2):
            if line.strip():
                yield f"line {number}", json.loads(line)
    elif first:
        table = csv.DictReader(_joined(first, lines), strict=True)
        if "url" not in (table.fieldnames or []):
            raise csv.Error("its first line has no column url")
        for row in table:
            yield f"line {table.line_num}", _from_row(row)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return line.lstrip().startswith("{")
    return True


def _joined(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Line by line, bounded, because a small compressed file may hold one line of gigabytes."""
    while line := text.readline(LONGEST_LINE_CHARACTERS):
        if len(line) == LONGEST_LINE_CHARACTERS and not line.lstrip().startswith("["):
            raise csv.Error(f"a line has more than {LONGEST_LINE_CHARACTERS:,} characters")
        yield line


def _from_row(row: dict[str | Any, Any]) -> Any:
    """A CSV row as an item: empty cells are absent, and a size is a number."""
    item = {name: value for name, value in row.items() if value not in ("", None)}
    size = item.get("size")
    if isinstance(size, str) and size.isascii() and size.isdigit():
        item["size"] = int(size)
    if None in item:
        item["more cells than the header line has"] = item.pop(None)
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
