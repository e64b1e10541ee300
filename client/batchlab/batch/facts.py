"""What is looked at to say why a job is not running: plain values, as one moment showed them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from batchlab.status import Status


@dataclass(frozen=True)
class Machine:
    """An instance type that an environment may start."""

    name: str
    vcpus: int
    memory_mib: int  # as sold; less is left for containers


@dataclass(frozen=True)
class Subnet:
    """A network in which machines start."""

    id: str
    # where traffic to the internet goes; "endpoints": nowhere, but ECS and ECR have endpoints in the network
    way_out: Literal["internet gateway", "other gateway", "endpoints", ""]
    public_addresses: bool  # machines get one; an internet gateway is of no use without


@dataclass(frozen=True)
class Environment:
    """A compute environment."""

    name: str
    enabled: bool = True
    status: str = "VALID"
    reason: str = ""  # AWS Batch's own words
    spot: bool = False
    desired_vcpus: int = 0
    max_vcpus: int | None = None  # None: AWS Batch does not scale it
    machines: tuple[Machine, ...] = ()  # empty: not known, or it has none (Fargate)
    subnets: tuple[Subnet, ...] = ()
    role_problem: str = ""  # why its machines may not join; "": nothing found
    quota_vcpus: int | None = None  # of the account in this region for these machines; None: not known
    registered: int | None = None  # machines that have joined; None: not known
    launch_failures: tuple[str, ...] = ()  # what starting machines failed with in the last hour, newest first


@dataclass(frozen=True)
class Queue:
    """A job queue with its environments in order."""

    name: str
    environments: tuple[Environment, ...] = ()
    enabled: bool = True
    status: str = "VALID"
    reason: str = ""


@dataclass(frozen=True)
class Container:
    """What a job runs in."""

    vcpus: int
    memory_mib: int
    image: str
    image_there: bool | None = None  # None: not in ECR, or not known


@dataclass(frozen=True)
class BatchJob:
    """A job as AWS Batch has it."""

    id: str
    status: str
    reason: str = ""
    waiting_seconds: float = 0.0  # since it was submitted, while it has not started
    dependencies: tuple[tuple[str, str], ...] = ()  # (Batch id, status) of jobs that it waits for
    attempt_reasons: tuple[str, ...] = ()  # why each start ended, the oldest first
    exit_code: int | None = None
    ahead: int | None = None  # jobs of the queue that wait or run, without this one; None: not counted


@dataclass(frozen=True)
class Facts:
    """Everything that was found out. What could not be asked is named and counts for nothing."""

    queues: tuple[Queue, ...]  # of the job: one; of a deployment: all
    container: Container | None  # of the job, else of the definition
    now: datetime
    job: BatchJob | None = None  # None: AWS Batch has it not, or no job is meant
    status: Status | None = None  # our own; None: no job is meant, or its store is not known
    unknown: tuple[str, ...] = ()  # what could not be looked at, and why
