"""The first job on a new deployment: the self-test, from the queue to its end."""

from __future__ import annotations

import re
import time
from typing import Any

from batchlab.errors import ServiceError, WaitTimeout
from batchlab.streams import say
from batchlab_infra.deploy.account import Account, Stack

# From zero machines a start takes 3-10 minutes (nextflow #7479 and others); Spot may be short for a while.
PATIENCE_SECONDS = 25 * 60.0
_LOG_LINES = 30


def smoke(
    account: Account, stack: Stack, definition: str, *, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """A self-test has run on this state of the stack; one that has already is not repeated.

    Raises ServiceError when it failed, with its log, and WaitTimeout when it does not start.
    """
    batch, queue = account.client("batch"), stack.outputs["JobQueueArn"]
    name = _name(stack)
    with account.asking("smoke job"):
        there = batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        jobs = [job["jobId"] for job in there["jobSummaryList"] if job["status"] != "FAILED"]
        if not jobs:
            submitted = batch.submit_job(jobName=name, jobQueue=queue, jobDefinition=definition)
            jobs = [submitted["jobId"]]
    say(f"smoke job: {jobs[0]}")
    job = _wait(account, batch, jobs[0], patience_seconds)
    if job["status"] == "FAILED":
        reason = job.get("statusReason", "no reason given")
        raise ServiceError(f"The smoke job failed: {reason}.\n{_log(account, stack, job)}")
    say("smoke job: succeeded")


def _name(stack: Stack) -> str:
    """Its own for each image and each change of the stack."""
    digest = re.sub(r".*sha256:", "", stack.outputs.get("Image", ""))[:12]
    return f"{stack.name}-smoke-{digest}-{int(stack.changed_at.timestamp())}"


def _wait(account: Account, batch: Any, job_id: str, patience_seconds: float) -> dict[str, Any]:
    started, pause, said = time.monotonic(), 0.5, ""
    while True:
        with account.asking(f"job {job_id}"):
            job: dict[str, Any] = batch.describe_jobs(jobs=[job_id])["jobs"][0]
        if job["status"] != said:
            said = job["status"]
            hint = "; a machine is started for it, which takes 3-10 minutes" if said == "RUNNABLE" else ""
            say(f"smoke job: {said}{hint}")
        if said in ("SUCCEEDED", "FAILED"):
            return job
        if time.monotonic() - started > patience_seconds:
            raise WaitTimeout(
                f"The smoke job {job_id} is still {said}. `batchlab explain {job_id}` says why; "
                "./deploy.sh waits for it again."
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 10)


def _log(account: Account, stack: Stack, job: dict[str, Any]) -> str:
    stream = job.get("container", {}).get("logStreamName")
    if not stream:
        return "It left no log: its container never ran."
    logs = account.client("logs")
    group = stack.outputs.get("LogGroupName", "/aws/batch/job")
    events: dict[str, Any] = {"events": []}
    with account.asking("its log", absent=("ResourceNotFoundException",)):
        events = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=_LOG_LINES)
    return "\n".join(str(event["message"]) for event in events["events"])
