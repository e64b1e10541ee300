from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchlab.batch.causes import Cause, Weight
from batchlab.batch.facts import BatchJob, Container, Environment, Facts, Machine, Queue, Subnet
from batchlab.batch.findings import find
from batchlab.status import State, Status

NOW = datetime(2026, 6, 6, 12, 0, tzinfo=UTC)
PUBLIC = Subnet("subnet-1", "internet gateway", public_addresses=True)
SPOT = Environment(
    name="Spot-1",
    spot=True,
    max_vcpus=100,
    machines=(Machine("c5n.large", 2, 5376), Machine("m5n.large", 2, 8192)),
    subnets=(PUBLIC, Subnet("subnet-2", "other gateway", public_addresses=False)),
    quota_vcpus=256,
    registered=0,
)
JOB = BatchJob("b-1", "RUNNABLE", waiting_seconds=120, ahead=0)
STATUS = Status(
    id="01" + "0" * 24, type="zip-export", state=State.QUEUED, created_at=NOW - timedelta(minutes=2)
)
HEALTHY = Facts(
    queues=(Queue("lab-job-queue", (SPOT,)),),
    container=Container(
        2, 3584, "123456789012.dkr.ecr.us-east-1.amazonaws.com/lab@sha256:1", image_there=True
    ),
    now=NOW,
    job=JOB,
    status=STATUS,
)


def with_environment(**changes: Any) -> Facts:
    return replace(HEALTHY, queues=(Queue("lab-job-queue", (replace(SPOT, **changes),)),))


def with_queue(**changes: Any) -> Facts:
    return replace(HEALTHY, queues=(replace(HEALTHY.queues[0], **changes),))


def with_job(**changes: Any) -> Facts:
    return replace(HEALTHY, job=replace(JOB, **changes))


def with_container(**changes: Any) -> Facts:
    assert HEALTHY.container is not None
    return replace(HEALTHY, container=replace(HEALTHY.container, **changes))


def with_status(job: BatchJob | None, **changes: Any) -> Facts:
    return replace(HEALTHY, job=job, status=STATUS.model_copy(update=changes))


LONG = {"waiting_seconds": 3600.0}
RUNNING = BatchJob("b-1", "RUNNING")
PLANTED = {
    "queue disabled": (with_queue(enabled=False), Cause.QUEUE_DISABLED, Weight.BLOCKS),
    "queue invalid": (with_queue(status="INVALID"), Cause.QUEUE_INVALID, Weight.BLOCKS),
    "environment disabled": (with_environment(enabled=False), Cause.ENVIRONMENT_DISABLED, Weight.BLOCKS),
    "environment invalid": (
        with_environment(status="INVALID", reason="CLIENT_ERROR - Access denied"),
        Cause.ENVIRONMENT_INVALID,
        Weight.BLOCKS,
    ),
    "too much memory": (with_container(memory_mib=8192), Cause.FITS_NO_MACHINE, Weight.BLOCKS),
    "too many vCPUs": (with_container(vcpus=4), Cause.FITS_NO_MACHINE, Weight.BLOCKS),
    "maximum too small": (with_environment(max_vcpus=1), Cause.MAX_TOO_SMALL, Weight.BLOCKS),
    "maximum reached": (with_environment(desired_vcpus=100, registered=50), Cause.MAX_REACHED, Weight.WAITS),
    "no route": (
        with_environment(subnets=(Subnet("subnet-1", "", public_addresses=True),)),
        Cause.NO_WAY_OUT,
        Weight.BLOCKS,
    ),
    "no public address": (
        with_environment(subnets=(replace(PUBLIC, public_addresses=False),)),
        Cause.NO_WAY_OUT,
        Weight.BLOCKS,
    ),
    "no role": (
        with_environment(role_problem="there is no instance profile x"),
        Cause.INSTANCE_ROLE,
        Weight.BLOCKS,
    ),
    "no quota": (with_environment(quota_vcpus=0), Cause.QUOTA, Weight.BLOCKS),
    "quota used up": (
        with_environment(quota_vcpus=32, desired_vcpus=32, registered=16),
        Cause.QUOTA,
        Weight.WAITS,
    ),
    "EC2 says quota": (
        with_environment(launch_failures=("VcpuLimitExceeded: You have requested more vCPU capacity",)),
        Cause.QUOTA,
        Weight.WAITS,
    ),
    "no Spot machine": (
        with_environment(launch_failures=("UnfulfillableCapacity - Unable to fulfill capacity",)),
        Cause.NO_CAPACITY,
        Weight.WAITS,
    ),
    "AWS says capacity": (
        with_job(reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - c5n.large"),
        Cause.NO_CAPACITY,
        Weight.WAITS,
    ),
    "AWS says its role": (
        with_job(reason="MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - no right"),
        Cause.SERVICE_ROLE,
        Weight.BLOCKS,
    ),
    "launch fails": (
        with_environment(launch_failures=("InvalidParameterValue: no such snapshot",)),
        Cause.LAUNCH_FAILS,
        Weight.BLOCKS,
    ),
    "machines do not join": (
        replace(with_environment(desired_vcpus=2), job=replace(JOB, waiting_seconds=700.0)),
        Cause.MACHINES_DO_NOT_JOIN,
        Weight.BLOCKS,
    ),
    "image missing": (with_container(image_there=False), Cause.IMAGE_MISSING, Weight.BLOCKS),
    "image not pulled": (
        with_job(attempt_reasons=("CannotPullContainerError: i/o timeout",)),
        Cause.IMAGE_NOT_PULLED,
        Weight.BLOCKS,
    ),
    "not submitted": (
        with_status(None, created_at=NOW - timedelta(minutes=10)),
        Cause.NOT_SUBMITTED,
        Weight.BLOCKS,
    ),
    "dependency failed": (
        with_job(status="PENDING", dependencies=(("b-0", "FAILED"),)),
        Cause.DEPENDENCY_FAILED,
        Weight.BLOCKS,
    ),
    "failed with its dependency": (
        with_job(status="FAILED", reason="Dependent Job failed"),
        Cause.DEPENDENCY_FAILED,
        Weight.BLOCKS,
    ),
    "dependency runs": (
        with_job(status="PENDING", dependencies=(("b-0", "RUNNING"),)),
        Cause.DEPENDENCY_WAITING,
        Weight.WAITS,
    ),
    "paused by a quota": (
        with_status(None, state=State.RUNNING, resume_at=NOW + timedelta(hours=2)),
        Cause.PAUSED,
        Weight.WAITS,
    ),
    "stalled": (
        with_status(RUNNING, state=State.RUNNING, last_progress_at=NOW - timedelta(minutes=6)),
        Cause.STALLED,
        Weight.BLOCKS,
    ),
    "reclaimed": (
        with_job(
            status="FAILED", reason="Host EC2 (instance i-1) terminated.", attempt_reasons=("Host EC2",) * 10
        ),
        Cause.RECLAIMED,
        Weight.BLOCKS,
    ),
    "reclaimed and going on": (
        with_job(attempt_reasons=("Host EC2 (instance i-1) terminated.",) * 2),
        Cause.RECLAIMED,
        Weight.NOTE,
    ),
    "out of memory": (
        with_job(status="FAILED", attempt_reasons=("OutOfMemoryError: Container killed",), exit_code=137),
        Cause.OUT_OF_MEMORY,
        Weight.BLOCKS,
    ),
    "failed": (
        with_job(status="FAILED", reason="Essential container in task exited", exit_code=1),
        Cause.FAILED,
        Weight.BLOCKS,
    ),
    "waiting too long": (with_job(**LONG), Cause.WAITING_TOO_LONG, Weight.WAITS),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_cause_is_named_and_no_other(name: str) -> None:
    facts, cause, weight = PLANTED[name]
    findings = find(facts)
    assert [(finding.cause, finding.weight) for finding in findings] == [(cause, weight)]
    assert findings[0].evidence.endswith((".", "capacity", "snapshot"))
    assert findings[0].cure


def test_every_cause_is_planted_once_at_least() -> None:
    assert {cause for _, cause, _ in PLANTED.values()} == set(Cause)


@pytest.mark.parametrize(
    "facts",
    [
        HEALTHY,
        replace(HEALTHY, job=None, status=None),
        replace(HEALTHY, job=RUNNING),
        with_status(RUNNING, state=State.RUNNING, last_progress_at=NOW - timedelta(minutes=4)),
        with_job(status="SUCCEEDED"),
        with_environment(desired_vcpus=4, registered=2),
        with_environment(quota_vcpus=None, registered=None, machines=(), subnets=()),
        with_environment(subnets=(Subnet("subnet-1", "endpoints", public_addresses=False),)),
        with_environment(status="UPDATING"),
        replace(HEALTHY, queues=(Queue("q", (Environment("unmanaged"),)),)),
        with_job(status="PENDING", dependencies=(("b-0", "SUCCEEDED"),)),
    ],
)
def test_nothing_is_invented_for_a_healthy_queue(facts: Facts) -> None:
    assert find(facts) == ()


def test_what_hinders_only_one_of_two_environments_is_a_note() -> None:
    on_demand = replace(SPOT, name="OnDemand-1", spot=False)
    facts = with_queue(environments=(replace(SPOT, enabled=False), on_demand))
    assert [(each.cause, each.weight) for each in find(facts)] == [(Cause.ENVIRONMENT_DISABLED, Weight.NOTE)]
    both = with_queue(environments=(replace(SPOT, enabled=False), replace(on_demand, role_problem="no role")))
    assert {each.weight for each in find(both)} == {Weight.BLOCKS}


def test_a_long_wait_confirms_that_a_tight_container_fits_no_machine() -> None:
    tight = replace(with_container(memory_mib=7_600), job=replace(JOB, waiting_seconds=120))
    assert find(tight) == ()
    [finding] = find(replace(tight, job=replace(JOB, waiting_seconds=3600)))
    assert finding.cause is Cause.FITS_NO_MACHINE
    assert "m5n.large, has 2 vCPUs and about 7,372 MiB" in finding.evidence


def test_a_quota_below_the_maximum_is_a_note_for_the_doctor_and_nothing_for_a_job() -> None:
    facts = with_environment(quota_vcpus=32)
    assert find(facts) == ()
    assert [(each.cause, each.weight) for each in find(replace(facts, job=None))] == [
        (Cause.QUOTA, Weight.NOTE)
    ]


def test_a_job_that_waits_for_another_does_not_wait_for_machines() -> None:
    full = with_environment(desired_vcpus=100, registered=50)
    waiting = replace(JOB, status="PENDING", dependencies=(("b-0", "RUNNING"),))
    assert [each.cause for each in find(replace(full, job=waiting))] == [Cause.DEPENDENCY_WAITING]


def test_what_aws_batch_says_is_not_said_twice() -> None:
    facts = replace(
        with_container(memory_mib=9_000),
        job=replace(JOB, reason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no type fits"),
    )
    assert [each.cause for each in find(facts)] == [Cause.FITS_NO_MACHINE]


def test_the_gravest_comes_first() -> None:
    facts = replace(
        with_environment(desired_vcpus=100, registered=50),
        container=replace(HEALTHY.container, image_there=False),  # type: ignore[type-var]
    )
    assert [each.cause for each in find(facts)] == [Cause.IMAGE_MISSING, Cause.MAX_REACHED]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_is_documented(cause: Cause) -> None:
    page = Path(__file__).parents[3] / "docs" / "explain.md"
    assert f"\n| `{cause}` |" in page.read_text(encoding="utf-8")
