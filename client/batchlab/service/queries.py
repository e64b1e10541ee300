"""What callers ask with: parameters of lists, the key of a submission, and how soon to ask again."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from batchlab.api import JobInfo
from batchlab.backend import JobQuery
from batchlab.document import JobDocument
from batchlab.errors import DocumentError
from batchlab.job_queries import moment_of, pair_of
from batchlab.service.item_pages import LONGEST_PAGE as MOST_ITEMS
from batchlab.service.listing import LONGEST_PAGE as MOST_JOBS
from batchlab.status import State

_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")


class ListQuery(BaseModel):
    """GET /v1/jobs?..."""

    model_config = ConfigDict(extra="forbid")

    status: State | None = Field(None, description="Only jobs in this state.")
    type: str | None = Field(None, max_length=40, description="Only jobs of this type.")
    tag: str | None = Field(
        None, max_length=100, description="Only jobs with this tag: name=value.", examples=["event=7"]
    )
    since: str | None = Field(
        None,
        max_length=40,
        description="Only jobs made since: 12h, 7d, a date, or a moment of RFC 3339.",
        examples=["7d"],
    )
    limit: int = Field(50, ge=1, le=MOST_JOBS, description="Jobs a page.")
    cursor: str | None = Field(None, max_length=2_000, description="`next` of the page before.")

    def asked(self, now: datetime) -> JobQuery:
        """Raises DocumentError for a tag or a time that is none."""
        return JobQuery(
            state=self.status,
            type=self.type,
            tag=pair_of("tag", self.tag) if self.tag is not None else None,
            since=moment_of("since", self.since, now) if self.since is not None else None,
            limit=self.limit,
            cursor=self.cursor,
        )


class ItemQuery(BaseModel):
    """GET /v1/jobs/{id}/items?..."""

    model_config = ConfigDict(extra="forbid")

    outcome: str | None = Field(
        None,
        pattern="^(done|failed|skipped)$",
        description="Only items with this outcome: done, failed, skipped.",
    )
    limit: int = Field(1_000, ge=1, le=MOST_ITEMS, description="Items a page.")
    cursor: str | None = Field(None, max_length=2_000, description="`next` of the page before.")


class LogQuery(BaseModel):
    """GET /v1/jobs/{id}/logs?..."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(None, max_length=2_000, description="`next` of the page before.")


def with_key(document: JobDocument, header: str | None) -> JobDocument:
    """`document` with the key of the header Idempotency-Key. Raises DocumentError when it is none, or names two."""
    if header is None:
        return document
    if not _KEY.fullmatch(header):
        raise DocumentError(
            "Idempotency-Key: expected 1 to 255 ASCII characters. Another key may stand in the document."
        )
    named = document.idempotency_key
    if named is None:
        return document.model_copy(update={"idempotency_key": header})
    if named not in (
        header,
        unquote(header),
    ):  # a header cannot spell every key, so it may be percent-encoded
        raise DocumentError(
            "Idempotency-Key: the document's idempotency_key is another one. Send one of them."
        )
    return document


def again_seconds(info: JobInfo, now: datetime) -> int | None:
    """When to look at the job next: often at first, and for a job of hours every quarter of a minute."""
    if info.ended:
        return None
    if info.resume_at is not None and info.resume_at > now:
        return min(60, int((info.resume_at - now).total_seconds()) + 1)
    age = now - info.created_at
    if age < timedelta(minutes=1):
        return 1 if age < timedelta(seconds=15) else 2
    return 5 if age < timedelta(minutes=10) else 15
