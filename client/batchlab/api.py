"""What the service answers and the client returns: the same models on both sides of the wire.

Times are UTC. Unknown fields are ignored, so that an older client reads a newer service.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from batchlab.report import Report
from batchlab.status import Counts, State

LISTED_FAILURES = 100  # in a job's answer; all of them come from its items


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Delivered(_Answer):
    """One file that a job delivered."""

    name: str
    url: str  # where it lies, such as r2://bucket/key, without query
    size_bytes: int = Field(ge=0)
    sha256: str | None = None
    members: int | None = None  # files in an archive
    link: str | None = (
        None  # https address that anybody may open until `expires_at`; None: no page, or expired
    )


class JobInfo(_Answer):
    """GET /v1/jobs/{id}: where a job stands, and what came of it once it has ended."""

    id: str
    type: str
    title: str = ""
    tags: dict[str, str] = {}
    state: State
    generation: Annotated[int, Field(ge=1)] = 1
    counts: Counts = Counts()
    stalled: bool = False  # running, and no progress for 5 minutes
    message: str = ""  # one plain sentence for the customer
    created_at: datetime
    started_at: datetime | None = None
    last_progress_at: datetime | None = None
    ended_at: datetime | None = None
    resume_at: datetime | None = None  # a quota is used up: the job goes on then by itself
    expires_at: datetime | None = None  # until then the links work
    page: str | None = None  # the customer's page
    artifacts: tuple[Delivered, ...] = ()
    report: Report | None = (
        None  # of the generation's end; without items, and with at most LISTED_FAILURES failures
    )

    @property
    def ended(self) -> bool:
        return self.state.ended


class JobSummary(_Answer):
    """A line of GET /v1/jobs."""

    id: str
    type: str
    title: str = ""
    tags: dict[str, str] = {}
    state: State
    generation: int = 1
    counts: Counts = Counts()
    stalled: bool = False
    created_at: datetime
    ended_at: datetime | None = None


class JobPage(_Answer):
    """GET /v1/jobs: the newest first. `next` is the cursor of the page behind this one, None at the end."""

    jobs: tuple[JobSummary, ...] = ()
    next: str | None = None


class ItemInfo(_Answer):
    """What became of one item, or that it has not ended."""

    key: str
    outcome: Literal["done", "failed", "skipped"]
    attempts: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    kind: str = ""  # of a failure, see docs/report.md
    message: str = ""
    recoverable: bool = False  # a retry may help although nobody mends the item


class ItemPage(_Answer):
    """GET /v1/jobs/{id}/items. Items that have not ended are not in it."""

    items: tuple[ItemInfo, ...] = ()
    next: str | None = None


class LogLine(_Answer):
    """One line that a run of the job wrote."""

    at: datetime
    text: str


class LogPage(_Answer):
    """GET /v1/jobs/{id}/logs. `next` goes on behind these lines, also when there are no more for now."""

    lines: tuple[LogLine, ...] = ()
    next: str
    ended: bool = False  # the job has ended and these were its last lines


class Link(_Answer):
    """Where the customer gets what was delivered."""

    page: str
    downloads: tuple[str, ...]  # one for each artifact
    expires_at: datetime | None = None


class Estimate(_Answer):
    """POST /v1/estimates: what a job would take. None: cannot be known; `unknown` says why, a sentence each."""

    items: int | None = None
    size_bytes: int | None = None
    sampled: int = 0  # items that were looked at to guess size_bytes; 0: all sizes were given
    seconds: float | None = None  # from the first start, waiting for a machine not included
    dollars: float | None = None
    priced_at: str = ""  # the date of the price table, YYYY-MM-DD
    assumptions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class JobTypeInfo(_Answer):
    """A line of GET /v1/job-types."""

    name: str
    params: dict[str, Any] = {}  # JSON Schema; {} when the type's params are not installed here


class Problem(_Answer):
    """Any error of the service: application/problem+json. Source: RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    problems: tuple[str, ...] = ()  # each thing that is wrong with a document
