"""zip-export: photos from anywhere, delivered as one ZIP with every photo that could be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from batchlab.jobs.zip_export import ZipExportParams
from batchlab.outcome import Outcome
from batchlab.report import Artifact
from batchlab_processor.job import Context, JobType, Plan
from batchlab_processor.jobs.zip_export.photo import Member, Photo
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
        self._streaming = StreamingSink()

    def sink(self, params: ZipExportParams) -> Sink:
        """The sink of a job with these params."""
        return self._streaming

    def durable(self, params: Any) -> Literal["item", "job", "own"]:
        return self.sink(params).durable

    def plan(self, ctx: Context) -> Plan[Photo]:
        return plan_export(self.sink(ctx.params), ctx)

    def work(self, item: Photo, ctx: Context) -> Member:
        return self.sink(ctx.params).work(item, ctx)

    def settled(self, key: str, item: Photo, ctx: Context) -> Member | None:
        return self.sink(ctx.params).settled(key, item, ctx)

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        return self.sink(ctx.params).collect(outcomes, ctx)
