"""What AWS Batch runs next of a job: everything in one container, or plan, an array of shards, and always collect.

A decision only, made from the job's documents and from what AWS Batch says of the job it has: whoever asks again gets
the same answer. Batch's own dependencies are not used: one dead shard would end the job without a report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from batchlab.backend import Hope
from batchlab.lease import LIFETIME
from batchlab.records import JobRecords
from batchlab.status import Status
from batchlab.store import JSON

ALL = "all"  # the phase of a job that one container runs from plan to collect
IN_PHASES = ("plan", "work", "collect")
ENDED = frozenset({"SUCCEEDED", "FAILED"})
_STARTED = frozenset({"STARTING", "RUNNING"})

# Reasons for one more Batch job for a phase that had one. A pause has as many as it needs.
PAUSED = "paused"  # a quota was used up
STOOD_ASIDE = "stood aside"  # exit 0, and neither an end nor a pause: somebody else was at work
INTERRUPTED = "interrupted"  # exit 75, or machines taken back, until Batch had no start left to give
MOST_AGAIN = {STOOD_ASIDE: 1, INTERRUPTED: 2}  # each of up to 10 starts, see BATCHLAB_STACK_ATTEMPTS
_INTERRUPTED = 75
_RECLAIM = "Host EC2"  # AWS Batch User Guide, "Automated job retries": Spot took the machine

FORGOTTEN_AFTER = timedelta(days=7)  # AWS Batch User Guide, "Jobs": how long an ended job is kept at least


@dataclass(frozen=True)
class Start:
    """A Batch job that is due."""

    phase: str = ALL
    shards: int = 1  # children of an array job; 1: a job without an array
    after: str = ""  # the Batch job that this one takes the place of; "": the phase had none
    why: str = ""  # then: PAUSED, STOOD_ASIDE or INTERRUPTED


Describe = Callable[[str], dict[str, Any] | None]  # a Batch job as DescribeJobs shows it; None: not known


def next_step(records: JobRecords, describe: Describe) -> Start | Hope:
    """What is to be submitted for the job's current generation, else whether a run of it can still come."""
    status, document = records.status(), records.document()
    phases = (ALL,) if document.shards == 1 else IN_PHASES
    for phase in reversed(phases):
        claim = records.dispatched(status.generation, phase)
        if claim is None:
            continue
        if "batch_job" not in claim:
            return Start(phase, _shards(records, status, phase))  # somebody is at it, or was killed at it
        return _after(records, status, phase, claim, describe(str(claim["batch_job"])))
    return Start(phases[0])


def _after(
    records: JobRecords, status: Status, phase: str, claim: JSON, job: dict[str, Any] | None
) -> Start | Hope:
    now, since = records.store.now(), datetime.fromisoformat(claim["at"])
    if job is None and now - since < FORGOTTEN_AFTER:
        return Hope.UNKNOWN
    if job is not None and job["status"] not in ENDED:
        return Hope.RUNNING if _running(job) else Hope.WAITING
    if records.cancel_requested(status.generation):
        return Hope.OVER

    def again(why: str) -> Start:
        return Start(phase, _shards(records, status, phase), str(claim["batch_job"]), why)

    if status.resume_at is not None and since < status.resume_at:  # a run of this job set it
        return Hope.WAITING if now < status.resume_at else again(PAUSED)
    if phase == "plan" and records.planned(status.generation):
        shards = _shards(records, status, "work")
        return Start("work", shards) if shards else Start("collect")
    if phase == "work":
        return Start("collect")  # works on whatever dead shards left
    why = _why_again(job)
    if job is not None and why == STOOD_ASIDE and now - _stopped_at(job) < LIFETIME:
        return Hope.WAITING  # for whoever it stood aside for: a lease shows within a minute who that is
    before = [each["why"] for each in claim.get("earlier", ())]
    return again(why) if why and before.count(why) < MOST_AGAIN[why] else Hope.OVER


def _shards(records: JobRecords, status: Status, phase: str) -> int:
    """How many children work; 0: the plan has no items."""
    if phase != "work":
        return 1
    plan = records.plan(status.generation)
    return min(records.document().shards, len(plan["entries"])) if plan else 0


def _running(job: dict[str, Any]) -> bool:
    """The parent of an array is pending while its children run."""
    children = job.get("arrayProperties", {}).get("statusSummary", {})
    return job["status"] in _STARTED or any(children.get(state) for state in _STARTED)


def _stopped_at(job: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(job.get("stoppedAt", 0) / 1000, UTC)


def _why_again(job: dict[str, Any] | None) -> str:
    if (
        job is None or job.get("isTerminated") or job.get("isCancelled")
    ):  # somebody ended it in AWS Batch itself
        return ""
    if job["status"] == "SUCCEEDED":
        return STOOD_ASIDE
    reason = str(job.get("statusReason", ""))
    if "timeout" in reason.lower():  # "Job attempt duration exceeded timeout": ended for good, docs/aws.md
        return ""
    code = job.get("container", {}).get("exitCode")
    return INTERRUPTED if code == _INTERRUPTED or reason.startswith(_RECLAIM) else ""
