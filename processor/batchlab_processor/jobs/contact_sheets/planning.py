"""Whose sheets are to be made, and why the others' are not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from urllib.parse import quote

from batchlab.jobs.contact_sheets import ContactSheetsParams
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed
from batchlab.redact import shown
from batchlab.urls import url_problem
from batchlab.words import printable
from batchlab_processor.databases import named_database
from batchlab_processor.job import Context, Entry, Plan
from batchlab_processor.jobs.contact_sheets import database
from batchlab_processor.jobs.contact_sheets.manifest import read_manifest
from batchlab_processor.jobs.contact_sheets.participant import Candidate, Found, Participant, Photo

INSTALL = "pip install 'batchlab-processor[sheets]'"
EXTENSIONS = {"jpeg": "jpg", "png": "png", "pdf": "pdf"}
_NOT_IN_KEYS = re.compile(r"[^\w.@+=-]+")  # what some store, shell or Windows takes for something else

# Reason -> what people read; {} is filled with the numbers that are valid, or the limit.
REASONS = {
    "not_asked_for": "not among the references asked for",
    "has_a_sheet": "has a sheet already",
    "not_verified": "is not verified",
    "no_photos": "has no photos",
    "photo_count": "has not {} photos",
    "over_the_limit": "came after the first {}",
}


def plan_sheets(ctx: Context) -> Plan[Participant]:
    """Everybody whose sheet is to be made, in the source's order; facts say why the others' are not.

    Raises ItemError: validation when nobody can be found or something is not installed, and what database and
    storage raise.
    """
    params: ContactSheetsParams = ctx.params
    if find_spec("pyvips") is None:
        raise ItemError(Kind.VALIDATION, f"contact-sheets needs pyvips. Install it: {INSTALL}")
    found = _find(params, ctx)
    logos = [_url(logo, params) for logo in params.logos or found.logos]
    for logo, answer in ctx.map(ctx.storage.probe, logos):
        if isinstance(answer, Failed):
            raise ItemError(answer.kind, f"A sponsor's logo, {shown(logo)}, cannot be had: {answer.message}")
    _check_references(found.candidates)
    left_out: dict[str, list[str]] = {}
    entries: list[Entry[Participant] | Failed] = []
    wanted = set(params.only_participant_refs or ())
    keys: dict[str, str] = {}
    for candidate in found.candidates:
        reason = _reason(candidate, params, wanted, len(entries))
        if reason is not None:
            left_out.setdefault(reason, []).append(candidate.reference)
        else:
            entries.append(_entry(candidate, params, keys))
    strangers = sorted(wanted - {candidate.reference for candidate in found.candidates})
    facts = {
        "participants": len(found.candidates),
        "left_out": left_out,
        "unknown": strangers,
        "logos": logos,
    }
    return Plan(entries, facts)


def preview(plan: Plan[Participant], params_reasons: Mapping[str, str]) -> Iterator[str]:
    """A dry run's lines: who would be made, and why the others not. References come from strangers."""
    return map(printable, _preview(plan, params_reasons))


def _preview(plan: Plan[Participant], params_reasons: Mapping[str, str]) -> Iterator[str]:
    made = [entry for entry in plan.entries if isinstance(entry, Entry)]
    facts = plan.facts
    photos = sum(len(entry.item.photos) for entry in made)
    yield f"{facts['participants']:,} participants found; {len(made):,} sheets of {photos:,} photos would be made."
    for entry in made:
        yield f"  {entry.key}  {len(entry.item.photos)} photos -> {entry.item.key}"
    for reason, references in facts["left_out"].items():
        yield f"{len(references):,} left out: {params_reasons.get(reason, reason)}"
        yield f"  {', '.join(references)}"
    if facts["unknown"]:
        yield f"{len(facts['unknown']):,} asked for and not found"
        yield f"  {', '.join(facts['unknown'])}"
    for failed in plan.entries:
        if isinstance(failed, Failed):
            yield f"  {failed.key}  cannot be made: {failed.message}"


def reasons(params: ContactSheetsParams) -> dict[str, str]:
    """Why somebody is left out of a job with these params, in words."""
    counts = " or ".join(map(str, params.valid_photo_counts))
    filled = {"photo_count": counts, "over_the_limit": str(params.limit_participants)}
    return {name: text.format(filled.get(name, "")) for name, text in REASONS.items()}


def _find(params: ContactSheetsParams, ctx: Context) -> Found:
    if params.manifest is not None:
        return read_manifest(params.manifest, params.domain, ctx)
    assert params.database is not None
    statements = database.statements(ctx.entry, params.query)
    return database.find(named_database(ctx.entry, params.database), statements, params.domain)


def _check_references(candidates: Sequence[Candidate]) -> None:
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.reference in seen:
            raise ItemError(
                Kind.VALIDATION,
                f"Two participants have the reference {candidate.reference!r}. Give each their own.",
            )
        seen.add(candidate.reference)


def _reason(candidate: Candidate, params: ContactSheetsParams, wanted: set[str], made: int) -> str | None:
    """Why this participant's sheet is not to be made, as a key of REASONS; None: it is."""
    if params.only_participant_refs is not None and candidate.reference not in wanted:
        return "not_asked_for"
    if params.exclude_existing_contact_sheets and candidate.sheet:
        return "has_a_sheet"
    if params.only_verified_participants and not candidate.verified:
        return "not_verified"
    if not candidate.photos and (params.require_submissions or params.require_valid_photo_count):
        return "no_photos"
    if params.require_valid_photo_count and len(candidate.photos) not in params.valid_photo_counts:
        return "photo_count"
    if params.limit_participants is not None and made >= params.limit_participants:
        return "over_the_limit"
    return None


def _entry(
    candidate: Candidate, params: ContactSheetsParams, keys: dict[str, str]
) -> Entry[Participant] | Failed:
    """`keys`: whose each key is, so far."""
    key = sheet_key(params, candidate.reference)
    owner = keys.setdefault(key.casefold(), candidate.reference)
    if owner != candidate.reference:
        problem = (
            f"Their sheet would have the key of participant {owner}: {key}. Change params.key or a reference."
        )
        return Failed(key=candidate.reference, kind=Kind.VALIDATION, message=problem)
    try:
        photos = tuple(
            Photo(
                url=_url(photo.get("url") or photo.get("key") or "", params),
                fields={"number": str(number), **_caption(photo)},
            )
            for number, photo in enumerate(candidate.photos, 1)
        )
    except ItemError as error:
        return Failed(key=candidate.reference, kind=error.kind, message=error.message)
    fields = dict(candidate.fields)
    return Entry(
        candidate.reference,
        Participant(reference=candidate.reference, key=key, fields=fields, photos=photos, id=candidate.id),
    )


def sheet_key(params: ContactSheetsParams, reference: str) -> str:
    """The key of a participant's first page, below the output."""
    extension = EXTENSIONS[params.format]
    return params.key.format(domain=_part(params.domain), reference=_part(reference), ext=extension)


def _part(text: str) -> str:
    """`text` as a part of a key: nothing in it makes a folder or leaves one."""
    part = _NOT_IN_KEYS.sub("_", unicodedata.normalize("NFC", text)).strip(".")
    return part[:120] or "_"


def _caption(photo: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in photo.items() if name not in ("url", "key") and value}


def _url(text: str, params: ContactSheetsParams) -> str:
    """The URL of a photo or logo that is named by URL or by a path below `photos`; raises ItemError(validation)."""
    if "://" in text:
        problem = url_problem(text)
        if problem:
            raise ItemError(Kind.VALIDATION, problem)
        return text
    if not params.photos_root:
        raise ItemError(
            Kind.VALIDATION,
            f"{text!r} is no URL. Name in params.photos what such keys are below, as in s3://bucket/uploads.",
        )
    path = text.removeprefix("./").lstrip("/")
    if not path:
        raise ItemError(Kind.VALIDATION, "A photo has neither url nor key.")
    return f"{params.photos_root.rstrip('/')}/{quote(path)}"
