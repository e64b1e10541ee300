"""The table of design section 4: which kind is tried again, how often, and who waits."""

import random

import pytest

from batchlab.kinds import POLICIES, ItemError, Kind
from batchlab_processor.attempts import backoff_seconds, decide

CHANCE = random.Random(7)
RETRIED = {Kind.NETWORK, Kind.TIMEOUT, Kind.API_ERROR, Kind.DATABASE, Kind.RATE_LIMIT}
ONCE = {Kind.CHANGED, Kind.CORRUPT, Kind.NO_IMAGE, Kind.EXPIRED_CREDENTIALS}


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.QUOTA_EXHAUSTED}))
def test_every_kind_is_tried_as_often_as_its_row_says(kind: Kind) -> None:
    allowed = 5 if kind in RETRIED else 2 if kind in ONCE else 1
    actions = [decide(ItemError(kind, "x"), tries, 5, CHANCE).action for tries in range(1, 7)]
    assert actions == ["retry"] * (allowed - 1) + ["fail"] * (7 - allowed)


def test_every_kind_has_a_row_with_a_cure() -> None:
    assert set(POLICIES) == set(Kind)
    assert all(policy.cure.endswith(".") for policy in POLICIES.values())


def test_a_used_up_quota_pauses_the_run() -> None:
    decision = decide(ItemError(Kind.QUOTA_EXHAUSTED, "x", retry_after_seconds=120), 1, 3, CHANCE)
    assert decision.action == "pause"


def test_a_rate_limit_holds_the_whole_pool_for_as_long_as_the_server_says_or_a_minute() -> None:
    said = decide(ItemError(Kind.RATE_LIMIT, "x", retry_after_seconds=7), 1, 3, CHANCE)
    unsaid = decide(ItemError(Kind.RATE_LIMIT, "x"), 1, 3, CHANCE)
    assert (said.delay_seconds, said.pool_waits) == (7, True)
    assert (unsaid.delay_seconds, unsaid.pool_waits) == (60, True)


def test_back_off_doubles_with_jitter_up_to_ten_seconds() -> None:
    for tries, ceiling in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (5000, 10.0)]:
        delays = [backoff_seconds(tries, CHANCE) for _ in range(200)]
        assert ceiling / 2 <= min(delays) < max(delays) <= ceiling


def test_a_retry_after_longer_than_a_quarter_of_an_hour_is_not_sat_out() -> None:
    assert decide(ItemError(Kind.API_ERROR, "x", retry_after_seconds=86400), 1, 3, CHANCE).action == "fail"
