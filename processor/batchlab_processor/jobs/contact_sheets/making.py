"""One participant's sheet: photos in, pages out."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from batchlab.jobs.contact_sheets import ContactSheetsParams
from batchlab.jobs.sheet_style import template_fields
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.job import Context
from batchlab_processor.jobs.contact_sheets.delivery import Standing, deliver, digest, page_keys
from batchlab_processor.jobs.contact_sheets.participant import Made, Participant, Photo, Unreadable
from batchlab_processor.storage.base import Probed

LARGEST_LOGO_BYTES = 20_000_000
# Of this way to make sheets: another number makes all of them again. 2: without the photos' metadata.
_RECIPE = 2
_PIECE_BYTES = 1024 * 1024
# A photo is bad for one of these; anything else, such as a source that is away, fails the participant, or a
# thousand sheets would be printed with grey fields because of an hour's fault.
_BAD = (Kind.MISSING, Kind.CORRUPT, Kind.TOO_LARGE)


@dataclass(frozen=True)
class Source:
    """A photo or logo that was read."""

    content: bytes
    version: str | None  # changes with the bytes; None: its server tells nothing of the kind


class SheetFactory:
    """Makes sheets, as many at once as there are processors; meanwhile others fetch their photos."""

    def __init__(self) -> None:
        self._rendering = threading.BoundedSemaphore(_processors())
        self._logos: tuple[Source, ...] | None = None  # read once for all participants
        self._lock = threading.Lock()

    def make(self, participant: Participant, ctx: Context) -> Made:
        """The participant's pages, delivered; raises ItemError."""
        standing = Standing(participant.key, ctx)
        standing.clear()
        logos = self._read_logos(ctx)
        made_of = _ingredients(participant, logos, ctx.params)
        if standing.digest is not None:
            versions = [_version_now(photo, ctx) for photo in participant.photos]
            if digest(made_of, versions) == standing.digest:
                return standing.made(participant)
        standing.check_free()
        return self._make(participant, logos, made_of, standing, ctx)

    def _make(
        self,
        participant: Participant,
        logos: Sequence[Source],
        made_of: object,
        standing: Standing,
        ctx: Context,
    ) -> Made:
        from batchlab_processor.jobs.contact_sheets.render import SheetMaker, Tile

        params: ContactSheetsParams = ctx.params
        photos, contents = participant.photos, [logo.content for logo in logos]
        versions: list[str | None] = []
        bad: dict[int, Unreadable] = {}
        with self._rendering:
            maker = SheetMaker(participant.fields, len(photos), params.style(), contents)
        for index, photo in enumerate(photos):
            try:
                source = _fetch(photo.url, params.max_photo_bytes, ctx)
                tile = Tile(source.content, photo.fields)
                versions.append(source.version)
            except ItemError as error:
                if error.kind not in _BAD or params.on_bad_photo == "fail":
                    raise
                bad[index] = Unreadable(photo=_named(photo), kind=error.kind, message=error.message)
                tile = Tile(None, photo.fields, error.message, error.kind)
                versions.append(_version_now(photo, ctx))
            with self._rendering:
                maker.add(tile)
        with self._rendering:
            rendered = maker.finish()
        for found in rendered.bad:
            name = _named(photos[found.index])
            bad.setdefault(found.index, Unreadable(photo=name, kind=found.kind, message=found.message))
        keys = page_keys(participant.key, len(rendered.pages))
        deliver(rendered.pages, keys, rendered.content_type, standing, digest(made_of, versions), ctx)
        return Made(
            id=participant.id,
            keys=keys,
            page_bytes=tuple(map(len, rendered.pages)),
            size_bytes=sum(map(len, rendered.pages)),
            content_type=rendered.content_type,
            made_at=ctx.now(),
            unreadable=tuple(problem for _, problem in sorted(bad.items())),
        )

    def _read_logos(self, ctx: Context) -> tuple[Source, ...]:
        with self._lock:
            if self._logos is None:
                self._logos = tuple(_fetch(url, LARGEST_LOGO_BYTES, ctx) for url in ctx.facts["logos"])
            return self._logos


def _ingredients(participant: Participant, logos: Sequence[Source], params: ContactSheetsParams) -> object:
    """All that a sheet shows but the versions of its photos; JSON. What no text of it names makes no difference."""
    titles, captions = template_fields(params.title), template_fields(params.caption)
    return [
        _RECIPE,
        params.style().model_dump(mode="json"),
        {name: value for name, value in participant.fields.items() if name in titles},
        [
            [photo.url, {name: value for name, value in photo.fields.items() if name in captions}]
            for photo in participant.photos
        ],
        [hashlib.sha256(logo.content).hexdigest() for logo in logos],
    ]


def _fetch(url: str, limit_bytes: int, ctx: Context) -> Source:
    """A whole source of at most `limit_bytes`; raises ItemError."""
    with ctx.storage.open(url) as reader:
        content = bytearray()
        while len(content) <= limit_bytes >= (reader.size_bytes or 0):
            piece = reader.read(_PIECE_BYTES)
            if not piece:
                break
            content += piece
            ctx.moved(len(piece))
            if ctx.stop.is_set():
                raise ItemError(Kind.NETWORK, "The run stopped before the photo had come whole.")
        else:
            raise ItemError(
                Kind.TOO_LARGE, f"{shown(url)} has more than {limit_bytes:,} bytes (max_photo_bytes)."
            )
        if not content:
            raise ItemError(Kind.CORRUPT, f"{shown(url)} is empty.")
        return Source(bytes(content), _version(reader.probed))


def _version_now(photo: Photo, ctx: Context) -> str | None:
    """What tells that the photo changed, also for one that is not there."""
    try:
        return _version(ctx.storage.probe(photo.url))
    except ItemError as error:
        if error.kind in _BAD:
            return str(error.kind)
        raise


def _version(probed: Probed) -> str | None:
    if probed.validator is not None:
        return probed.validator
    if probed.modified is not None and probed.size_bytes is not None:
        return f"{probed.modified.isoformat()} {probed.size_bytes}"
    return None


def _named(photo: Photo) -> str:
    return f"{photo.fields.get('number', '?')}: {unquote(shown(photo.url).rpartition('/')[2])}"


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
