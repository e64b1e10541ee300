"""Finding the facts out: every question that is put to AWS to say why a job is not running.

What may not be asked, or is not answered, is named in `Facts.unknown` and counts for nothing. Only the first question,
for the queue or the job, must be answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from batchlab.batch.account import Asking
from batchlab.batch.collect_environment import environment_facts
from batchlab.batch.facts import BatchJob, Container, Facts, Queue
from batchlab.batch.jobs import DESCRIBED_AT_ONCE
from batchlab.errors import NotFound
from batchlab.status import Status

_WAITING = ("RUNNABLE", "STARTING", "RUNNING")


def facts_of_job(asking: Asking, job_id: str, status: Status | None = None) -> Facts:
    """The facts about one job of AWS Batch and its queue; raises NotFound."""
    found = _described(asking, [job_id])
    if not found:
        raise NotFound(f"AWS Batch knows no job {job_id}. It forgets jobs 7 days after their end.")
    job = found[0]
    queues = tuple(_queues(asking, [job["jobQueue"]]))
    return Facts(
        queues=queues,
        container=_container(asking, job.get("container", {})),
        now=datetime.now(UTC),
        job=_job(asking, job),
        status=status,
        unknown=tuple(asking.unknown),
    )


def facts_of_queues(
    asking: Asking, queues: Iterable[str], definition: str = "", status: Status | None = None
) -> Facts:
    """The facts about these queues and what the definition runs; raises NotFound when there is no queue at all."""
    wanted = list(queues)
    found = tuple(_queues(asking, wanted))
    if not found:
        raise NotFound(
            f"There is no queue {' or '.join(wanted)} in {asking.region}. Name the stack (--name), the queue "
            "(--url batch://QUEUE) or the region (AWS_DEFAULT_REGION)."
        )
    container = None
    if definition:
        active = asking.must(
            "batch", "describe_job_definitions", jobDefinitionName=definition, status="ACTIVE"
        )["jobDefinitions"]
        if active:
            newest = max(active, key=lambda each: each["revision"])
            container = _container(asking, newest.get("containerProperties", {}))
        else:
            asking.unknown.append(f"there is no active job definition {definition}")
    return Facts(found, container, datetime.now(UTC), status=status, unknown=tuple(asking.unknown))


def _described(asking: Asking, ids: list[str]) -> list[dict[str, Any]]:
    some = asking.must("batch", "describe_jobs", jobs=ids[:DESCRIBED_AT_ONCE])
    return list(some["jobs"])


def _queues(asking: Asking, names: list[str]) -> Iterable[Queue]:
    for queue in asking.must("batch", "describe_job_queues", jobQueues=names)["jobQueues"]:
        order = sorted(queue["computeEnvironmentOrder"], key=lambda each: each["order"])
        arns = [each["computeEnvironment"] for each in order]
        there = asking.must("batch", "describe_compute_environments", computeEnvironments=arns)
        environments = {
            key: each
            for each in there["computeEnvironments"]
            for key in (each["computeEnvironmentArn"], each["computeEnvironmentName"])
        }
        yield Queue(
            queue["jobQueueName"],
            tuple(environment_facts(asking, environments[arn]) for arn in arns if arn in environments),
            queue["state"] == "ENABLED",
            queue.get("status", "VALID"),
            queue.get("statusReason", "") if queue.get("status") != "VALID" else "",
        )


def _job(asking: Asking, job: dict[str, Any]) -> BatchJob:
    ids = [each["jobId"] for each in job.get("dependsOn", []) if each.get("jobId")]
    attempts = job.get("attempts", [])
    reasons = [each.get("container", {}).get("reason") or each.get("statusReason", "") for each in attempts]
    waiting_seconds = 0.0
    if not job.get("startedAt") and job.get("createdAt"):
        waiting_seconds = datetime.now(UTC).timestamp() - job["createdAt"] / 1000
    return BatchJob(
        id=job["jobId"],
        status=job["status"],
        reason=job.get("statusReason", ""),
        waiting_seconds=waiting_seconds,
        dependencies=tuple((each["jobId"], each["status"]) for each in _described(asking, ids))
        if ids
        else (),
        attempt_reasons=tuple(reason for reason in reasons if reason),
        exit_code=job.get("container", {}).get("exitCode"),
        ahead=_others(asking, job),
    )


def _others(asking: Asking, job: dict[str, Any]) -> int | None:
    """Jobs of the queue that wait or run, at most 100 of each state, without this one."""
    if job["status"] not in ("PENDING", "RUNNABLE"):
        return None
    ids: set[str] = set()
    for state in _WAITING:
        listed = asking.may(
            "jobs of the queue", "batch", "list_jobs", jobQueue=job["jobQueue"], jobStatus=state
        )
        if listed is None:
            return None
        ids |= {each["jobId"] for each in listed["jobSummaryList"]}
    return len(ids - {job["jobId"]})


def _container(asking: Asking, container: dict[str, Any]) -> Container | None:
    wants = {each["type"]: each["value"] for each in container.get("resourceRequirements", [])}
    vcpus, memory = wants.get("VCPU", container.get("vcpus")), wants.get("MEMORY", container.get("memory"))
    image = container.get("image", "")
    if vcpus is None or memory is None:
        return None
    return Container(int(float(vcpus)), int(memory), image, asking.has_image(image))
