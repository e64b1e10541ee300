"""Where a job stands: the small document that every writer may move, only forward."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from batchlab.redact import scrub

STALLED_AFTER = timedelta(minutes=5)


class State(StrEnum):
    """What a job is doing or how it ended."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"  # nothing failed, nothing not started
    PARTIAL = "partial"  # something was delivered, something is missing
    FAILED = "failed"  # nothing was delivered
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # it had ended, and its artifacts are deleted

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset({State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED, State.EXPIRED})

_RANKS = {
    State.QUEUED: 0,
    State.STARTING: 1,
    State.RUNNING: 2,
    State.CANCELLING: 3,
    State.SUCCEEDED: 4,
    State.PARTIAL: 4,
    State.FAILED: 4,
    State.CANCELLED: 4,
    State.EXPIRED: 5,
}

# Design, section 3: what the CLI exits with when a job has ended so.
_EXIT_CODES = {
    State.SUCCEEDED: 0,
    State.FAILED: 1,
    State.PARTIAL: 3,
    State.CANCELLED: 4,
    State.EXPIRED: 4,
}


class Counts(BaseModel):
    """Items and bytes of one generation; done + failed + skipped + in_flight is at most total."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: int = Field(0, ge=0)  # items of the plan
    done: int = Field(0, ge=0)
    failed: int = Field(0, ge=0)
    skipped: int = Field(0, ge=0)
    in_flight: int = Field(0, ge=0)
    total_bytes: int | None = Field(None, ge=0)  # None: not every size is known
    done_bytes: int = Field(0, ge=0)

    @property
    def ended(self) -> int:
        """Items that have their outcome."""
        return self.done + self.failed + self.skipped

    def __add__(self, other: Counts) -> Counts:
        """The sum over shards; a total of bytes is known only when both are."""
        known = self.total_bytes is not None and other.total_bytes is not None
        return Counts(
            total=self.total + other.total,
            done=self.done + other.done,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            in_flight=self.in_flight + other.in_flight,
            total_bytes=(self.total_bytes or 0) + (other.total_bytes or 0) if known else None,
            done_bytes=self.done_bytes + other.done_bytes,
        )


class Status(BaseModel):
    """The body of jobs/<id>/status.json. Times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str
    title: str = ""
    state: State
    generation: int = Field(1, ge=1)
    counts: Counts = Counts()
    created_at: datetime
    started_at: datetime | None = None  # of this generation
    last_progress_at: datetime | None = None
    ended_at: datetime | None = None
    resume_at: datetime | None = None  # a quota is used up: the next run starts then
    expires_at: datetime | None = None  # when what was delivered is deleted
    message: Annotated[str, AfterValidator(scrub)] = ""  # one plain sentence for the customer
    artifacts: tuple[str, ...] = ()  # names of what was delivered

    @property
    def rank(self) -> tuple[int, int]:
        """(generation, rank of the state): a status replaces another only when this does not go back."""
        return (self.generation, _RANKS[self.state])

    @property
    def ended(self) -> bool:
        return self.state.ended

    def may_follow(self, earlier: Status | None) -> bool:
        """Whether this may be written over `earlier`: forward, or the same state again; an end stays."""
        if earlier is None or self.rank > earlier.rank:
            return True
        return self.rank == earlier.rank and self.state == earlier.state


def exit_code(state: State) -> int:
    """0 succeeded, 1 failed, 3 partial, 4 cancelled or expired; ValueError when the job has not ended."""
    if state not in _EXIT_CODES:
        raise ValueError(f"A job that is {state} has no exit code yet.")
    return _EXIT_CODES[state]


def stalled(status: Status, now: datetime) -> bool:
    """Whether a running job made no progress for 5 minutes; one that waits for its quota is not stalled."""
    if status.state not in (State.RUNNING, State.CANCELLING):
        return False
    if status.resume_at is not None and now < status.resume_at + STALLED_AFTER:
        return False
    seen = status.last_progress_at or status.started_at or status.created_at
    return now - seen >= STALLED_AFTER
