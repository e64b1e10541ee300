"""zip-export: photos from anywhere, delivered as one ZIP with every photo that could be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from batchlab.jobs.zip_export import ZipExportParams
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed, Outcome
from batchlab.report import Artifact
from batchlab_processor.job import Context, JobType, Plan
from batchlab_processor.jobs.zip_export.photo import Member, Photo
from batchlab_processor.jobs.zip_export.planned import PlannedSink
from batchlab_processor.jobs.zip_export.planning import plan_export
from batchlab_processor.jobs.zip_export.sink import Sink
from batchlab_processor.jobs.zip_export.streaming import StreamingSink

__all__ = ["ZipExport"]


class ZipExport(JobType[Photo, Member]):
    """One photo is one item. What is done with it depends on the sink; see `sink`."""

    name: ClassVar[str] = "zip-export"
    summary: ClassVar[str] = "Photos from anywhere into one ZIP, with a list of those that were missing."
    params: ClassVar[type[BaseModel]] = ZipExportParams
    item: ClassVar[type[BaseModel]] = Photo
    result: ClassVar[type[BaseModel]] = Member
    ordered: ClassVar[bool] = True

    def __init__(self) -> None:
        self._planned = PlannedSink()
        self._sinks: dict[str, Sink] = {"planned": self._planned, "streaming": StreamingSink()}

    def durable(self, params: Any) -> Literal["item", "job", "own"]:
        return "own"

    def plan(self, ctx: Context) -> Plan[Photo]:
        name, reason = choose(ctx)
        plan = plan_export(self._sinks[name], ctx)
        return Plan(plan.entries, plan.facts | {"sink": name, "sink_reason": reason})

    def preview(self, plan: Plan[Photo]) -> Sequence[str]:
        self._planned.withdraw()
        return super().preview(plan)

    def work(self, item: Photo, ctx: Context) -> Member:
        return self._sink(ctx).work(item, ctx)

    def gave_up(self, key: str, item: Photo, failed: Failed, ctx: Context) -> None:
        self._sink(ctx).gave_up(failed, ctx)

    def settled(self, key: str, item: Photo, ctx: Context) -> Member | None:
        return self._sink(ctx).settled(key, item, ctx)

    def shard_ended(self, ctx: Context) -> None:
        self._sink(ctx).shard_ended(ctx)

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        ctx.report_facts["sink"] = ctx.facts["sink"]
        ctx.report_facts["sink_reason"] = ctx.facts["sink_reason"]
        return self._sink(ctx).collect(outcomes, ctx)

    def _sink(self, ctx: Context) -> Sink:
        return self._sinks[ctx.facts["sink"]]


def choose(ctx: Context) -> tuple[str, str]:
    """The sink of this job, and why. Raises ItemError(validation) when the one asked for cannot serve."""
    params: ZipExportParams = ctx.params
    target = ctx.target(params.name)
    scheme = target.partition("://")[0]
    if params.sink == "streaming":
        return "streaming", "The document asks for it."
    if params.needs_streaming():
        return "streaming", "Deflated and encrypted members have lengths that nobody knows beforehand."
    if ctx.storage.takes_parts(target):
        return "planned", f"{scheme}:// takes the archive in parts."
    for asked, name in ((params.sink == "planned", "sink: planned"), (ctx.document.shards > 1, "shards")):
        if asked:
            raise ItemError(
                Kind.VALIDATION,
                f"{scheme}:// takes no parts, which {name} needs. Leave it out, or deliver to s3://, r2:// or file://.",
            )
    return "streaming", f"{scheme}:// takes no parts."
