"""Why a job is not running: from the facts to named causes, with evidence and cure. Pure: it asks nobody."""

from __future__ import annotations

from batchlab.batch.causes import Cause, Finding, Weight
from batchlab.batch.environment_findings import environment_findings
from batchlab.batch.facts import Facts, Queue
from batchlab.batch.job_findings import LONG_SECONDS, STARTED, job_findings

# Source: AWS Batch User Guide, "Jobs stuck in a RUNNABLE status": the beginning of statusReason
_OF_AWS = {
    "CAPACITY:": Cause.NO_CAPACITY,
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE": Cause.MAX_TOO_SMALL,
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT": Cause.FITS_NO_MACHINE,
    "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS": Cause.SERVICE_ROLE,
    "MISCONFIGURATION:": Cause.LAUNCH_FAILS,
    "ACTION_REQUIRED": Cause.LAUNCH_FAILS,
}
_ORDER = {weight: place for place, weight in enumerate(Weight)}


def find(facts: Facts) -> tuple[Finding, ...]:
    """Every cause that the facts show, the gravest first; empty when nothing stands in the way."""
    found = list(job_findings(facts))
    if facts.job is None or facts.job.status not in STARTED:
        for queue in facts.queues:
            found += _of_queue(queue, facts)
        found += _of_aws(facts, {finding.cause for finding in found})
    job = facts.job
    hindered = any(finding.weight is not Weight.NOTE for finding in found)
    if job and job.status == "RUNNABLE" and job.waiting_seconds >= LONG_SECONDS and not hindered:
        behind = f", and {job.ahead} jobs are in the queue with it" if job.ahead else ""
        found.append(
            Finding(
                Cause.WAITING_TOO_LONG,
                Weight.WAITS,
                f"The job is RUNNABLE for {job.waiting_seconds / 60:.0f} minutes{behind}, and nothing known "
                "stands in its way.",
                "Look at the Auto Scaling group and the ECS cluster of the environment in the AWS console; "
                "an express job runs on demand: resources.queue: express.",
            )
        )
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: _ORDER[finding.weight]))


def _of_queue(queue: Queue, facts: Facts) -> list[Finding]:
    found = []
    said = f" AWS Batch says: {queue.reason}." if queue.reason else ""
    if not queue.enabled:
        found.append(
            Finding(
                Cause.QUEUE_DISABLED,
                Weight.BLOCKS,
                f"Queue {queue.name} is DISABLED.{said}",
                f"aws batch update-job-queue --job-queue {queue.name} --state ENABLED",
            )
        )
    if queue.status not in ("VALID", "UPDATING", "CREATING"):
        found.append(
            Finding(
                Cause.QUEUE_INVALID,
                Weight.BLOCKS,
                f"Queue {queue.name} is {queue.status}.{said}",
                "Run ./deploy.sh again; it makes the queue anew.",
            )
        )
    each = [list(environment_findings(environment, facts)) for environment in queue.environments]
    blocked = [any(finding.weight is Weight.BLOCKS for finding in findings) for findings in each]
    waiting = [any(finding.weight is not Weight.NOTE for finding in findings) for findings in each]
    for findings in each:
        for finding in findings:
            others_run = not all(blocked) if finding.weight is Weight.BLOCKS else not all(waiting)
            weight = Weight.NOTE if others_run else finding.weight
            found.append(Finding(finding.cause, weight, finding.evidence, finding.cure))
    return found


def _of_aws(facts: Facts, known: set[Cause]) -> list[Finding]:
    """What AWS Batch itself says of a waiting job, unless it is said already."""
    reason = facts.job.reason if facts.job and facts.job.status == "RUNNABLE" else ""
    cause = next((cause for start, cause in _OF_AWS.items() if reason.startswith(start)), None)
    if cause is None or cause in known:
        return []
    weight = Weight.WAITS if cause is Cause.NO_CAPACITY else Weight.BLOCKS
    cure = CURES_OF_AWS.get(cause, "Run `batchlab doctor`, and look at the environment in the AWS console.")
    return [Finding(cause, weight, f"AWS Batch says: {reason}.", cure)]


CURES_OF_AWS = {
    Cause.NO_CAPACITY: "It passes; sooner with more instance types or zones (BATCHLAB_STACK_INSTANCE_TYPES, "
    "BATCHLAB_STACK_ZONES), or as an express job on demand (resources.queue: express).",
    Cause.MAX_TOO_SMALL: "Allow more: batchlab scale --max-vcpus N.",
    Cause.FITS_NO_MACHINE: "Ask for less (resources.vcpus, resources.memory_mib), or add larger types: "
    "BATCHLAB_STACK_INSTANCE_TYPES.",
    Cause.SERVICE_ROLE: "AWS Batch lacks rights: remove what forbids its service-linked role "
    "(AWSServiceRoleForBatch) something, or make the role: aws iam create-service-linked-role "
    "--aws-service-name batch.amazonaws.com",
}
