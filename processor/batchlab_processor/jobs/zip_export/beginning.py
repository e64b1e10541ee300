"""Before the first download of a planned archive: how many volumes, which upload, and whether it exists already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from batchlab.jobs.zip_export import ZipExportParams
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab.report import Artifact
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export.archive import CONTENT_TYPE
from batchlab_processor.jobs.zip_export.directory import Found, read_directory
from batchlab_processor.jobs.zip_export.layout import SMALLEST_PART_BYTES, Shape
from batchlab_processor.jobs.zip_export.missing import MISSING_BYTES
from batchlab_processor.jobs.zip_export.photo import Delivered, Photo
from batchlab_processor.jobs.zip_export.volume import layout_of, options_for, target
from batchlab_processor.jobs.zip_export.volumes import split
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.parts import Parts

_NOT_THERE = (Kind.MISSING, Kind.AUTH, Kind.CORRUPT, Kind.CHANGED)


def begin(photos: list[Photo], ctx: Context, *, asked: int) -> dict[str, Any]:
    """What later verbs must know: the volumes and their uploads, which have begun; or the archives to reuse.

    `asked`: how many photos the job is to deliver, those that cannot be had included. Raises ItemError: validation
    when a target is taken, too_large when a photo fits no volume.
    """
    params: ZipExportParams = ctx.params
    parts = _volumes(photos, params.max_archive_bytes, asked)
    layouts = [layout_of(part) for part in parts]
    part_bytes = max((layout.part_bytes for layout in layouts), default=SMALLEST_PART_BYTES)
    names = [volume_name(params.name, number, len(parts)) for number in range(len(parts))]
    facts: dict[str, Any] = {
        "part_bytes": part_bytes,
        "archive_bytes": sum(layout.end for layout in layouts),
        "volumes": [],
    }
    if params.reuse and len(photos) == asked:
        shared = {"shared": f"reuse/{content_digest(photos, part_bytes)}"}
        urls = [target(ctx, name, shared) for name in names]
        there = [archive_at(url, ctx) for url in urls]
        if all(lists(archive, part) for archive, part in zip(there, parts, strict=True)):
            artifacts = [
                artifact(name, url, archive.size_bytes, len(part))
                for name, url, part, archive in zip(names, urls, parts, there, strict=True)
                if archive is not None
            ]
            return facts | shared | {"reused": [each.model_dump(mode="json") for each in artifacts]}
        if not any(there):  # else something else stands there: this job delivers to a folder of its own
            facts |= shared
    begun: list[Parts] = []
    try:
        for number, (part, name) in enumerate(zip(parts, names, strict=True)):
            begun.append(_begin(part, name, part_bytes, number, facts, ctx))
            facts["volumes"].append({"name": name, "upload": begun[-1].id, "count": len(part)})
    except BaseException:
        for upload in begun:
            upload.abort()
        raise
    return facts


def abort(facts: dict[str, Any], ctx: Context) -> None:
    """The uploads of what `begin` returned are gone."""
    for volume in facts["volumes"]:
        url = target(ctx, volume["name"], facts)
        ctx.storage.resume_parts(url, volume["upload"], WriteOptions(), facts["part_bytes"]).abort()


def _volumes(photos: list[Photo], max_archive_bytes: int | None, asked: int) -> list[list[Photo]]:
    if not photos:
        return []
    if max_archive_bytes is None:
        return [photos]
    shapes = [Shape(photo.name, photo.size_bytes or 0, photo.date) for photo in photos]
    ranges = split(shapes, max_archive_bytes, MISSING_BYTES * asked)
    return [photos[members.start : members.stop] for members in ranges]


def _begin(
    photos: list[Photo], name: str, part_bytes: int, number: int, facts: dict[str, Any], ctx: Context
) -> Parts:
    """An upload that has begun; strays of dead runs on the same key are gone."""
    url = target(ctx, name, facts)
    if "shared" not in facts:  # another job may be at work on a shared one
        ctx.storage.abort_uploads(url)
    options = options_for(ctx, url, layout_of(photos, part_bytes), photos, number)
    return ctx.storage.begin_parts(url, options, part_bytes)


def volume_name(name: str, number: int, count: int) -> str:
    """album.zip; of several album-1.zip, album-2.zip and so on."""
    if count == 1:
        return name
    path = PurePosixPath(name)
    return f"{path.stem}-{number + 1}{path.suffix}"


def content_digest(photos: Sequence[Photo], part_bytes: int) -> str:
    """By which an archive of the very same photos is found again: names, dates, sizes and the sources' versions.

    A source that tells no version is never the same one again.
    """
    digest = hashlib.sha256(layout_of(list(photos), part_bytes).digest().encode())
    for photo in photos:
        digest.update(f"{shown(photo.url)} {photo.validator} {photo.crc32}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Archive:
    """A ZIP of ours that was delivered."""

    url: str
    size_bytes: int
    validator: str | None
    members: list[Found]


def archive_at(url: str, ctx: Context) -> Archive | None:
    """What was delivered there; None when it is not there, or not a ZIP that the planned sink made."""
    try:
        probed = ctx.storage.probe(url, delivered=True)
        if probed.size_bytes is None:
            return None

        def read(start: int, end: int) -> bytes:
            with ctx.storage.open(
                url, start=start, end=end, validator=probed.validator, delivered=True
            ) as reader:
                return reader.read()

        members = read_directory(read, probed.size_bytes)
    except ItemError as error:
        if error.kind in _NOT_THERE:
            return None
        raise
    return Archive(url, probed.size_bytes, probed.validator, members)


def lists(archive: Archive | None, photos: Sequence[Photo]) -> bool:
    """Whether the archive holds these photos and nothing else."""
    return archive is not None and [(found.name, found.size_bytes) for found in archive.members] == [
        (photo.name, photo.size_bytes) for photo in photos
    ]


def delivered_before(ctx: Context) -> dict[str, Photo]:
    """By key: the photos that stand in the archives of an earlier generation, to be taken from there."""
    earlier = ctx.earlier()
    if earlier is None:
        return {}
    archives = [archive_at(artifact.url, ctx) for artifact in earlier.report.artifacts]
    by_name = {found.name: (found, archive) for archive in archives if archive for found in archive.members}
    photos = {}
    for key, (name, _) in earlier.facts.get("photos", {}).items():
        if name in by_name:
            found, archive = by_name[name]
            there = Delivered(url=archive.url, validator=archive.validator, start=found.data_offset)
            photos[key] = Photo(
                url=archive.url,
                name=name,
                date=found.date,
                size_bytes=found.size_bytes,
                crc32=found.crc32,
                delivered=there,
            )
    return photos


def artifact(name: str, url: str, size_bytes: int, members: int) -> Artifact:
    """One ZIP of the report."""
    return Artifact(name=name, url=url, size_bytes=size_bytes, content_type=CONTENT_TYPE, members=members)
