"""What a job in shards shows: every item once, whoever wrote last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from batchlab.document import JobDocument
from batchlab.records import JobRecords, submit_locally
from batchlab.shards import Phase
from batchlab.standing import WHOLE, Share, save_progress, standing
from batchlab.status import Counts, State
from batchlab.stores.memory import MemoryStore

THEN = datetime(2026, 6, 6, tzinfo=UTC)


@pytest.fixture
def records() -> JobRecords:
    return submit_locally(MemoryStore(), JobDocument.model_validate({"type": "shout", "shards": 3}))


def write(
    records: JobRecords, number: int, counts: Counts, phase: Phase = "work", minutes: int | None = None
) -> None:
    at = None if minutes is None else THEN + timedelta(minutes=minutes)
    save_progress(records, 1, Share(number, phase, counts, at))


def seen(records: JobRecords) -> Counts:
    return standing(records, records.status()).counts


def test_without_any_progress_the_status_says_it_all(records: JobRecords) -> None:
    assert standing(records, records.status()) == records.status()


def test_the_shards_are_added_up_and_the_total_is_the_plans_before_all_of_them_have_begun(
    records: JobRecords,
) -> None:
    write(records, WHOLE, Counts(total=30, failed=1, total_bytes=300), "plan")
    assert seen(records) == Counts(total=30, failed=1, total_bytes=300)
    write(records, 1, Counts(total=10, done=4, failed=1, in_flight=2, total_bytes=100, done_bytes=50))
    write(records, 3, Counts(total=10, done=2, total_bytes=100, done_bytes=20))
    assert seen(records) == Counts(total=30, done=6, failed=1, in_flight=2, total_bytes=300, done_bytes=70)


def test_collect_counts_what_the_shards_have_done_so_nothing_counts_twice(records: JobRecords) -> None:
    write(records, WHOLE, Counts(total=30), "plan")
    write(records, 1, Counts(total=15, done=15))
    write(records, 2, Counts(total=15, done=9))
    write(records, WHOLE, Counts(total=30, done=25), "collect")
    assert seen(records) == Counts(total=30, done=25)


def test_the_last_progress_is_that_of_the_shard_that_moved_last(records: JobRecords) -> None:
    write(records, WHOLE, Counts(total=30), "plan", minutes=1)
    write(records, 1, Counts(total=15), minutes=9)
    write(records, 2, Counts(total=15), minutes=4)
    write(records, 3, Counts(total=15))
    assert standing(records, records.status()).last_progress_at == THEN + timedelta(minutes=9)


def test_a_job_that_has_ended_stands_as_its_status_says(records: JobRecords) -> None:
    write(records, 1, Counts(total=15, done=9))
    ended = records.status().model_copy(update={"state": State.PARTIAL, "counts": Counts(total=15, done=15)})
    assert standing(records, ended) == ended
