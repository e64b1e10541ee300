"""Handing a job to AWS Batch once, although messages come twice and functions are killed half way.

SubmitJob takes no idempotency token. So a claim is written before it (jobs/<id>/g<n>/dispatch-<phase>.json) and the
id of the Batch job after it. A claim without an id, older than any function lives, is taken over; whoever takes it
over looks for the job by its name first.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from batchlab import aws
from batchlab.batch.request import check_request
from batchlab.document import JobDocument
from batchlab.errors import ServiceError, UsageError
from batchlab.local import job_url
from batchlab.records import JobRecords
from batchlab.service.phases import ALL, Start
from batchlab.settings import Settings
from batchlab.store import JSON, AlreadyExists, Store, Stored, VersionConflict

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import ContainerOverridesTypeDef, ResourceRequirementTypeDef

CLAIM = timedelta(seconds=60)  # no function of ours lives longer, so an older claim's owner is dead
SUBMITS_PER_SECOND = (
    20.0  # of one function; two run at once, and an account has 50 (AWS Batch service quotas)
)
THROTTLED_TRIES = 6  # of one message: 10 s of back-off; then it goes back to the queue
_THROTTLES = frozenset(
    {"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"}
)


class NotYet(ServiceError):
    """The job cannot be handed over just now; the same message succeeds later."""


class Pace:
    """At most so many starts a second, evenly spaced, however many threads ask."""

    def __init__(
        self,
        per_second: float = SUBMITS_PER_SECOND,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_seconds = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Returns when the next start is due."""
        with self._lock:
            now = self._monotonic()
            mine = max(now, self._next)
            self._next = mine + self._interval_seconds
        if now < mine:
            self._sleep(mine - now)

    def back_off(self, attempt: int) -> None:
        """Sleeps up to 0.25 s, 0.5 s, ... 4 s after attempts counted from 0, at least half of it."""
        longest = min(4.0, 0.25 * 2**attempt)
        self._sleep(random.uniform(longest / 2, longest))


@dataclass(frozen=True)
class BatchPlace:
    """Where in AWS Batch jobs go."""

    standard_queue: str  # names or ARNs
    express_queue: str
    definition: str  # without a revision: the newest

    @classmethod
    def of_settings(cls, settings: Settings) -> BatchPlace:
        """Raises UsageError when one is not set."""
        place = cls(
            settings.job_queue, settings.express_job_queue or settings.job_queue, settings.job_definition
        )
        if not (place.standard_queue and place.definition):
            raise UsageError("The dispatcher needs BATCHLAB_JOB_QUEUE and BATCHLAB_JOB_DEFINITION.")
        return place


class Dispatcher:
    """Submits jobs of `store` to AWS Batch. `batch` must not retry by itself: a lost answer may be a started job."""

    def __init__(self, store: Store, batch: BatchClient, place: BatchPlace, pace: Pace | None = None) -> None:
        self._store = store
        self._batch = batch
        self._place = place
        self._pace = pace or Pace()

    def dispatch(self, job_id: str, start: Start | None = None) -> str | None:
        """Afterwards AWS Batch has this start of the job's current generation; returns the id it has there.

        Without `start` it is the whole job in one container. None: the job has ended, and there is nothing to run.
        Raises NotFound for a job that does not exist, NotYet when somebody else is at it or AWS Batch is busy.
        """
        start = start or Start()
        records = JobRecords(self._store, job_id)
        document, status = records.document(), records.status()
        if status.ended:
            return None
        claim = f"{records.folder}/g{status.generation}/dispatch-{start.phase}.json"
        name = batch_job_name(document, status.generation, start.phase)
        express = document.resources.queue == "express"
        queue = self._place.express_queue if express else self._place.standard_queue
        version, mine, taken_over = self._claim(claim, start)
        if "batch_job" in mine:
            return str(mine["batch_job"])
        earlier = [each["batch_job"] for each in mine.get("earlier", ())]
        found = self._look(queue, name, earlier) if taken_over else None
        batch_job = found or self._submit(queue, name, document, start)
        self._note(claim, version, {**mine, "batch_job": batch_job, "queue": queue})
        records.drop_pending()
        return batch_job

    def _claim(self, name: str, start: Start) -> tuple[str, JSON, bool]:
        """The claim that stands, its version, and whether it was another's whose owner may have submitted.

        One with a Batch id stays as it is, unless that is the Batch job whose place `start` takes.
        """
        now = self._store.now()
        mine: JSON = {"at": now.isoformat(), "token": secrets.token_hex(8)}
        try:
            return self._store.create(name, mine), mine, False
        except AlreadyExists:
            there = self._store.read(name)
        if there is None or not _takeable(there, now):
            raise NotYet(f"{name}: another dispatcher is submitting the job.")
        before, known = there.body.get("earlier", []), there.body.get("batch_job")
        if known is not None:
            if known != start.after:
                return there.version, there.body, False
            before = [*before, {"batch_job": known, "why": start.why}]
        if before:
            mine["earlier"] = before
        try:
            return self._store.replace(name, mine, there.version), mine, known is None
        except VersionConflict:
            raise NotYet(f"{name}: another dispatcher took the claim over.") from None

    def _look(self, queue: str, name: str, earlier: list[str]) -> str | None:
        """The Batch id of the job with this name: an earlier dispatcher submitted it and was killed."""
        try:
            found = self._batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        except Exception as error:  # noqa: BLE001  whatever it is, submitting blindly could start the job twice
            raise NotYet(aws.explained(error, f"Looking for {name} in {queue}").message) from None
        jobs = [job["jobId"] for job in found["jobSummaryList"] if job["jobId"] not in earlier]
        return jobs[0] if jobs else None

    def _submit(self, queue: str, name: str, document: JobDocument, start: Start) -> str:
        url = job_url(self._store.url, document.id)
        request: dict[str, Any] = {
            "jobName": name,
            "jobQueue": queue,
            "jobDefinition": self._place.definition,
            "parameters": {"job": url},
            "containerOverrides": _overrides(document, start, url),
        }
        if start.shards > 1:
            request["arrayProperties"] = {"size": start.shards}
        check_request(request)
        for attempt in range(THROTTLED_TRIES):
            self._pace.wait()
            try:
                answer = self._batch.submit_job(**request)
            except Exception as error:  # noqa: BLE001  BotoCoreError and ClientError, and what an HTTP library adds
                if aws.code_and_status(error)[0] not in _THROTTLES:
                    raise NotYet(aws.explained(error, f"Submitting {name} to {queue}").message) from None
                self._pace.back_off(attempt)
            else:
                return answer["jobId"]
        raise NotYet(f"Submitting {name} to {queue}: AWS Batch takes no more jobs just now.")

    def _note(self, claim: str, version: str, body: JSON) -> None:
        body = {field: value for field, value in body.items() if field != "token"}
        try:
            self._store.replace(claim, {**body, "at": self._store.now().isoformat()}, version)
        except VersionConflict:
            raise NotYet(f"{claim}: the claim ran out while the job was submitted.") from None


def batch_job_name(document: JobDocument, generation: int, phase: str = ALL) -> str:
    """What the job is called in AWS Batch: found again by it. At most 128 of A-Z, a-z, 0-9, - and _."""
    return f"{document.type}-{document.id}-g{generation}-{phase}"


def _takeable(there: Stored, now: datetime) -> bool:
    return "batch_job" in there.body or now - datetime.fromisoformat(there.body["at"]) >= CLAIM


def _overrides(document: JobDocument, start: Start, url: str) -> ContainerOverridesTypeDef:
    asked = {"VCPU": document.resources.vcpus, "MEMORY": document.resources.memory_mib}
    requirements: list[ResourceRequirementTypeDef] = [
        {"type": kind, "value": str(value)}  # type: ignore[typeddict-item]  # the keys above are the types
        for kind, value in asked.items()
        if value is not None
    ]
    overrides: ContainerOverridesTypeDef = {"resourceRequirements": requirements} if requirements else {}
    if start.phase != ALL:
        overrides["command"] = ["run", "--job", url, "--phase", start.phase]
        if start.phase == "work" and start.shards == 1:  # a child of an array is the shard of its index
            overrides["command"] += ["--shard", "1/1"]  # type: ignore[operator]  # the list above
    return overrides
