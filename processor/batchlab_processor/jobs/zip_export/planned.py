"""The planned sink: every byte's place is known before the first download, so photos go straight into parts that
are sent in any order, and a kill costs at most the parts in flight.

plan      sizes, names and dates decide the layout; the upload is begun
work      a photo's bytes go into the buffers of its parts; a part that is complete is sent (`building`)
collect   what nobody could send, the directory, and the object becomes visible (`finishing`)

For targets that take parts: s3://, r2://, file://. Members are stored; deflate and passwords need the streaming sink.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from batchlab.errors import BatchlabError, ServiceError
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.report import Artifact
from batchlab.store import AlreadyExists
from batchlab_processor.job import STARTS_OVER, Context, Entry, StartOver
from batchlab_processor.jobs.zip_export.beginning import abort, artifact, begin
from batchlab_processor.jobs.zip_export.building import Building
from batchlab_processor.jobs.zip_export.finishing import Lost, finish, gap_bytes, kept_end, make_up
from batchlab_processor.jobs.zip_export.layout import Shape
from batchlab_processor.jobs.zip_export.missing import NothingDelivered, missing_csv
from batchlab_processor.jobs.zip_export.names import MISSING_NAME
from batchlab_processor.jobs.zip_export.photo import Member, Photo
from batchlab_processor.jobs.zip_export.tally import Tally
from batchlab_processor.jobs.zip_export.volume import Volume

MOST_GAPS = 0.05  # of an archive's bytes may be fillers; above that it is made again without the lost photos
COPIES_NOT_PROVED = "Server-side copies were tried on SeaweedFS and a strict simulator, not on a real bucket."


class PlannedSink:
    """See the module's text; one instance a run."""

    name: ClassVar[str] = "planned"
    needs_sizes: ClassVar[bool] = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._building: Building | None = None
        self._fresh = False
        self._starts = 0
        self._withdraw: Callable[[], None] = lambda: None
        self._ended = False  # what is still in flight has nothing to go on with

    def plan(self, photos: Sequence[Photo], asked: int, ctx: Context) -> dict[str, Any]:
        """Begins the upload; see `begin`."""
        self._fresh = True
        facts = begin(list(photos), ctx, asked=asked)
        self._withdraw = lambda: abort(facts, ctx)
        return facts

    def withdraw(self) -> None:
        """The plan was made to be looked at only."""
        self._withdraw()

    def work(self, photo: Photo, ctx: Context) -> Member:
        """The photo's bytes are in their parts."""
        assert ctx.key is not None
        return self._open(ctx).work(ctx.key, ctx)

    def gave_up(self, failed: Failed, ctx: Context) -> None:
        """The photo's place is a filler's."""
        self._open(ctx).lose(failed)

    def settled(self, key: str, photo: Photo, ctx: Context) -> Member | None:
        """The photo, when all its bytes are at the target."""
        if "reused" in ctx.facts:
            return Member(
                name=photo.name, date=photo.date, size_bytes=photo.size_bytes or 0, crc32=photo.crc32
            )
        return self._open(ctx).settled(key)

    def shard_ended(self, ctx: Context) -> None:
        """What the shard completed is at the target; seams with its neighbours are for `collect`."""
        building = self._open(ctx)
        try:
            building.drain()
        finally:
            building.close()

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """Raises NothingDelivered when there is no photo to deliver; then nothing is left at the target."""
        building = self._open(ctx)
        try:
            artifacts = self._collect(building, outcomes, ctx)
        except StartOver:
            self._starts += 1
            if self._starts > STARTS_OVER:  # then the job fails
                building.abort()
            building.close()
            raise
        except BaseException as error:
            self._ended = True
            if _goes_on(error):
                building.close()
            else:
                building.abort()
            raise
        finally:
            self._building = None
        building.close()
        return artifacts

    def _collect(self, building: Building, outcomes: Iterator[Outcome], ctx: Context) -> list[Artifact]:
        if "reused" in ctx.facts:
            for _ in outcomes:
                pass
            ctx.report_facts["reused"] = True
            return [Artifact.model_validate(artifact) for artifact in ctx.facts["reused"]]
        tally = Tally(ctx)
        hurry = False  # the deadline has passed
        for outcome in outcomes:
            if isinstance(outcome, Done):
                tally.delivered += 1
            else:
                hurry = hurry or isinstance(outcome, Skipped)
                tally.miss(outcome)
                building.lose(outcome)
        if not tally.delivered:
            raise NothingDelivered(tally.missing)
        building.drain()
        pending = [volume for volume in building.volumes if volume.completed is None]
        if not hurry:
            self._look_at_gaps(building, pending, ctx)
        table = _table(tally)
        artifacts = []
        kept = [volume for volume in building.volumes if volume.completed is not None or kept_end(volume)]
        for volume in building.volumes:
            if volume not in kept:
                volume.parts.abort()
                continue
            written = volume.completed
            if written is None:
                extra = table if volume is kept[-1] else []
                try:
                    make_up(building, volume, kept_end(volume), ctx)
                    written = finish(building, volume, kept_end(volume), extra, ctx)
                except Lost as lost:
                    building.lose_key(lost.key, lost.failed.kind, lost.failed.message)
                    raise StartOver(f"{lost.key} had come and cannot be had again") from lost
            members = sum(1 for key in volume.keys if key not in building.lost)
            artifacts.append(artifact(volume.name, volume.url, written.size_bytes, members))
        if building.copied_bytes:
            ctx.report_facts["copied_bytes"] = building.copied_bytes
            ctx.report_facts["not_proved"] = COPIES_NOT_PROVED
        return artifacts

    def _look_at_gaps(self, building: Building, volumes: list[Volume], ctx: Context) -> None:
        """Raises StartOver when too much of the archive would be fillers."""
        gaps = sum(map(gap_bytes, volumes))
        if gaps <= MOST_GAPS * sum(map(kept_end, volumes)) or len(volumes) < len(building.volumes):
            return
        if _second(ctx) is not None or self._starts == STARTS_OVER:
            return
        photos = {entry.key: entry.item for entry in ctx.planned if isinstance(entry, Entry)}
        left_out = [key for key in photos if key in building.lost]
        building.abort()
        kept = [photo for key, photo in photos.items() if key not in building.lost]
        facts = begin(kept, ctx, asked=len(ctx.planned))
        try:
            ctx.store.create(_second_name(ctx), facts | {"left_out": left_out})
        except AlreadyExists:  # nobody else may be here: the lease is ours
            ctx.confirm()
            raise
        raise StartOver(f"{len(left_out):,} lost photos would leave {gaps:,} bytes of gaps")

    def _open(self, ctx: Context) -> Building:
        with self._lock:
            if self._ended:
                raise ServiceError("The run has ended.")  # no fault of the photo's
            if self._building is None:
                second = _second(ctx)
                self._building = Building(ctx, second or ctx.facts, fresh=self._fresh)
                self._fresh = False
            return self._building


def _goes_on(error: BaseException) -> bool:
    """Whether a later run goes on with the job, so that the upload must stay."""
    if isinstance(error, BatchlabError):
        return True  # the store or the target is away
    resumable: bool = getattr(error, "resumable", not isinstance(error, Exception))
    return resumable


def _table(tally: Tally) -> list[tuple[Shape, bytes]]:
    if not tally.missing:
        return []
    table = missing_csv(tally.missing)
    return [(Shape(MISSING_NAME, len(table), tally.date), table)]


def _second(ctx: Context) -> dict[str, Any] | None:
    """The plan that took the place of the first one, if it was made."""
    stored = ctx.store.read(_second_name(ctx))
    return None if stored is None else stored.body


def _second_name(ctx: Context) -> str:
    return f"jobs/{ctx.document.id}/g{ctx.generation}/plan-2.json"
