"""The report: what happened to every item of one generation, as JSON and as a dozen lines for people.

The models are the contract (docs/report.md); `build_report` fills them from the outcomes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from batchlab.advice import recommendations
from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.redact import scrub, scrubbed, shown
from batchlab.render import render as render  # callers find the report and its text in one place
from batchlab.status import Counts, State
from batchlab.words import counted

if TYPE_CHECKING:
    from batchlab.document import JobDocument

ITEMS_INLINE = 10_000  # about 1.5 MB of JSON; the outcomes of larger jobs are read from the ledger
SLOWEST = 10

ShownUrl = Annotated[str, AfterValidator(shown)]
Scrubbed = Annotated[str, AfterValidator(scrub)]
Stopped = Literal["cancelled", "max_failures", "deadline"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Artifact(_Part):
    """One file the job delivered."""

    name: str
    url: ShownUrl  # without user, query and fragment
    size_bytes: int = Field(ge=0)
    sha256: str | None = None  # hex
    content_type: str = "application/octet-stream"
    members: int | None = None  # files in an archive


class ItemReport(_Part):
    """What one item took."""

    key: Scrubbed
    outcome: Literal["done", "failed", "skipped"]
    size_bytes: int = 0
    seconds: float = 0.0  # all tries, waiting between them included
    megabytes_per_second: float | None = None  # None: no bytes were moved
    attempts: int = 0


class Failure(_Part):
    """Why one item is missing."""

    key: Scrubbed
    kind: Kind
    message: Scrubbed
    attempts: int = 0
    recoverable: bool = False  # a later retry may succeed although nobody mended the item


class BatchEnvironment(_Part):
    """Where in AWS Batch the last run was."""

    job_id: str
    attempt: int = 1
    array_index: int | None = None
    instance_type: str | None = None


class Environment(_Part):
    """What the job ran on: names and versions, never the value of a variable that could hold a secret."""

    python: str = ""
    platform: str = ""
    versions: dict[str, str] = {}  # of the distributions that matter
    cpus: int | None = None
    memory_mib: int | None = None  # what this process may use: the container's limit, else the machine's
    batch: BatchEnvironment | None = None


class Figures(_Part):
    """What the engine measured: bytes, waits and memory in the last run, the rest over the generation."""

    started_at: datetime
    ended_at: datetime
    peak_rss_mib: float | None = None  # of this run
    downloaded_bytes: int = 0
    uploaded_bytes: int = 0
    run_seconds: float | None = None  # in which those bytes moved; None: all the time from start to end
    waited_seconds: dict[str, float] = {}  # summed over workers, by reason: pace, rate_limit, bytes, backoff
    runs: int = 1
    interrupted: int = 0  # runs that did not reach their end


class Report(_Part):
    """The body of jobs/<id>/g<n>/report.json."""

    version: Literal[1] = 1
    id: str
    type: str
    title: Scrubbed = ""
    state: State
    generation: int = 1
    message: Scrubbed = ""  # one plain sentence
    stopped: Stopped | None = None  # why not every item was tried
    error: Scrubbed | None = None  # what stopped the whole job, when something did
    started_at: datetime  # UTC
    ended_at: datetime  # UTC
    seconds: float  # from the first start to the end, pauses between runs included
    counts: Counts
    size_bytes: int = 0  # of the items that are done
    megabytes_per_second: float | None = None
    download_megabytes_per_second: float | None = None
    upload_megabytes_per_second: float | None = None
    peak_rss_mib: float | None = None
    waited_seconds: dict[str, float] = {}
    runs: int = 1
    interrupted: int = 0
    sink: str | None = None
    failures: tuple[Failure, ...] = ()  # at most ITEMS_INLINE; failures_by_kind counts all
    failures_by_kind: dict[Kind, int] = {}  # most frequent first
    skipped_by_reason: dict[str, int] = {}
    artifacts: tuple[Artifact, ...] = ()
    recommendations: tuple[str, ...] = ()
    slowest: tuple[ItemReport, ...] = ()  # the ten that took longest, longest first
    items: tuple[ItemReport, ...] = ()  # empty when there are more than ITEMS_INLINE
    items_omitted: int = 0  # then their number; the ledger has them
    facts: Annotated[dict[str, Any], AfterValidator(scrubbed)] = {}  # what the job type adds
    environment: Environment = Environment()


def decide_state(counts: Counts, *, delivered: bool, stopped: Stopped | None, error: str | None) -> State:
    """How the generation ended (design, section 3). An error out of plan or collect fails the job."""
    if stopped == "cancelled":
        return State.CANCELLED
    if error is not None:
        return State.FAILED
    if counts.failed == 0 and counts.done == counts.total:
        return State.SUCCEEDED
    return State.PARTIAL if delivered else State.FAILED


def build_report(
    document: JobDocument,
    outcomes: Iterable[Outcome],
    artifacts: Sequence[Artifact],
    figures: Figures,
    *,
    generation: int = 1,
    stopped: Stopped | None = None,
    error: str | None = None,
    effects_survive: bool = True,
    environment: Environment | None = None,
    facts: Mapping[str, Any] | None = None,
    sink: str | None = None,
    unfinished: str | None = None,
) -> Report:
    """The report over `outcomes`, one for every key of the plan, in any order; it is read once.

    `effects_survive`: whether Done items count as delivered although there is no artifact; False for
    durable == "job" when collect did not return. `unfinished`: what is still missing although every item is
    done, a sentence.
    """
    tally = _Tally()
    for outcome in outcomes:
        tally.add(outcome)
    counts = tally.counts()
    delivered = bool(artifacts) or (counts.done > 0 and effects_survive)
    state = decide_state(counts, delivered=delivered, stopped=stopped, error=error)
    message = _sentence(state, counts, document.type)
    if unfinished:
        state = State.PARTIAL if state is State.SUCCEEDED else state
        message = f"{message} {unfinished}"
    seconds = max(0.0, (figures.ended_at - figures.started_at).total_seconds())
    report = Report(
        id=str(document.id),
        type=document.type,
        title=document.title or "",
        state=state,
        generation=generation,
        message=message,
        stopped=stopped,
        error=error,
        seconds=round(seconds, 3),
        counts=counts,
        size_bytes=counts.done_bytes,
        megabytes_per_second=_speed(counts.done_bytes, seconds),
        download_megabytes_per_second=_speed(figures.downloaded_bytes, figures.run_seconds or seconds),
        upload_megabytes_per_second=_speed(figures.uploaded_bytes, figures.run_seconds or seconds),
        failures=tuple(tally.failures),
        failures_by_kind=dict(tally.kinds.most_common()),
        skipped_by_reason=dict(tally.reasons),
        artifacts=tuple(artifacts),
        slowest=tuple(_item(outcome) for _, _, outcome in sorted(tally.slowest, reverse=True)),
        items=tuple(_item(outcome) for outcome in tally.first) if counts.total <= ITEMS_INLINE else (),
        items_omitted=counts.total if counts.total > ITEMS_INLINE else 0,
        facts=dict(facts or {}),
        environment=environment or Environment(),
        sink=sink,
        **figures.model_dump(exclude={"downloaded_bytes", "uploaded_bytes", "run_seconds"}),
    )
    return report.model_copy(update={"recommendations": recommendations(report, document.limits)})


class _Tally:
    """Adds up outcomes in one pass; what it keeps is bounded by ITEMS_INLINE, not by the job."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.kinds: Counter[Kind] = Counter()
        self.reasons: Counter[str] = Counter()
        self.done_bytes = 0
        self.failures: list[Failure] = []
        self.first: list[Outcome] = []
        self.slowest: list[tuple[float, int, Outcome]] = []  # a heap of the ten longest

    def add(self, outcome: Outcome) -> None:
        number = sum(self.outcomes.values())
        self.outcomes[outcome.outcome] += 1
        if len(self.first) < ITEMS_INLINE:
            self.first.append(outcome)
        if outcome.seconds > 0:
            heapq.heappush(self.slowest, (outcome.seconds, -number, outcome))
            if len(self.slowest) > SLOWEST:
                heapq.heappop(self.slowest)
        match outcome:
            case Done():
                self.done_bytes += outcome.size_bytes
            case Failed():
                self.kinds[outcome.kind] += 1
                if len(self.failures) < ITEMS_INLINE:
                    self.failures.append(_failure(outcome))
            case Skipped():
                self.reasons[outcome.reason] += 1

    def counts(self) -> Counts:
        return Counts(
            total=sum(self.outcomes.values()),
            done=self.outcomes["done"],
            failed=self.outcomes["failed"],
            skipped=self.outcomes["skipped"],
            total_bytes=None,
            done_bytes=self.done_bytes,
        )


def _failure(failed: Failed) -> Failure:
    return Failure(
        key=failed.key,
        kind=failed.kind,
        message=failed.message,
        attempts=failed.attempts,
        recoverable=failed.recoverable,
    )


def _item(outcome: Outcome) -> ItemReport:
    return ItemReport(
        key=outcome.key,
        outcome=outcome.outcome,
        size_bytes=outcome.size_bytes,
        seconds=round(outcome.seconds, 3),
        megabytes_per_second=_speed(outcome.size_bytes, outcome.seconds),
        attempts=outcome.attempts,
    )


def _speed(size_bytes: int, seconds: float) -> float | None:
    return round(size_bytes / 1e6 / seconds, 3) if size_bytes and seconds > 0 else None


def _sentence(state: State, counts: Counts, job_type: str) -> str:
    """What the customer's page may show: no addresses and no traces."""
    missing = counts.total - counts.done
    if state is State.SUCCEEDED:
        return f"{counted(counts.done, job_type)} done."
    if state is State.PARTIAL:
        verb = "is" if missing == 1 else "are"
        return f"{counts.done:,} of {counted(counts.total, job_type)} done; {missing:,} {verb} missing."
    if state is State.CANCELLED:
        return f"Cancelled after {counts.done:,} of {counted(counts.total, job_type)}."
    return "Nothing could be delivered."
