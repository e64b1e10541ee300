from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError

from batchlab.status import ENDED, Counts, State, Status, exit_code, stalled

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)


def status(state: State = State.RUNNING, **more: object) -> Status:
    fields = {"id": "job", "type": "zip-export", "created_at": NOON, "state": state, **more}
    return Status.model_validate(fields)


def test_a_status_survives_the_store() -> None:
    full = status(counts=Counts(total=3, done=2, total_bytes=10), last_progress_at=NOON, artifacts=("a.zip",))
    assert Status.model_validate_json(full.model_dump_json()) == full


def test_states_only_go_forward() -> None:
    order = [State.QUEUED, State.STARTING, State.RUNNING, State.CANCELLING, State.CANCELLED, State.EXPIRED]
    for earlier, later in pairwise(order):
        assert status(later).may_follow(status(earlier))
        assert not status(earlier).may_follow(status(later))


@pytest.mark.parametrize("end", sorted(ENDED - {State.EXPIRED}))
def test_an_end_is_not_overwritten_by_another_end(end: State) -> None:
    for other in sorted(ENDED - {State.EXPIRED, end}):
        assert not status(other).may_follow(status(end))
    assert status(State.EXPIRED).may_follow(status(end))


def test_progress_is_written_over_the_same_state() -> None:
    assert status(counts=Counts(total=2, done=1)).may_follow(status())
    assert status().may_follow(None)


def test_a_retry_begins_again() -> None:
    again = status(State.QUEUED, generation=2)
    assert again.may_follow(status(State.PARTIAL)) and not status(State.EXPIRED).may_follow(again)


@pytest.mark.parametrize(
    ("state", "code"), [("succeeded", 0), ("failed", 1), ("partial", 3), ("cancelled", 4), ("expired", 4)]
)
def test_each_end_has_its_exit_code(state: str, code: int) -> None:
    assert exit_code(State(state)) == code


def test_a_running_job_has_no_exit_code() -> None:
    with pytest.raises(ValueError, match="no exit code"):
        exit_code(State.RUNNING)


def test_five_minutes_without_progress_are_stalled() -> None:
    seen = status(last_progress_at=NOON)
    assert not stalled(seen, NOON + timedelta(minutes=4, seconds=59))
    assert stalled(seen, NOON + timedelta(minutes=5))
    assert stalled(status(started_at=NOON), NOON + timedelta(minutes=5))


def test_waiting_its_turn_ended_or_out_of_quota_is_not_stalled() -> None:
    late = NOON + timedelta(hours=1)
    assert not stalled(status(State.QUEUED), late)
    assert not stalled(status(State.SUCCEEDED, last_progress_at=NOON), late)
    waiting = status(last_progress_at=NOON, resume_at=late)
    assert not stalled(waiting, late)
    assert stalled(waiting, late + timedelta(minutes=5))


def test_the_counts_of_shards_add_up() -> None:
    one = Counts(total=3, done=1, failed=1, in_flight=1, total_bytes=30, done_bytes=10)
    assert one + one == Counts(total=6, done=2, failed=2, in_flight=2, total_bytes=60, done_bytes=20)
    assert (one + Counts(total=1)).total_bytes is None
    assert one.ended == 2


def test_a_message_carries_no_link_with_its_token() -> None:
    assert "CANARY" not in status(message="see https://h/x?token=CANARY").message


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(ValidationError):
        status(colour="red")
