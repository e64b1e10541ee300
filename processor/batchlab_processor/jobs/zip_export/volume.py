"""One archive of a job: where it goes, how it is written, and what becomes of it when the target refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab_processor.job import Context, JobFailed
from batchlab_processor.jobs.zip_export import delivery
from batchlab_processor.jobs.zip_export.archive import CONTENT_TYPE
from batchlab_processor.jobs.zip_export.assembly import Assembly
from batchlab_processor.jobs.zip_export.copying import on_the_same_server
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from batchlab_processor.jobs.zip_export.photo import Member, Photo
from batchlab_processor.storage.base import WriteOptions, Written
from batchlab_processor.storage.parts import Parts

_PASSING = (
    Kind.NETWORK,
    Kind.TIMEOUT,
    Kind.API_ERROR,
    Kind.RATE_LIMIT,
    Kind.EXPIRED_CREDENTIALS,
    Kind.MISSING,
)


@dataclass
class Volume:
    """One archive of the job; most jobs have one."""

    number: int  # from 0
    name: str
    url: str
    keys: list[str]
    photos: list[Photo]
    options: WriteOptions
    parts: Parts
    assembly: Assembly
    shared: bool  # at a place where other jobs of the same photos deliver, too
    completed: Written | None = None  # an earlier run made it visible

    @property
    def layout(self) -> Layout:
        return self.assembly.layout

    def member(self, member: int) -> Member:
        """What is known of a photo whose bytes are at the target, or on their way."""
        photo, crc32 = self.photos[member], self.assembly.crcs[member]
        return Member(
            name=photo.name,
            date=photo.date,
            size_bytes=photo.size_bytes or 0,
            crc32=self.assembly.known[member] if crc32 is None else crc32,
        )


def target(ctx: Context, name: str, facts: dict[str, Any]) -> str:
    """Where a volume is delivered; exports that reuse each other's archives share a folder for each plan."""
    return ctx.target(name, shared=facts.get("shared"))


def layout_of(photos: list[Photo], part_bytes: int | None = None) -> Layout:
    """Where the photos, whose sizes are known, lie in their archive."""
    return Layout(
        [Shape(photo.name, photo.size_bytes or 0, photo.date) for photo in photos], part_bytes=part_bytes
    )


def options_for(ctx: Context, url: str, layout: Layout, photos: list[Photo], volume: int) -> WriteOptions:
    """How an archive is written: known by its job and its plan."""
    return WriteOptions(
        content_type=CONTENT_TYPE,
        metadata={
            "batchlab-type": "zip-export",
            "batchlab-job": str(ctx.document.id),
            "batchlab-plan": layout.digest(),
        },
        overwrite=ctx.overwrite() or delivery.is_ours(ctx, url, volume),
        crc32=url.startswith("s3://")  # R2 tells no checksums
        and any(photo.crc32 is None and on_the_same_server(photo, url) for photo in photos),
        expected_bytes=layout.end + layout.tail_bound(0),
    )


def trouble(error: BaseException) -> BaseException:
    """What an error of the target means for the job: it fails, or it can be started again when the fault has passed."""
    if isinstance(error, ItemError):
        if error.kind in _PASSING:
            return ServiceError(
                f"The archive could not be sent: {error.message} Start the job again, and it goes on."
            )
        return JobFailed(f"The archive could not be sent: {error.message}")
    return error
