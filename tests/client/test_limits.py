"""Limits and resources: bounds, spellings, and how many failures are borne."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from batchlab.limits import Limits, Resources


def test_the_defaults_are_those_of_version_1() -> None:
    assert Limits().model_dump(mode="json") == {
        "workers": 5,
        "ahead_bytes": 268_435_456,
        "attempts": 3,
        "starts_per_second": None,
        "min_interval": None,
        "deadline": None,
        "max_failures": None,
    }
    assert Resources().queue == "standard"


def test_sizes_and_durations_are_read_as_people_write_them() -> None:
    limits = Limits.model_validate(
        {"ahead_bytes": "64 MiB", "min_interval": "2s", "deadline": "90m", "starts_per_second": 2}
    )
    assert limits.ahead_bytes == 64 * 1024**2
    assert limits.min_interval == timedelta(seconds=2)
    assert limits.deadline == timedelta(minutes=90)
    assert limits.starts_per_second == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"workers": 0},
        {"workers": 65},
        {"workers": "5"},
        {"workers": True},
        {"workers": 5.0},
        {"attempts": 0},
        {"attempts": 21},
        {"ahead_bytes": 0},
        {"ahead_bytes": "1 TiB"},
        {"starts_per_second": 0},
        {"starts_per_second": -1.5},
        {"starts_per_second": float("nan")},
        {"starts_per_second": 1001},
        {"starts_per_second": True},
        {"min_interval": "2h"},
        {"deadline": "0s"},
        {"deadline": "15d"},
        {"deadline": 90},
        {"max_failures": -1},
        {"max_failures": "101%"},
        {"max_failures": "5"},
        {"max_failures": True},
        {"max_failures": 0.05},
        {"wokers": 5},
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(fields)


@pytest.mark.parametrize(
    ("max_failures", "items", "allowed"),
    [
        (None, 500, None),
        (0, 500, 0),
        (20, 5, 20),
        ("5%", 500, 25),
        ("5%", 19, 0),
        ("0.1%", 5_000, 5),
        ("100%", 7, 7),
    ],
)
def test_a_share_of_failures_counts_on_the_items(
    max_failures: int | str, items: int, allowed: int | None
) -> None:
    assert Limits(max_failures=max_failures).failures_allowed(items) == allowed


def test_a_share_has_one_spelling() -> None:
    assert Limits(max_failures="05.0 %") == Limits(max_failures="5%")


@pytest.mark.parametrize(
    "fields", [{"queue": "fast"}, {"vcpus": 0}, {"memory_mib": 128}, {"vcpus": "2"}, {"gpus": 1}]
)
def test_resources_are_what_batch_can_give(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Resources.model_validate(fields)
