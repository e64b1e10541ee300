"""What is the matter with the job itself: its image, what it waits for, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from batchlab.batch.causes import Cause, Finding, Weight
from batchlab.batch.facts import BatchJob, Facts
from batchlab.status import State, stalled

STARTED = frozenset({"STARTING", "RUNNING", "SUCCEEDED", "FAILED"})
LONG_SECONDS = 20 * 60  # from zero machines a start takes 3-10 minutes (nextflow #7479)
_HANDING_OVER_SECONDS = 180  # the sweeper sends a job again after 60 s
_OUT_OF_MEMORY = "OutOfMemory"
_PULL = "CannotPullContainer"
_RECLAIM = "Host EC2"
_SIGKILL = 137


def job_findings(facts: Facts) -> Iterator[Finding]:
    """The findings of the job, our own status first; none when no job is meant."""
    status, job = facts.status, facts.job
    container = facts.container
    if (
        container is not None
        and container.image_there is False
        and (job is None or job.status != "SUCCEEDED")
    ):
        yield Finding(
            Cause.IMAGE_MISSING,
            Weight.BLOCKS,
            f"The image is not in ECR: {container.image}.",
            "Run ./deploy.sh, which builds and pushes it, or go back to one that is there: "
            "./deploy.sh --rollback DIGEST.",
        )
    if status is not None and not status.ended:
        if status.resume_at is not None and facts.now < status.resume_at:
            yield Finding(
                Cause.PAUSED,
                Weight.WAITS,
                f"A quota of the job's provider is used up; it goes on at {status.resume_at:%Y-%m-%d %H:%M} UTC.",
                "It passes by itself. Sooner: raise the provider's quota, then `batchlab retry ID`.",
            )
            return
        waited_seconds = (facts.now - status.created_at).total_seconds()
        if (
            job is None
            and facts.queues
            and status.state is State.QUEUED
            and waited_seconds >= _HANDING_OVER_SECONDS
        ):
            yield Finding(
                Cause.NOT_SUBMITTED,
                Weight.BLOCKS,
                f"The job lies in the store for {waited_seconds / 60:.0f} minutes, and AWS Batch was not given it.",
                "Look at the dispatcher's log and at the queue of dead messages (<name>-jobs-dead); "
                "docs/operations.md says how to send them again.",
            )
        if stalled(status, facts.now) and (job is None or job.status in STARTED - {"FAILED"}):
            seen = status.last_progress_at or status.started_at or status.created_at
            yield Finding(
                Cause.STALLED,
                Weight.BLOCKS,
                f"No progress since {seen:%Y-%m-%d %H:%M} UTC, although it is {status.state}.",
                "Look at its log (`aws logs tail`, docs/operations.md); ending it starts it again where it was: "
                "aws batch terminate-job --job-id "
                f"{job.id if job else 'ID'} --reason stalled, then batchlab retry {status.id}",
            )
    if job is not None:
        yield from _dependencies(job)
        yield from _starts(job)


def _dependencies(job: BatchJob) -> Iterator[Finding]:
    if job.status in STARTED - {"FAILED"}:
        return
    failed = [identity for identity, state in job.dependencies if state == "FAILED"]
    open_ones = [f"{identity} ({state})" for identity, state in job.dependencies if state != "SUCCEEDED"]
    if failed or (job.status == "FAILED" and "Dependent Job failed" in job.reason):
        yield Finding(
            Cause.DEPENDENCY_FAILED,
            Weight.BLOCKS,
            f"It depends on {', '.join(failed) or 'a job'} that failed, and AWS Batch fails it with that.",
            f"See why: batchlab explain {failed[0] if failed else 'ID'}. Then submit both again.",
        )
    elif open_ones and job.status == "PENDING":
        yield Finding(
            Cause.DEPENDENCY_WAITING,
            Weight.WAITS,
            f"It waits for {', '.join(open_ones)}.",
            f"See where that stands: batchlab explain {open_ones[0].split(' ')[0]}",
        )


def _starts(job: BatchJob) -> Iterator[Finding]:
    reasons = (*job.attempt_reasons, job.reason)
    pulls = [reason for reason in reasons if reason.startswith(_PULL)]
    if pulls and job.status != "SUCCEEDED" and job.status != "RUNNING":
        yield Finding(
            Cause.IMAGE_NOT_PULLED,
            Weight.BLOCKS,
            f"A machine could not fetch the image: {pulls[-1]}.",
            "Check that the image is there, that machines have a way out, and that the execution role may read ECR.",
        )
        return
    reclaims = sum(reason.startswith(_RECLAIM) for reason in job.attempt_reasons)
    if job.status not in ("FAILED", "SUCCEEDED") and reclaims > 1:
        yield Finding(
            Cause.RECLAIMED,
            Weight.NOTE,
            f"AWS has taken its machine back {reclaims} times; each start goes on where the last one ended.",
            "On demand that does not happen: submit it as an express job (resources.queue: express).",
        )
    if job.status != "FAILED" or "Dependent Job failed" in job.reason:
        return
    code = f", exit code {job.exit_code}" if job.exit_code is not None else ""
    last = job.attempt_reasons[-1] if job.attempt_reasons else ""
    if _OUT_OF_MEMORY in last or (job.exit_code == _SIGKILL and not last.startswith(_RECLAIM)):
        yield Finding(
            Cause.OUT_OF_MEMORY,
            Weight.BLOCKS,
            f"The container was killed, most often for want of memory{code}: {last or job.reason}.",
            "Ask for more (resources.memory_mib) or work on fewer at once (limits.workers), then batchlab retry ID.",
        )
    elif last.startswith(_RECLAIM) or job.reason.startswith(_RECLAIM):
        yield Finding(
            Cause.RECLAIMED,
            Weight.BLOCKS,
            f"AWS took the machine back, {max(reclaims, 1)} times, and the job has no start left.",
            "batchlab retry ID goes on where it was; as an express job it runs on demand (resources.queue: express).",
        )
    else:
        yield Finding(
            Cause.FAILED,
            Weight.BLOCKS,
            f"It ended: {job.reason or last or 'AWS Batch gives no reason'}{code}.",
            "Its report and log say why: batchlab status ID; batchlab items ID --failed.",
        )
