"""What became of an item: Done, Failed or Skipped. Every key of a plan ends with exactly one of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from batchlab.kinds import POLICIES, Kind


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    key: str  # the item's stable name in its job
    attempts: int = 0  # tries made in this generation, 0 or more
    seconds: float = 0.0  # wall time of all tries, waiting between them included
    size_bytes: int = 0  # bytes of the item that were moved


class Done(_Outcome):
    """The item's effect exists. `result` is the job type's Result model, in a ledger its JSON form."""

    outcome: Literal["done"] = "done"
    result: Any = None


class Failed(_Outcome):
    """The item could not be done; `message` is free of secrets."""

    outcome: Literal["failed"] = "failed"
    kind: Kind
    message: str

    @property
    def recoverable(self) -> bool:
        """Whether a later `retry` may succeed although nobody mended the item."""
        return POLICIES[self.kind].recoverable


class Skipped(_Outcome):
    """The item was not tried: `not_started` (the run was stopped first) or `stage` (an earlier stage failed)."""

    outcome: Literal["skipped"] = "skipped"
    reason: Literal["not_started", "stage"]


Outcome = Done | Failed | Skipped
AnyOutcome = Annotated[Outcome, Field(discriminator="outcome")]
