from __future__ import annotations

from datetime import timedelta

import pytest

from batchlab.notify.schedule import CLAIM, WAITS, next_try
from batchlab.notify.webhook import PATIENCE
from tests.client.notify.ended_jobs import NOON


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    hours = [round(wait.total_seconds() / 3600, 4) for wait in WAITS]
    assert hours == [0, 0.0014, 0.0833, 0.5, 2, 5, 10, 14, 20, 24]


@pytest.mark.parametrize("attempts", range(1, len(WAITS)))
def test_a_try_comes_when_its_wait_is_over_and_at_most_a_tenth_later(attempts: int) -> None:
    found = {next_try(attempts, NOON) for _ in range(50)}
    assert all(moment and WAITS[attempts] <= moment - NOON <= WAITS[attempts] * 1.1 for moment in found)
    assert len(found) > 1  # the jobs of one outage do not come back at one moment


def test_after_the_last_wait_it_is_given_up() -> None:
    assert next_try(len(WAITS), NOON) is None


@pytest.mark.parametrize(
    ("wish", "least"),
    [
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(seconds=1), WAITS[1]),
        (timedelta(seconds=-9), WAITS[1]),
        (timedelta(days=400), timedelta(days=1)),
    ],
)
def test_a_receivers_wish_is_heard_within_reason(wish: timedelta, least: timedelta) -> None:
    moment = next_try(1, NOON, wish)
    assert moment is not None and least <= moment - NOON <= least * 1.1


def test_a_claim_lives_longer_than_a_try() -> None:
    assert timedelta(seconds=2 * PATIENCE.total_seconds) < CLAIM
