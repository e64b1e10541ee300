"""Durations: what people write, and the one spelling they get back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from batchlab.durations import Duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration", "canonical"),
    [
        ("12h", timedelta(hours=12), "12h"),
        ("90s", timedelta(seconds=90), "1m30s"),
        ("7d", timedelta(days=7), "7d"),
        ("1h30m", timedelta(minutes=90), "1h30m"),
        ("500ms", timedelta(milliseconds=500), "500ms"),
        ("1m5ms", timedelta(seconds=60, milliseconds=5), "1m5ms"),
        (" 1d 2h ", timedelta(hours=26), "1d2h"),
        ("0s", timedelta(0), "0s"),
        ("2000ms", timedelta(seconds=2), "2s"),
    ],
)
def test_a_duration_is_read_and_has_one_spelling(text: str, duration: timedelta, canonical: str) -> None:
    assert parse_duration(text) == duration
    assert format_duration(duration) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        "h",
        "12H",
        "1.5h",
        "-1s",
        "1s1h",
        "1h1h",
        "12 parsecs",
        "٣s",
        "1h\x00",
        "s1",
        "9" * 400 + "s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='"12h"'):
        parse_duration(text)


def test_a_duration_of_more_than_ten_years_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 3650d"):
        parse_duration("999999999999999d")


@pytest.mark.parametrize("duration", [timedelta(microseconds=1), timedelta(seconds=-1)])
def test_what_no_text_can_say_has_no_spelling(duration: timedelta) -> None:
    with pytest.raises(ValueError, match="whole milliseconds"):
        format_duration(duration)


@given(st.integers(0, 3_650 * 86_400_000))
def test_every_duration_reads_back_as_itself(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


class Nap(BaseModel):
    length: Duration


def test_a_field_takes_a_text_or_a_timedelta_and_writes_the_text() -> None:
    assert Nap.model_validate({"length": "90m"}).length == timedelta(minutes=90)
    assert Nap(length=timedelta(minutes=90)).model_dump(mode="json") == {"length": "1h30m"}


@pytest.mark.parametrize("value", [90, 1.5, True, None, [], timedelta(microseconds=3)])
def test_a_bare_number_is_no_duration(value: object) -> None:
    with pytest.raises(ValidationError):
        Nap.model_validate({"length": value})
