"""Jobs that AWS Batch has: described, listed, ended, and their logs read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchlab import aws
from batchlab.batch.address import BatchAddress
from batchlab.errors import NotFound
from batchlab.settings import Settings

STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
ENDED = frozenset({"SUCCEEDED", "FAILED"})
DESCRIBED_AT_ONCE = 100  # AWS Batch API Reference, DescribeJobs
DEFAULT_LOG_GROUP = "/aws/batch/job"  # of definitions that name none
_READ_ATTEMPTS = 8  # with botocore's back-off and jitter: some 30 s of a throttled account
_POLL_SECONDS = 3.0


@dataclass(frozen=True)
class LogLine:
    """One line that a container wrote."""

    at: datetime
    text: str


class BatchJobs:
    """The jobs of one address. Makes no request before the first question."""

    def __init__(self, address: BatchAddress, settings: Settings | None = None) -> None:
        self._address = address
        self._settings = settings or Settings()
        self._clients: dict[tuple[str, int], Any] = {}

    def describe(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """What AWS Batch says of these jobs; it forgets a job 7 days after its end, and such a one is left out."""
        found: list[dict[str, Any]] = []
        wanted = list(ids)
        for start in range(0, len(wanted), DESCRIBED_AT_ONCE):
            with asking("AWS Batch"):
                some = self._client("batch").describe_jobs(jobs=wanted[start : start + DESCRIBED_AT_ONCE])
            found += some["jobs"]
        return found

    def one(self, job_id: str) -> dict[str, Any]:
        """What AWS Batch says of this job; raises NotFound."""
        found = self.describe([job_id])
        if not found:
            raise NotFound(f"AWS Batch knows no job {job_id}. It forgets jobs 7 days after their end.")
        return found[0]

    def list(self, states: Sequence[str] = STATES) -> Iterator[dict[str, Any]]:
        """The queue's jobs in these states as AWS Batch summarises them, state by state."""
        batch = self._client("batch")
        for state in states:
            pages = batch.get_paginator("list_jobs").paginate(jobQueue=self._address.queue, jobStatus=state)
            with asking(f"queue {self._address.queue}"):
                for page in pages:
                    yield from page["jobSummaryList"]

    def cancel(self, job_id: str, reason: str) -> bool:
        """The job never starts; False when it had started or ended before, and nothing was done."""
        if self.one(job_id)["status"] in (*ENDED, "STARTING", "RUNNING"):
            return False
        with asking(f"job {job_id}"):
            self._client("batch").cancel_job(jobId=job_id, reason=reason)
        return True

    def terminate(self, job_id: str, reason: str) -> None:
        """The job ends wherever it stands: a running container gets SIGTERM, and SIGKILL after 30 s."""
        with asking(f"job {job_id}"):
            self._client("batch").terminate_job(jobId=job_id, reason=reason)

    def logs(
        self, job_id: str, *, follow: bool = False, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[LogLine]:
        """The lines of all starts of the job, the oldest first; `follow` goes on until it has ended."""
        behind: dict[str, str] = {}  # by stream: where the next lines begin
        while True:
            job = self.one(job_id)
            for stream in streams(job):
                yield from self._lines(log_group(job), stream, behind)
            if not follow or job["status"] in ENDED:
                return
            sleep(_POLL_SECONDS)

    def _lines(self, group: str, stream: str, behind: dict[str, str]) -> Iterator[LogLine]:
        while True:
            lines, token = self.lines(group, stream, behind.get(stream, ""))
            yield from lines
            if token == behind.get(stream, ""):  # the same token again is the end of the stream
                return
            behind[stream] = token

    def lines(self, group: str, stream: str, behind: str = "") -> tuple[Sequence[LogLine], str]:
        """The next lines of a log stream, at most 1 MB, and where those after them begin: the next `behind`."""
        wanted = {"nextToken": behind} if behind else {}
        lines: Sequence[LogLine] = ()
        # a container that has not written yet has no stream
        with asking(f"log {group}", absent=("ResourceNotFoundException",)):
            page = self._client("logs").get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **wanted
            )
            lines = tuple(
                LogLine(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"])
                for event in page["events"]
            )
            behind = page["nextForwardToken"]
        return lines, behind

    def _client(self, service: str, attempts: int = _READ_ATTEMPTS) -> Any:
        key = service, attempts
        if key not in self._clients:
            with asking(service):
                self._clients[key] = aws.service_client(service, self._address.region, attempts=attempts)
        return self._clients[key]


@contextmanager
def asking(what: str, *, absent: tuple[str, ...] = ()) -> Iterator[None]:
    """Errors of AWS come out in our words; those with a code in `absent` mean "not there" and pass silently."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if aws.code_and_status(error)[0] not in absent:
            raise aws.explained(error, what) from None


def log_group(job: dict[str, Any]) -> str:
    """Where its containers write."""
    options = job.get("container", {}).get("logConfiguration", {}).get("options", {})
    return str(options.get("awslogs-group", DEFAULT_LOG_GROUP))


def streams(job: dict[str, Any]) -> list[str]:
    """The log streams of its starts, in order; each start has its own."""
    containers = [attempt.get("container", {}) for attempt in job.get("attempts", [])]
    containers.append(job.get("container", {}))
    return list(dict.fromkeys(each["logStreamName"] for each in containers if each.get("logStreamName")))
