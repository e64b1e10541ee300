"""How many vCPUs an environment may take, and has, changed while it is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchlab.batch.jobs import asking
from batchlab.errors import NotFound, UsageError


@dataclass(frozen=True)
class Scale:
    """The vCPUs of one compute environment."""

    environment: str  # its name
    min_vcpus: int
    desired_vcpus: int  # what it has or is getting
    max_vcpus: int


def scale_of(batch: Any, queue: str, environment: str = "") -> Scale:
    """The scale of `environment`, or of the queue's first one, which is on Spot; raises NotFound."""
    if not environment:
        with asking(f"queue {queue}"):
            queues = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
        if not queues:
            raise NotFound(f"There is no queue {queue}. Name it: --url batch://QUEUE, or the stack: --name.")
        order = sorted(queues[0]["computeEnvironmentOrder"], key=lambda each: each["order"])
        environment = order[0]["computeEnvironment"]
    with asking(f"environment {environment}"):
        found = batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
    if not found:
        raise NotFound(f"There is no compute environment {environment}. `batchlab doctor` shows them.")
    resources = found[0].get("computeResources")
    if not resources:
        raise UsageError(f"{found[0]['computeEnvironmentName']} is unmanaged: AWS Batch does not scale it.")
    return Scale(
        found[0]["computeEnvironmentName"],
        resources.get("minvCpus", 0),
        resources.get("desiredvCpus", 0),
        resources["maxvCpus"],
    )


def scale_to(batch: Any, before: Scale, *, max_vcpus: int | None, desired: int | None) -> Scale:
    """The environment may take, and is asked to have, so many vCPUs; None leaves as it is. Raises UsageError."""
    most = before.max_vcpus if max_vcpus is None else max_vcpus
    if max_vcpus is not None and max_vcpus < max(1, before.min_vcpus):
        raise UsageError(f"--max-vcpus: {max_vcpus} is less than the {before.min_vcpus} kept running.")
    # Source: AWS Batch User Guide, "Error message when you update the desiredvCpus setting"
    least = max(before.min_vcpus, before.desired_vcpus)
    if desired is not None and not least <= desired <= most:
        raise UsageError(
            f"--desired: {desired} is not between {least} and {most}. AWS Batch takes idle machines away by itself."
        )
    wanted = {
        name: value
        for name, value in (("maxvCpus", max_vcpus), ("desiredvCpus", desired))
        if value is not None
    }
    with asking(f"environment {before.environment}"):
        batch.update_compute_environment(computeEnvironment=before.environment, computeResources=wanted)
    return Scale(
        before.environment, before.min_vcpus, before.desired_vcpus if desired is None else desired, most
    )
