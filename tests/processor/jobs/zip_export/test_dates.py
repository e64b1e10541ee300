from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from batchlab.ids import IdMaker, id_from_batch_job
from batchlab_processor.jobs.zip_export.dates import EARLIEST, LATEST, member_date, submitted_at

TAKEN = datetime(2024, 6, 1, 14, 30, 8, tzinfo=timezone(timedelta(hours=2)))
MODIFIED = datetime(2025, 1, 1, tzinfo=UTC)
SUBMITTED = datetime(2026, 6, 6, tzinfo=UTC)


def test_the_date_is_when_the_photo_was_taken_else_modified_else_submitted() -> None:
    assert member_date(TAKEN, MODIFIED, SUBMITTED) == TAKEN
    assert member_date(None, MODIFIED, SUBMITTED) == MODIFIED
    assert member_date(None, None, SUBMITTED) == SUBMITTED


def test_a_photo_keeps_the_wall_clock_of_its_camera() -> None:
    date = member_date(TAKEN, MODIFIED, SUBMITTED)
    assert (date.hour, date.utcoffset()) == (14, timedelta(hours=2))


def test_a_date_without_an_offset_is_the_same_on_every_machine() -> None:
    assert member_date(datetime(2024, 6, 1, 12), None, SUBMITTED) == datetime(2024, 6, 1, 12, tzinfo=UTC)  # noqa: DTZ001


def test_seconds_are_even_because_a_zip_keeps_no_odd_ones() -> None:
    assert member_date(None, MODIFIED.replace(second=59, microsecond=7), SUBMITTED).second == 58


@pytest.mark.parametrize("year", [1800, 1970, 1979])
def test_dates_before_1980_become_1980(year: int) -> None:
    assert member_date(datetime(year, 5, 5, tzinfo=UTC), None, SUBMITTED) == EARLIEST


def test_a_date_at_the_turn_of_1980_far_from_greenwich_is_still_one_a_zip_can_hold() -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    assert member_date(datetime(1980, 1, 1, 1, tzinfo=east), None, SUBMITTED) == EARLIEST
    assert member_date(datetime(1979, 12, 31, 23, tzinfo=west), None, SUBMITTED) == EARLIEST


@pytest.mark.parametrize("year", [2038, 2099, 2199])
def test_dates_beyond_32_bits_become_the_last_that_fits(year: int) -> None:
    assert member_date(datetime(year, 12, 5, tzinfo=UTC), None, SUBMITTED) == LATEST


def test_the_time_of_submission_is_in_the_id() -> None:
    made = datetime(2026, 6, 6, 12, 0, 0, 123000, tzinfo=UTC)
    assert submitted_at(IdMaker().new(made), made + timedelta(hours=5)) == made


def test_an_id_that_holds_no_time_means_now() -> None:
    now = datetime(2026, 6, 6, tzinfo=UTC)
    assert submitted_at(id_from_batch_job("e5bb9d6c-0000-4000-8000-000000000000"), now) == now
    assert submitted_at("0" * 26, now) == now
