"""batchlab.job_queries: what callers type is read in one way, and a mistake names what was typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from batchlab.errors import DocumentError
from batchlab.job_queries import moment_of, pair_of

NOW = datetime(2026, 6, 6, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T10:00:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01T10:00:00+02:00", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_duration_before_now_or_a_date(text: str, moment: datetime) -> None:
    assert moment_of("since", text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "99999999999999d", "2026-13-01"])
def test_what_is_no_moment_is_said_by_the_name_of_what_was_read(text: str) -> None:
    with pytest.raises(DocumentError, match=r"^--since: expected 12h, 7d, or a date such as 2026-06-06"):
        moment_of("--since", text, NOW)


def test_a_pair_is_cut_at_its_first_equals_sign() -> None:
    assert pair_of("tag", "event=7=8") == ("event", "7=8")
    assert pair_of("tag", "event=") == ("event", "")


@pytest.mark.parametrize("text", ["event", "=7", ""])
def test_what_is_no_pair_is_said_by_the_name_of_what_was_read(text: str) -> None:
    with pytest.raises(DocumentError, match=r"^--tag: expected NAME=VALUE, such as event=7"):
        pair_of("--tag", text)
