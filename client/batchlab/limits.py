"""How much a job may do at once, and what it may use: parts of a job document."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
)

from batchlab.durations import Duration, format_duration
from batchlab.sizes import GIB, MIB, ByteSize

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%")
_EXPECTED_FAILURES = 'expected a number of items such as 20, or a share such as "5%"'


def _most(longest: timedelta, shortest: timedelta = timedelta(0)) -> AfterValidator:
    def check(duration: timedelta) -> timedelta:
        if not shortest <= duration <= longest:
            bounds = f"{format_duration(shortest)} to {format_duration(longest)}"
            raise ValueError(f"{format_duration(duration)} is out of range: {bounds}")
        return duration

    return AfterValidator(check)


def _failures(value: Any) -> int | str:
    if isinstance(value, str):
        share = _SHARE.fullmatch(value.strip())
        if share and Fraction(share[1]) <= 100:
            return f"{float(share[1]):g}%"
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53 - 1:
        return value
    raise ValueError(_EXPECTED_FAILURES)


MaxFailures = Annotated[
    int | str,
    BeforeValidator(_failures),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9.]+ ?%$"}],
            "examples": [20, "5%"],
        }
    ),
]


class Limits(BaseModel):
    """What one run of the job may do at once. The defaults belong to version 1 of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    workers: Annotated[StrictInt, Field(ge=1, le=64, description="Items in flight at once, 1 to 64.")] = 5
    ahead_bytes: Annotated[
        ByteSize,
        Field(
            ge=1,
            le=64 * GIB,
            description='Bytes held in memory for items in flight: a whole number, or a text such as "256 MiB".',
        ),
    ] = 256 * MIB
    attempts: Annotated[StrictInt, Field(ge=1, le=20, description="Tries an item is given, 1 to 20.")] = 3
    starts_per_second: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=1_000)] | None,
        Field(description="Items started per second at most, up to 1,000; when absent, no bound."),
    ] = None
    min_interval: Annotated[
        Annotated[Duration, _most(timedelta(hours=1))] | None,
        Field(description='Time between two starts at least, such as "2s"; when absent, none.'),
    ] = None
    deadline: Annotated[
        Annotated[Duration, _most(timedelta(days=14), timedelta(milliseconds=1))] | None,
        Field(description='Time a generation may take, such as "6h"; then it delivers what it has.'),
    ] = None
    max_failures: Annotated[
        MaxFailures | None,
        Field(
            description='Failed items that are borne, as a number or a share such as "5%"; more stop the job.'
        ),
    ] = None

    def failures_allowed(self, items: int) -> int | None:
        """How many of `items` may fail before the job is stopped, a share rounded down; None: all of them."""
        if isinstance(self.max_failures, str):
            return int(items * Fraction(self.max_failures.removesuffix("%")) / 100)
        return self.max_failures


class Resources(BaseModel):
    """What a job asks of AWS Batch; on one machine it says nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue: Annotated[
        Literal["standard", "express"],
        Field(description="standard: Spot first, cheaper; express: on demand at once."),
    ] = "standard"
    vcpus: Annotated[
        Annotated[StrictInt, Field(ge=1, le=192)] | None,
        Field(description="vCPUs of the container, 1 to 192; when absent, the job definition's."),
    ] = None
    memory_mib: Annotated[
        Annotated[StrictInt, Field(ge=256, le=1_572_864)] | None,
        Field(description="Memory of the container in MiB, 256 or more; when absent, the job definition's."),
    ] = None
