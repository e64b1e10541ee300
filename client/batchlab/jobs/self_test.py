"""The params of self-test: what a submission without a document runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool

from batchlab.jobs.base import JobParams
from batchlab.urls import WebUrl


class SelfTestParams(JobParams):
    """Which checks to make; the store, clock, credentials, disk, memory and job types are always looked at."""

    network: Annotated[StrictBool, Field(description="Whether to try one https request to the outside.")] = (
        True
    )
    url: Annotated[
        WebUrl | None,
        Field(description="The address that request goes to; when absent, one the job type chooses."),
    ] = None

    def divisible(self) -> bool:
        """Each machine would test the same store."""
        return False
