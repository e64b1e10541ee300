"""Handing a job to AWS Batch once, although messages come twice and functions are killed half way.

SubmitJob takes no idempotency token. So a claim is written before it (jobs/<id>/g<n>/dispatch-<phase>.json) and the
id of the Batch job after it. A claim without an id, older than any function lives, is taken over; whoever takes it
over looks for the job by its name first.
"""

from __future__ import annotations

import random
import secrets
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
from batchlab.settings import Settings
from batchlab.store import JSON, AlreadyExists, Store, Stored, VersionConflict

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import ContainerOverridesTypeDef, ResourceRequirementTypeDef

ALL = "all"  # the phase of a job that one container runs from plan to collect
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
    """At most so many starts a second, evenly spaced."""

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

    def wait(self) -> None:
        """Returns when the next start is due."""
        now = self._monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._interval_seconds

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

    def dispatch(self, job_id: str, phase: str = ALL) -> str | None:
        """Afterwards AWS Batch has the job's current generation; returns the id it has there.

        None: the job has ended, and there is nothing to run. Raises NotFound for a job that does not exist, NotYet
        when somebody else is at it or AWS Batch is busy.
        """
        records = JobRecords(self._store, job_id)
        document, status = records.document(), records.status()
        if status.ended:
            return None
        claim = f"{records.folder}/g{status.generation}/dispatch-{phase}.json"
        name = batch_job_name(document, status.generation, phase)
        queue = (
            self._place.express_queue if document.resources.queue == "express" else self._place.standard_queue
        )
        version, earlier = self._claim(claim)
        if earlier is not None and "batch_job" in earlier:
            return str(earlier["batch_job"])
        found = self._look(queue, name) if earlier is not None else None
        batch_job = found or self._submit(queue, name, document)
        self._note(claim, version, batch_job, queue)
        records.drop_pending()
        return batch_job

    def _claim(self, name: str) -> tuple[str, JSON | None]:
        """The version of our claim, and the claim that it took over; one with a Batch id stays as it is."""
        now = self._store.now()
        mine = {"at": now.isoformat(), "token": secrets.token_hex(8)}
        try:
            return self._store.create(name, mine), None
        except AlreadyExists:
            there = self._store.read(name)
        if there is None or not _takeable(there, now):
            raise NotYet(f"{name}: another dispatcher is submitting the job.")
        if "batch_job" in there.body:
            return there.version, there.body
        try:
            return self._store.replace(name, mine, there.version), there.body
        except VersionConflict:
            raise NotYet(f"{name}: another dispatcher took the claim over.") from None

    def _look(self, queue: str, name: str) -> str | None:
        """The Batch id of the job with this name: an earlier dispatcher submitted it and was killed."""
        try:
            found = self._batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
        except Exception as error:  # noqa: BLE001  whatever it is, submitting blindly could start the job twice
            raise NotYet(aws.explained(error, f"Looking for {name} in {queue}").message) from None
        jobs = found["jobSummaryList"]
        return jobs[0]["jobId"] if jobs else None

    def _submit(self, queue: str, name: str, document: JobDocument) -> str:
        request: dict[str, Any] = {
            "jobName": name,
            "jobQueue": queue,
            "jobDefinition": self._place.definition,
            "parameters": {"job": job_url(self._store.url, document.id)},
            "containerOverrides": _overrides(document),
        }
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

    def _note(self, claim: str, version: str, batch_job: str, queue: str) -> None:
        body = {"at": self._store.now().isoformat(), "batch_job": batch_job, "queue": queue}
        try:
            self._store.replace(claim, body, version)
        except VersionConflict:
            raise NotYet(f"{claim}: the claim ran out while the job was submitted.") from None


def batch_job_name(document: JobDocument, generation: int, phase: str = ALL) -> str:
    """What the job is called in AWS Batch: found again by it. At most 128 of A-Z, a-z, 0-9, - and _."""
    return f"{document.type}-{document.id}-g{generation}-{phase}"


def _takeable(there: Stored, now: datetime) -> bool:
    return "batch_job" in there.body or now - datetime.fromisoformat(there.body["at"]) >= CLAIM


def _overrides(document: JobDocument) -> ContainerOverridesTypeDef:
    asked = {"VCPU": document.resources.vcpus, "MEMORY": document.resources.memory_mib}
    requirements: list[ResourceRequirementTypeDef] = [
        {"type": kind, "value": str(value)}  # type: ignore[typeddict-item]  # the keys above are the types
        for kind, value in asked.items()
        if value is not None
    ]
    overrides: dict[str, Any] = {"resourceRequirements": requirements} if requirements else {}
    return overrides  # type: ignore[return-value]  # of the one optional field
