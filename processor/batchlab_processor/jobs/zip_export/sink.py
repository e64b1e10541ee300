"""The seam between the photos of a job and what its archive's bytes are written to.

`ZipExport` probes and names the photos, the same for every sink; a sink says when a photo is safe, what is
done with one, and how the archive comes to its target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from batchlab.outcome import Failed, Outcome
from batchlab.report import Artifact
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export.photo import Member, Photo


class Sink(Protocol):
    """One way to make the archive."""

    @property
    def name(self) -> str:
        """As the report names it."""
        ...

    @property
    def needs_sizes(self) -> bool:
        """Whether the size of every photo must be known when it is planned."""
        ...

    def plan(self, photos: Sequence[Photo], asked: int, ctx: Context) -> dict[str, Any]:
        """What later verbs must know, as JSON; raises ItemError when this archive cannot be made here.

        `asked`: how many photos there are with those that cannot be had.
        """
        ...

    def work(self, photo: Photo, ctx: Context) -> Member:
        """Receives one photo; raises ItemError."""
        ...

    def gave_up(self, failed: Failed, ctx: Context) -> None:
        """See JobType.gave_up."""
        ...

    def settled(self, key: str, photo: Photo, ctx: Context) -> Member | None:
        """What is known of a photo whose bytes are already safe at the target; None: work on it."""
        ...

    def shard_ended(self, ctx: Context) -> None:
        """See JobType.shard_ended."""
        ...

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """Delivers the archive, whole or not at all."""
        ...
