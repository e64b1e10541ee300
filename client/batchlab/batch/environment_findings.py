"""What hinders one compute environment from running a job."""

from __future__ import annotations

from collections.abc import Iterator

from batchlab.batch.causes import Cause, Finding, Weight
from batchlab.batch.facts import Container, Environment, Facts, Machine
from batchlab.batch.job_findings import LONG_SECONDS

# Kernel, ECS agent and platform keep some of a machine's memory: a machine of 8 GiB registers about 97 %, one of
# 4 GiB about 93 %. Beyond the first nothing ever fits; beyond the second it may not, which a long wait confirms.
# Source: AWS Batch User Guide, "Compute resource memory management".
_MOST_SHARE = 0.97
_SAFE_SHARE = 0.9
_JOINING_SECONDS = 600  # a machine that has not joined after ten minutes does not
_QUOTA_WORDS = ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "vCPU limit", "vCPU capacity")
_CAPACITY_WORDS = (
    *("InsufficientInstanceCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow"),
    *("do not have sufficient", "no Spot capacity"),
)
_QUOTA_CODES = {True: "L-34B43A08", False: "L-1216C47A"}  # Amazon EC2 User Guide, "Amazon EC2 service quotas"
_SPOT = {True: "Spot", False: "on demand"}


def environment_findings(environment: Environment, facts: Facts) -> Iterator[Finding]:
    """As if it were the queue's only one: what blocks it, and what a waiting job waits for."""
    yield from _state(environment)
    container = facts.container
    if container is not None:
        yield from _size(environment, container, facts)
    yield from _network(environment)
    if environment.role_problem:
        yield Finding(
            Cause.INSTANCE_ROLE,
            Weight.BLOCKS,
            f"Machines of {environment.name} cannot join: {environment.role_problem}.",
            "Run ./deploy.sh again, which makes the role; by hand: a role for ec2.amazonaws.com with "
            "AmazonEC2ContainerServiceforEC2Role in an instance profile.",
        )
    yield from _launching(environment, facts)


def _state(environment: Environment) -> Iterator[Finding]:
    said = f" AWS Batch says: {environment.reason.rstrip('.')}." if environment.reason else ""
    if not environment.enabled:
        yield Finding(
            Cause.ENVIRONMENT_DISABLED,
            Weight.BLOCKS,
            f"Environment {environment.name} is DISABLED.{said}",
            f"aws batch update-compute-environment --compute-environment {environment.name} --state ENABLED",
        )
    if environment.status not in ("VALID", "UPDATING", "CREATING"):
        yield Finding(
            Cause.ENVIRONMENT_INVALID,
            Weight.BLOCKS,
            f"Environment {environment.name} is {environment.status}.{said}",
            "Cure what AWS Batch says, then disable and enable it: aws batch update-compute-environment "
            f"--compute-environment {environment.name} --state DISABLED; the same with ENABLED.",
        )


def _size(environment: Environment, container: Container, facts: Facts) -> Iterator[Finding]:
    waited = facts.job is not None and facts.job.waiting_seconds >= LONG_SECONDS
    share = _SAFE_SHARE if waited and not environment.desired_vcpus else _MOST_SHARE
    asks = f"{container.vcpus} vCPUs and {container.memory_mib:,} MiB"
    if environment.machines and not any(_holds(each, container, share) for each in environment.machines):
        largest = max(environment.machines, key=lambda each: (each.memory_mib, each.vcpus))
        yield Finding(
            Cause.FITS_NO_MACHINE,
            Weight.BLOCKS,
            f"The job asks for {asks}, and no type of {environment.name} holds that; the largest, {largest.name}, "
            f"has {largest.vcpus} vCPUs and about {int(largest.memory_mib * _SAFE_SHARE):,} MiB to give.",
            "Ask for less (resources.vcpus, resources.memory_mib), or add larger types: "
            "BATCHLAB_STACK_INSTANCE_TYPES.",
        )
    most = environment.max_vcpus
    if most is not None and most < container.vcpus:
        yield Finding(
            Cause.MAX_TOO_SMALL,
            Weight.BLOCKS,
            f"Environment {environment.name} may have {most} vCPUs, and the job asks for {container.vcpus}.",
            f"batchlab scale --environment {environment.name} --max-vcpus {max(100, container.vcpus)}",
        )
    elif most is not None and _ready(facts) and environment.desired_vcpus + container.vcpus > most:
        ahead = f"; {facts.job.ahead} other jobs wait or run" if facts.job and facts.job.ahead else ""
        yield Finding(
            Cause.MAX_REACHED,
            Weight.WAITS,
            f"Environment {environment.name} has {environment.desired_vcpus} of at most {most} vCPUs{ahead}.",
            f"It passes as jobs end. Sooner: batchlab scale --environment {environment.name} --max-vcpus {2 * most}",
        )
    yield from _quota(environment, container, facts)


def _quota(environment: Environment, container: Container, facts: Facts) -> Iterator[Finding]:
    quota = environment.quota_vcpus
    refused = _said(environment, _QUOTA_WORDS)
    code = _QUOTA_CODES[environment.spot]
    cure = (
        f"Ask for more: Service Quotas, Amazon EC2, {code}; or: aws service-quotas "
        f"request-service-quota-increase --service-code ec2 --quota-code {code} --desired-value "
        f"{environment.max_vcpus or 100}"
    )
    kind = _SPOT[environment.spot]
    if quota is not None and quota < container.vcpus:
        yield Finding(
            Cause.QUOTA,
            Weight.BLOCKS,
            f"The account's quota is {quota} vCPUs {kind} in this region, and a job asks for {container.vcpus}.",
            cure,
        )
    elif refused:
        yield Finding(
            Cause.QUOTA, Weight.WAITS, f"{environment.name} could start no machine: {refused}", cure
        )
    elif quota is not None and environment.max_vcpus is not None and quota < environment.max_vcpus:
        full = _ready(facts) and environment.desired_vcpus + container.vcpus > quota
        if full or facts.job is None:
            yield Finding(
                Cause.QUOTA,
                Weight.WAITS if full else Weight.NOTE,
                f"The account's quota is {quota} vCPUs {kind} in this region, fewer than the "
                f"{environment.max_vcpus} that {environment.name} may have; it has {environment.desired_vcpus}.",
                cure,
            )


def _network(environment: Environment) -> Iterator[Finding]:
    closed = {each.id: "has no route to the internet" for each in environment.subnets if not each.way_out}
    closed |= {
        each.id: "has an internet gateway but gives machines no public address"
        for each in environment.subnets
        if each.way_out == "internet gateway" and not each.public_addresses
    }
    if closed:
        # Batch chooses the subnet: machines in an open one join, so only the others are lost
        weight = Weight.BLOCKS if len(closed) == len(environment.subnets) else Weight.NOTE
        yield Finding(
            Cause.NO_WAY_OUT,
            weight,
            f"Machines of {environment.name} reach neither ECS nor ECR: "
            + "; ".join(f"{subnet} {why}" for subnet, why in closed.items())
            + ".",
            "Give the subnet a default route to an internet gateway and public addresses "
            "(aws ec2 modify-subnet-attribute --map-public-ip-on-launch), or a NAT gateway "
            "(BATCHLAB_STACK_NETWORK=nat).",
        )


def _launching(environment: Environment, facts: Facts) -> Iterator[Finding]:
    shortage = _said(environment, _CAPACITY_WORDS)
    other = next(
        (
            said
            for said in environment.launch_failures
            if not any(word in said for word in (*_CAPACITY_WORDS, *_QUOTA_WORDS))
        ),
        "",
    )
    if shortage:
        yield Finding(
            Cause.NO_CAPACITY,
            Weight.WAITS,
            f"AWS has no machine for {environment.name} ({_SPOT[environment.spot]}) just now: {shortage}",
            "It passes; sooner with more instance types or zones (BATCHLAB_STACK_INSTANCE_TYPES, "
            "BATCHLAB_STACK_ZONES), or as an express job on demand (resources.queue: express).",
        )
    if other:
        yield Finding(
            Cause.LAUNCH_FAILS,
            Weight.BLOCKS,
            f"Machines of {environment.name} do not start: {other}",
            "Cure what EC2 says; ./deploy.sh makes role, launch template and network anew.",
        )
    idle = environment.desired_vcpus > 0 and environment.registered == 0 and not environment.launch_failures
    if idle and facts.job is not None and facts.job.waiting_seconds >= _JOINING_SECONDS:
        yield Finding(
            Cause.MACHINES_DO_NOT_JOIN,
            Weight.BLOCKS,
            f"{environment.name} has {environment.desired_vcpus} vCPUs, and after "
            f"{facts.job.waiting_seconds / 60:.0f} minutes none of its machines has joined the ECS cluster.",
            "Look at egress on 443 of the security group, the subnets' routes, and the machine's own log "
            "(aws ec2 get-console-output).",
        )


def _ready(facts: Facts) -> bool:
    """Whether a job waits for nothing but a machine."""
    return facts.job is not None and facts.job.status == "RUNNABLE"


def _holds(machine: Machine, container: Container, share: float) -> bool:
    return machine.vcpus >= container.vcpus and machine.memory_mib * share >= container.memory_mib


def _said(environment: Environment, words: tuple[str, ...]) -> str:
    """The newest failure that speaks of it."""
    return next((said for said in environment.launch_failures if any(word in said for word in words)), "")
