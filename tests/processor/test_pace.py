"""The pace spaces starts evenly, and a hold binds everybody."""

from datetime import timedelta

from batchlab_processor.pace import Pace


def test_without_limits_everything_starts_at_once() -> None:
    pace = Pace()
    pace.started(5.0)
    assert pace.ready_at() <= 5.0


def test_ten_starts_per_second_are_a_tenth_apart() -> None:
    pace = Pace(starts_per_second=10)
    pace.started(1.0)
    assert pace.ready_at() == 1.1


def test_the_slower_of_rate_and_interval_wins() -> None:
    pace = Pace(starts_per_second=10, min_interval=timedelta(seconds=2))
    pace.started(1.0)
    assert pace.ready_at() == 3.0


def test_a_hold_delays_the_next_start_and_a_shorter_one_does_not_end_it() -> None:
    pace = Pace()
    pace.hold(60.0)
    pace.hold(30.0)
    assert pace.ready_at() == 60.0


def test_a_late_start_earns_no_burst() -> None:
    pace = Pace(starts_per_second=1)
    pace.started(0.0)
    pace.started(100.0)
    assert pace.ready_at() == 101.0
