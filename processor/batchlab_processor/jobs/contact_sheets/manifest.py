"""Participants from a file, for those who have no such database: JSON, JSON lines, or CSV with a row for each photo."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from batchlab.csv_lines import read_table
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.job import Context
from batchlab_processor.jobs.contact_sheets.participant import Candidate, Found, texts

LARGEST_BYTES = 128 * 1024 * 1024  # decompressed: a million photos
_PHOTO_COLUMNS = ("url", "key", "number", "topic", "caption")  # of a CSV; all others are the participant's
_COLUMNS = (
    *_PHOTO_COLUMNS,
    "reference",
    "verified",
)  # found in any case; others are placeholders as they stand
_EXPECTED = "Expected a JSON array, JSON lines, or CSV with a header line that has reference and url."


def read_manifest(url: str, domain: str, ctx: Context) -> Found:
    """Everybody whom the manifest lists, in its order; raises ItemError(validation) that names the line."""
    content = ctx.storage.read_document(url, limit_bytes=LARGEST_BYTES)
    place = shown(url)
    try:
        text = content.decode("utf-8-sig")
        rows, logos = _rows(text)
        found = [_candidate(where, row, domain, place) for where, row in rows]
    except UnicodeDecodeError:
        raise _invalid(place, "it is not UTF-8 text. Save it as UTF-8.") from None
    except (json.JSONDecodeError, csv.Error, RecursionError) as error:
        raise _invalid(place, f"it cannot be read: {error}. {_EXPECTED}") from None
    if not found:
        raise _invalid(place, "it lists no participants.")
    return Found(tuple(found), logos)


def _rows(text: str) -> tuple[list[tuple[str, Any]], tuple[str, ...]]:
    begin = text.lstrip()
    if begin.startswith("["):
        return [(f"[{at}]", row) for at, row in enumerate(json.loads(text))], ()
    if not begin.startswith("{"):
        return list(_from_csv(text)), ()
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        lines = [(f"line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [(where, json.loads(line)) for where, line in lines], ()
    if "participants" not in whole:
        return [("line 1", whole)], ()
    people, logos = whole["participants"], whole.get("sponsors", [])
    if not isinstance(people, list) or not isinstance(logos, list):
        raise csv.Error("participants and sponsors are lists")
    return [(f"participants[{at}]", row) for at, row in enumerate(people)], tuple(str(logo) for logo in logos)


def _from_csv(text: str) -> Iterator[tuple[str, Any]]:
    table = read_table(io.StringIO(text, newline=""), _COLUMNS)
    if "reference" not in table.columns or not {"url", "key"} & set(table.columns):
        raise csv.Error("its first line has no column reference, or none of url and key")
    people: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in table.rows:
        if row.too_many:
            raise csv.Error(f"line {row.line} has more cells than the header line")
        own = {name: value for name, value in row.cells.items() if name not in _PHOTO_COLUMNS}
        photo = {name: value for name, value in row.cells.items() if name in _PHOTO_COLUMNS}
        _, person = people.setdefault(
            row.cells.get("reference", ""), (f"line {row.line}", {**own, "photos": []})
        )
        if "url" in photo or "key" in photo:
            person["photos"].append(photo)
    yield from people.values()


def _candidate(where: str, row: Any, domain: str, place: str) -> Candidate:
    if not isinstance(row, dict):
        raise _invalid(place, f"{where} is no object with reference and photos.")
    reference = str(row.get("reference") or "").strip()
    photos = row.get("photos", [])
    if not reference:
        raise _invalid(place, f"{where} has no reference.")
    if not isinstance(photos, list):
        raise _invalid(place, f"{where}: photos is a list.")
    fields = {name: value for name, value in row.items() if name not in ("photos", "verified")}
    for name, value in fields.items():
        if isinstance(value, list | dict):
            raise _invalid(place, f"{where}: {name} is no text.")
    return Candidate(
        reference=reference,
        fields={"domain": domain, **texts(fields.items()), "reference": reference},
        photos=tuple(_photo(photo, where, place) for photo in photos),
        verified=str(row.get("verified", "")).lower() in ("true", "1", "yes"),
    )


def _photo(value: Any, where: str, place: str) -> Mapping[str, str]:
    if isinstance(value, str) and value:
        return {"url": value}
    if isinstance(value, dict) and (value.get("url") or value.get("key")):
        return texts(value.items())
    raise _invalid(place, f"{where}: a photo is a URL, a path, or an object with url or key.")


def _invalid(place: str, problem: str) -> ItemError:
    return ItemError(Kind.VALIDATION, f"The manifest {place}: {problem}")
