"""The causes for which jobs do not run, by the names under which docs/operations.md lists them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a job is not running."""

    # of the queue and its environments
    QUEUE_DISABLED = "queue-disabled"
    QUEUE_INVALID = "queue-invalid"
    ENVIRONMENT_DISABLED = "environment-disabled"
    ENVIRONMENT_INVALID = "environment-invalid"
    FITS_NO_MACHINE = "fits-no-machine"
    MAX_TOO_SMALL = "max-vcpus-too-small"
    MAX_REACHED = "max-vcpus-reached"
    NO_WAY_OUT = "no-way-out"
    INSTANCE_ROLE = "instance-role"
    SERVICE_ROLE = "service-role"
    QUOTA = "quota"
    NO_CAPACITY = "no-capacity"
    LAUNCH_FAILS = "launch-fails"
    MACHINES_DO_NOT_JOIN = "machines-do-not-join"
    # of the job
    IMAGE_MISSING = "image-missing"
    IMAGE_NOT_PULLED = "image-not-pulled"
    NOT_SUBMITTED = "not-submitted"
    DEPENDENCY_FAILED = "dependency-failed"
    DEPENDENCY_WAITING = "dependency-waiting"
    PAUSED = "paused"
    STALLED = "stalled"
    RECLAIMED = "reclaimed"
    OUT_OF_MEMORY = "out-of-memory"
    FAILED = "failed"
    WAITING_TOO_LONG = "waiting-too-long"


class Weight(StrEnum):
    """What a finding does to a job."""

    BLOCKS = "blocks"  # nothing runs until it is cured
    WAITS = "waits"  # it passes by itself; the cure is quicker
    NOTE = "note"  # jobs run in spite of it


@dataclass(frozen=True)
class Finding:
    """One cause, where it was seen, and what to do."""

    cause: Cause
    weight: Weight
    evidence: str
    cure: str
