"""Why an item failed, as data: one word per kind, and what the engine does about it.

`ItemError` is how storage, the guard and job types say it. Its message never holds a secret: URLs lose
their query, user and fragment when the error is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from batchlab.redact import scrub


class Kind(StrEnum):
    """The kinds of failure; stable words, they stand in reports, ledgers and on the customer's page."""

    NETWORK = "network"
    TIMEOUT = "timeout"
    API_ERROR = "api_error"
    DATABASE = "database"
    RATE_LIMIT = "rate_limit"
    QUOTA_EXHAUSTED = "quota_exhausted"
    EXPIRED_CREDENTIALS = "expired_credentials"
    CHANGED = "changed"
    CORRUPT = "corrupt"
    NO_IMAGE = "no_image"
    MISSING = "missing"
    AUTH = "auth"
    EXPIRED_URL = "expired_url"
    VALIDATION = "validation"
    BLOCKED_URL = "blocked_url"
    TOO_LARGE = "too_large"
    CONTENT_BLOCKED = "content_blocked"
    BUG = "bug"
    CRASH = "crash"


@dataclass(frozen=True)
class Policy:
    """What the engine does when an item fails with a kind."""

    retry: Literal["yes", "once", "never", "pause"]
    pool_waits: bool = False  # the whole pool waits for Retry-After, else 60 s
    recoverable: bool = False  # worth a later `batchlab retry` without mending the document
    cure: str = ""  # what the reader can do, a sentence for the report


POLICIES: dict[Kind, Policy] = {
    Kind.NETWORK: Policy("yes", recoverable=True, cure="Run `batchlab retry` when the source is reachable."),
    Kind.TIMEOUT: Policy("yes", recoverable=True, cure="The source is too slow; run `batchlab retry` later."),
    Kind.API_ERROR: Policy("yes", recoverable=True, cure="The source's server had errors; retry later."),
    Kind.DATABASE: Policy("yes", recoverable=True, cure="Check the database and run `batchlab retry`."),
    Kind.RATE_LIMIT: Policy(
        "yes", pool_waits=True, recoverable=True, cure="Set limits.starts_per_second or fewer workers."
    ),
    Kind.QUOTA_EXHAUSTED: Policy("pause", recoverable=True, cure="The run goes on when the quota is back."),
    Kind.EXPIRED_CREDENTIALS: Policy("once", recoverable=True, cure="Renew the credentials and retry."),
    Kind.CHANGED: Policy("once", recoverable=True, cure="The source changed while it was read; retry."),
    Kind.CORRUPT: Policy("once", cure="The source is broken; upload it again, then retry."),
    Kind.NO_IMAGE: Policy("once", recoverable=True, cure="The provider returned no image; retry or reword."),
    Kind.MISSING: Policy("never", cure="The source is not there; upload it again, then retry."),
    Kind.AUTH: Policy("never", cure="The source refused access: check its rights, or use gs:// with a key."),
    Kind.EXPIRED_URL: Policy("never", cure="The link has expired: submit again with fresh links."),
    Kind.VALIDATION: Policy("never", cure="Correct the item and submit again."),
    Kind.BLOCKED_URL: Policy("never", cure="The message says what would allow it."),
    Kind.TOO_LARGE: Policy("never", cure="Raise the limit named in the message, or leave the item out."),
    Kind.CONTENT_BLOCKED: Policy("never", cure="The provider refused the content; reword it."),
    Kind.BUG: Policy("never", cure="This is a defect in the job type: report it with the log."),
    Kind.CRASH: Policy("never", cure="The item kills its process; look at the file, or leave it out."),
}


class ItemError(Exception):
    """One item cannot be done: `kind` says what the engine does next, `message` what the reader does.

    `retry_after_seconds` is the server's own wish (Retry-After), when it gave one.
    """

    def __init__(self, kind: Kind, message: str, *, retry_after_seconds: float | None = None) -> None:
        self.kind = kind
        self.message = scrub(message)
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{kind}: {self.message}")

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (self.kind, self.message, self.retry_after_seconds))


def _restore(kind: Kind, message: str, retry_after_seconds: float | None) -> ItemError:
    return ItemError(kind, message, retry_after_seconds=retry_after_seconds)
