"""What an HTTP status means for an item, the same for web servers, S3 and Cloud Storage."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from batchlab.kinds import Kind

LONGEST_WAIT_SECONDS = 3600.0  # a source that asks for more would stop the whole pool for it


def kind_of_status(status: int) -> Kind:
    """The kind of a refusal; 0 stands for an answer without a status."""
    if status in (404, 410):
        return Kind.MISSING
    if status in (401, 403):
        return Kind.AUTH
    if status == 412:
        return Kind.CHANGED
    if status == 429:
        return Kind.RATE_LIMIT
    if status >= 500 or status in (0, 408, 409, 425):
        return Kind.API_ERROR
    return Kind.VALIDATION


def retry_after_seconds(text: str, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, 0 to an hour; None when it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - (now or datetime.now(UTC))).total_seconds()), LONGEST_WAIT_SECONDS)
