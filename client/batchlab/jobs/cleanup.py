"""The params of cleanup: for how long things are kept. What is deleted is for the store's own records to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool

from batchlab.durations import Duration, format_duration
from batchlab.jobs.base import JobParams


def _at_least(shortest: timedelta) -> AfterValidator:
    def check(kept: timedelta) -> timedelta:
        if kept < shortest:
            raise ValueError(f"is too short: at least {format_duration(shortest)}")
        return kept

    return AfterValidator(check)


class CleanupParams(JobParams):
    """Deletes what has expired: artifacts, unfinished uploads of dead jobs, old job documents."""

    dry_run: Annotated[StrictBool, Field(description="Say what would be deleted, and delete nothing.")] = (
        False
    )
    keep_documents: Annotated[
        Annotated[Duration, _at_least(timedelta(days=1))] | None,
        Field(
            description="How long the documents of a job are kept after its end: its report, its ledger, its page, "
            "its place in lists; null: for ever."
        ),
    ] = timedelta(days=90)
    # A job that was interrupted may go on for days, and begins its upload again when it is gone.
    uploads_older_than: Annotated[
        Annotated[Duration, _at_least(timedelta(hours=1))],
        Field(
            description="After how long without any progress the upload of a job that has not ended is given up."
        ),
    ] = timedelta(days=7)

    def divisible(self) -> bool:
        """Each machine would look at the same jobs."""
        return False
