"""Unfinished uploads that a job recorded: in its plans, and in its ledger where one took another's place.

Each is ended by its own id, so an upload of anybody else on the same key stays. In the folder of a submitted job,
where nobody else delivers, what a killed run had begun and not yet recorded is ended, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from batchlab.document import JobDocument
from batchlab.kinds import ItemError, Kind
from batchlab.ledger import fold
from batchlab.records import JobRecords
from batchlab_processor.job import Context
from batchlab_processor.storage import WriteOptions

_NOTE = "archive"  # of the ledger: {"note": "archive", "round": 1 or 2, "volume", "upload"}
_ANY_BYTES = 8 * 1024 * 1024  # of a part: to end an upload nobody needs to know


def end_uploads(
    records: JobRecords, generations: range, ctx: Context, *, ended: bool, confirm: Callable[[], None]
) -> tuple[int, list[str]]:
    """How many were unfinished, and what could not be looked at. `confirm` raises when nothing may be changed now."""
    document, grant = records.document(), records.grant()
    exact = grant is not None and grant.exact_target
    count, left = 0, []
    for generation in generations:
        own = _url(document, f"{document.id}/g{generation}", document.typed_params.name)
        places = {own}
        for place, upload in _recorded(records, document, generation, exact=exact):
            try:
                places.add(place)
                count += _end(place, upload, ctx, confirm)
            except ItemError as error:
                if error.kind is not Kind.BLOCKED_URL:
                    raise
                left.append(error.message)
        if ended and not exact:
            for place in sorted(places):
                if f"/{document.id}/g{generation}/" in place:
                    count += _end_unrecorded(place, ctx, confirm)
    return count, left


def _recorded(
    records: JobRecords, document: JobDocument, generation: int, *, exact: bool
) -> Iterator[tuple[str, str]]:
    """URL and id of every upload that the generation began."""
    folder = f"{records.folder}/g{generation}"
    plan, second = records.store.read(f"{folder}/plan.json"), records.store.read(f"{folder}/plan-2.json")
    rounds: dict[int, dict[str, Any]] = {}
    if plan is not None:
        rounds[1] = plan.body["facts"]
    if second is not None:
        rounds[2] = second.body
    places: dict[tuple[int, int], str] = {}
    for number, facts in rounds.items():
        for volume, planned in enumerate(facts.get("volumes", ())):
            own = facts.get("shared") or f"{document.id}/g{generation}"
            places[number, volume] = url = _url(document, "" if exact else own, planned["name"])
            yield url, planned["upload"]
    if places:
        for note in fold(records.store, records.id, generation).notes:
            if note.get("note") == _NOTE and "upload" in note:
                yield places[note["round"], note["volume"]], note["upload"]


def _url(document: JobDocument, folder: str, name: str) -> str:
    """Where the engine delivers: see Context.target, which speaks of the job that runs."""
    return "/".join(part for part in (str(document.output).rstrip("/"), folder, quote(name)) if part)


def _end(url: str, upload: str, ctx: Context, confirm: Callable[[], None]) -> int:
    """1 when it was unfinished."""
    parts = ctx.storage.resume_parts(url, upload, WriteOptions(), _ANY_BYTES)
    try:
        parts.sent()
    except ItemError as error:
        if error.kind is Kind.MISSING:
            return 0
        raise
    if not ctx.params.dry_run:
        confirm()
        parts.abort()
    return 1


def _end_unrecorded(url: str, ctx: Context, confirm: Callable[[], None]) -> int:
    if ctx.params.dry_run:
        return 0  # they cannot be counted without ending them
    confirm()
    try:
        return ctx.storage.abort_uploads(url)
    except ItemError as error:
        if error.kind in (Kind.AUTH, Kind.MISSING, Kind.BLOCKED_URL):
            return 0  # who may not look leaves it to the bucket's lifecycle rule
        raise
