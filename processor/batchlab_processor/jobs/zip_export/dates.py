"""The date of a member: when the photo was taken, else when its file changed, else when the job was submitted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32

# A ZIP's own date begins in 1980; the UNIX date beside it is a signed 32-bit number.
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
LATEST = datetime(2038, 1, 19, 3, 14, 6, tzinfo=UTC)


def member_date(taken_at: datetime | None, modified: datetime | None, submitted: datetime) -> datetime:
    """The first that is known, between 1980 and 2038, in even seconds because a ZIP keeps no odd ones.

    A `taken_at` keeps its own offset from UTC: unpackers show its wall clock, as the camera did. Without an
    offset a date is taken for UTC, so that the archive is the same wherever it is made.
    """
    date = taken_at or modified or submitted
    date = (date if date.tzinfo else date.replace(tzinfo=UTC)).replace(microsecond=0)
    if date.replace(tzinfo=UTC) < EARLIEST or date < EARLIEST:
        return EARLIEST
    if date.replace(tzinfo=UTC) > LATEST or date > LATEST:
        return LATEST
    return date.replace(second=date.second // 2 * 2)


def submitted_at(job_id: str, now: datetime) -> datetime:
    """The time a job id was made; `now` for an id whose first bits are no time (AWS Batch's are random)."""
    milliseconds = 0
    for letter in job_id[:10]:  # a ULID's first ten letters: 48 bits of milliseconds
        milliseconds = milliseconds << 5 | _ALPHABET.index(letter)
    first, last = datetime(2020, 1, 1, tzinfo=UTC).timestamp(), (now + timedelta(days=1)).timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if first <= milliseconds / 1000 <= last else now
