"""From a document's params to a plan: all photos found, looked at, named and dated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import unquote

from batchlab.jobs.zip_export import ItemSpec, Manifest, ZipExportParams, position_key
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed
from batchlab.redact import shown
from batchlab_processor.job import Context, Entry, Plan
from batchlab_processor.jobs.zip_export.beginning import delivered_before
from batchlab_processor.jobs.zip_export.contents import picture_extension
from batchlab_processor.jobs.zip_export.dates import member_date, submitted_at
from batchlab_processor.jobs.zip_export.fetching import READ_BYTES
from batchlab_processor.jobs.zip_export.manifest import read_manifest
from batchlab_processor.jobs.zip_export.names import extension, member_names, name_from_url
from batchlab_processor.jobs.zip_export.photo import Photo
from batchlab_processor.jobs.zip_export.receive import crc32
from batchlab_processor.jobs.zip_export.sink import Sink
from batchlab_processor.storage.base import Probed

REPEATED_SHOWN = 10


@dataclass(frozen=True)
class Wanted:
    """One photo as it was asked for."""

    url: str
    name: str | None = None  # None: the URL's
    id: str | None = None
    size_bytes: int | None = None  # as somebody told it: for the progress only
    taken_at: datetime | None = None
    modified: datetime | None = None  # as a listing told it

    @classmethod
    def of(cls, spec: ItemSpec) -> Wanted:
        return cls(spec.url, spec.name, spec.id, spec.size, spec.taken_at)


def plan_export(sink: Sink, ctx: Context) -> Plan[Photo]:
    """The photos in the order asked for; those that cannot be reached stay in the plan, as Failed.

    Raises ItemError(validation) when there are no photos, or two with one id, and what the sink raises.
    """
    wanted = list(_wanted(ctx))
    if not wanted:
        raise ItemError(Kind.VALIDATION, "There are no photos to export: the list or the folder is empty.")
    keys = _keys(wanted)
    # A retry takes what was delivered from there, and looks only for what was missing.
    before = delivered_before(ctx) if sink.needs_sizes else {}
    looked = ctx.map(
        lambda pair: before.get(pair[0]) or _look(pair[1].url, sink, ctx),
        list(zip(keys, wanted, strict=True)),
    )
    found = [answer for _, answer in looked]
    names = member_names(_name(each, answer) for each, answer in zip(wanted, found, strict=True))
    submitted = submitted_at(str(ctx.document.id), ctx.now())
    entries: list[Entry[Photo] | Failed] = []
    photos: list[Photo] = []
    for key, name, each, answer in zip(keys, names, wanted, found, strict=True):
        if isinstance(answer, Failed):
            entries.append(answer.model_copy(update={"key": key}))
            continue
        photo = _photo(name, each, answer, submitted)
        photos.append(photo)
        entries.append(Entry(key, photo, size_bytes=photo.size_bytes or each.size_bytes))
    table = {key: [name, each.id or ""] for key, name, each in zip(keys, names, wanted, strict=True)}
    facts = {"submitted": submitted.isoformat(), "photos": table}
    return Plan(entries, facts | sink.plan(photos, len(wanted), ctx))


def _look(url: str, sink: Sink, ctx: Context) -> Probed:
    """What is known of a photo; its length and CRC-32 too when the sink needs them and only reading tells."""
    probed = ctx.storage.probe(url)
    if probed.size_bytes == 0:
        raise ItemError(Kind.CORRUPT, f"{shown(url)} is empty.")
    if probed.size_bytes is not None or not sink.needs_sizes:
        return probed
    crc = size_bytes = 0
    room = memoryview(bytearray(READ_BYTES))
    with ctx.storage.open(url, validator=probed.validator) as reader:
        while count := reader.readinto(room):
            crc = crc32(room[:count], crc)
            size_bytes += count
            if ctx.stop.is_set():
                raise ItemError(Kind.NETWORK, "The run stopped while a photo of unknown length was measured.")
    return replace(probed, size_bytes=size_bytes, crc32=crc)


def _wanted(ctx: Context) -> Iterator[Wanted]:
    params: ZipExportParams = ctx.params
    for entry in params.items:
        if isinstance(entry, ItemSpec):
            yield Wanted.of(entry)
        elif isinstance(entry, Manifest):
            yield from map(Wanted.of, read_manifest(entry, ctx))
        else:
            yield from _listed(entry.prefix, ctx)


def _listed(prefix: str, ctx: Context) -> Iterator[Wanted]:
    """What is in a folder and below it, named by its path from there; never what a sibling "folder2" holds."""
    folder = prefix.rstrip("/") + "/"
    above = unquote(folder)
    for listed in ctx.storage.list(folder):
        if listed.url.endswith("/"):  # some tools mark folders by an empty object
            continue
        path = unquote(listed.url)
        # A folder that is reached by a symbolic link is listed under its real path.
        name = path.removeprefix(above) if path.startswith(above) else None
        yield Wanted(listed.url, name, size_bytes=listed.size_bytes, modified=listed.modified)


def _keys(wanted: Sequence[Wanted]) -> list[str]:
    """The id, else the position in the whole list; raises ItemError(validation) when two are the same."""
    keys = [each.id or position_key(position, len(wanted)) for position, each in enumerate(wanted)]
    seen: set[str] = set()
    repeated = [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    if repeated:
        shown_keys = ", ".join(repr(key) for key in repeated[:REPEATED_SHOWN])
        raise ItemError(Kind.VALIDATION, f"Two photos have one id: {shown_keys}. Give each its own, or none.")
    return keys


def _name(wanted: Wanted, found: Probed | Photo | Failed) -> str:
    """The name asked for, else the URL's, with an extension when the first bytes tell one."""
    if isinstance(found, Photo):
        return found.name
    if wanted.name is not None:
        return wanted.name
    name = name_from_url(wanted.url)
    if isinstance(found, Probed) and not extension(name):
        name += picture_extension(found.head)
    return name


def _photo(name: str, wanted: Wanted, found: Probed | Photo, submitted: datetime) -> Photo:
    if isinstance(found, Photo):
        there = found.delivered
        if there is not None and name != found.name:
            there = there.model_copy(update={"header": False})
        return found.model_copy(update={"url": wanted.url, "name": name, "delivered": there})
    return Photo(
        url=wanted.url,
        name=name,
        date=member_date(wanted.taken_at, found.modified or wanted.modified, submitted),
        size_bytes=found.size_bytes,
        validator=found.validator,
        crc32=found.crc32,
    )
