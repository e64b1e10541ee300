"""The streaming sink: members go into the archive in plan order, and the archive to its target, as one stream.

For deflate, for passwords, and for targets that take no parts out of order. Nothing of it survives a kill:
the next run starts over, after it has aborted what the killed one had begun to upload.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, ClassVar

from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab.report import Artifact
from batchlab.words import size
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export import delivery
from batchlab_processor.jobs.zip_export.archive import CONTENT_TYPE, archive, archive_bytes
from batchlab_processor.jobs.zip_export.missing import MISSING_BYTES, NothingDelivered, missing_csv
from batchlab_processor.jobs.zip_export.names import MISSING_NAME
from batchlab_processor.jobs.zip_export.payload import Blocks, Payload, in_memory
from batchlab_processor.jobs.zip_export.photo import Member, Photo
from batchlab_processor.jobs.zip_export.receive import crc32, look_again, receive
from batchlab_processor.jobs.zip_export.tally import Tally
from batchlab_processor.storage.base import WriteOptions

# What a photo of unknown length is taken for when the length of the parts is chosen: 5,000 of them give parts
# of 34 MiB. Parts for an archive of wholly unknown length are 64 MiB, four in memory.
UNKNOWN_BYTES = 64 * 1024 * 1024
SPARE_DISK_BYTES = 256 * 1024 * 1024  # for logs and whatever else shares the disk


class StreamingSink:
    """See the module's text; one instance a run."""

    name: ClassVar[str] = "streaming"
    needs_sizes: ClassVar[bool] = False

    def __init__(self) -> None:
        self._blocks = Blocks()

    def plan(self, photos: Sequence[Photo], asked: int, ctx: Context) -> dict[str, Any]:
        """Raises ItemError: validation when the target is taken or the password unknown, too_large when the
        disk has no room for the members that do not fit in memory.
        """
        password(ctx)
        delivery.check_free(ctx)
        _check_disk([photo.size_bytes or 0 for photo in photos], ctx)
        sizes = (
            (photo.name, UNKNOWN_BYTES if photo.size_bytes is None else photo.size_bytes) for photo in photos
        )
        return {"archive_bytes": archive_bytes([*sizes, (MISSING_NAME, MISSING_BYTES * len(photos))])}

    def work(self, photo: Photo, ctx: Context) -> Member:
        """The photo in memory, or on disk when it is larger than a worker's share of ahead_bytes."""
        # After a failure the photo may be another one by now: it is not in the archive yet, so take that.
        planned = photo if ctx.attempt <= 1 else look_again(photo, ctx)
        return receive(planned, self._blocks, share_bytes(ctx), ctx)

    def gave_up(self, failed: Failed, ctx: Context) -> None:
        """Nothing: nobody holds a place for it."""

    def settled(self, key: str, photo: Photo, ctx: Context) -> Member | None:
        """Never: what an earlier run received is gone."""
        return None

    def shard_ended(self, ctx: Context) -> None:
        """Never called: a stream has one end."""

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """Raises NothingDelivered when there is no photo to put in; then nothing was begun at the target."""
        ctx.report_facts["sink"] = self.name
        url = delivery.target(ctx)
        ctx.storage.abort_uploads(url)
        tally = Tally(ctx)
        members = _members(outcomes, tally, self._blocks)
        chunks = archive(members, compress_text=ctx.params.compress == "text", password=password(ctx))
        with closing(chunks):
            first = next(chunks)  # the upload begins when there is something to deliver
            options = WriteOptions(
                content_type=CONTENT_TYPE,
                metadata={"batchlab-type": "zip-export", "batchlab-job": str(ctx.document.id)},
                overwrite=ctx.overwrite() or delivery.is_ours(ctx, url),
                expected_bytes=ctx.facts.get("archive_bytes"),
            )
            with ctx.storage.write(url, options) as writer:
                seal = delivery.Seal()
                chunk: bytes | None = first
                while chunk is not None:
                    writer.write(chunk)
                    seal.update(chunk)
                    ctx.uploaded(len(chunk))
                    if (
                        ctx.stop.is_set()
                    ):  # the last photo may be 4 GiB, and its outcome was handed on long ago
                        ctx.confirm()
                    chunk = next(chunks, None)
                ctx.confirm()
                delivery.announce(ctx, url, seal)
                written = writer.commit()
        name = delivery.archive_name(ctx)
        return [
            Artifact(
                name=name,
                url=url,
                size_bytes=written.size_bytes,
                content_type=CONTENT_TYPE,
                members=tally.delivered,
            )
        ]


def share_bytes(ctx: Context) -> int:
    """What one worker may keep in memory."""
    limits = ctx.document.limits
    return limits.ahead_bytes // limits.workers


def password(ctx: Context) -> str | None:
    """The archive's password; None when it is to have none. Raises ItemError(validation) when it is not known."""
    return ctx.password(ctx.params.password_ref) if ctx.params.password_ref else None


def _members(outcomes: Iterator[Outcome], tally: Tally, blocks: Blocks) -> Iterator[tuple[Member, Payload]]:
    """The photos that came, in order, then the table of those that did not, if any."""
    for outcome in outcomes:
        if isinstance(outcome, Done):
            member: Member = outcome.result
            tally.delivered += 1
            yield member, member.take()
        else:
            tally.miss(outcome)
    if not tally.delivered:
        raise NothingDelivered(tally.missing)
    if tally.missing:
        table = missing_csv(tally.missing)
        payload = in_memory(blocks, table)
        yield (
            Member(name=MISSING_NAME, date=tally.date, size_bytes=len(table), crc32=crc32(table, 0)),
            payload,
        )


def _check_disk(sizes_bytes: Sequence[int], ctx: Context) -> None:
    """Members too large for memory wait on disk, at most one a worker."""
    large = sorted((size for size in sizes_bytes if size > share_bytes(ctx)), reverse=True)
    if not large:
        return
    needed = sum(large[: ctx.document.limits.workers]) + SPARE_DISK_BYTES
    free = shutil.disk_usage(ctx.scratch()).free
    if free < needed:
        raise ItemError(
            Kind.TOO_LARGE,
            f"The largest photo has {size(large[0])}; {len(large[: ctx.document.limits.workers])} of that kind at once "
            f"need {size(needed)} on the disk of {ctx.scratch()}, and {size(free)} are free. Set TMPDIR to a larger "
            "disk, or use fewer limits.workers, or more limits.ahead_bytes.",
        )
