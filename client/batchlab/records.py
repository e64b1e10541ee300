"""Every document of one job, typed. The layout stands in docs/decisions/0003; names are relative to the store."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from batchlab.authority import Authority
from batchlab.document import JobDocument, digest
from batchlab.errors import Damaged, DocumentError, KeyTaken, NotFound
from batchlab.job_index import index_name
from batchlab.lease import ALL, Lease, Waiting, acquire, held
from batchlab.ledger import fold
from batchlab.outcome import Outcome
from batchlab.report import Report
from batchlab.status import State, Status
from batchlab.store import JSON, AlreadyExists, Store, VersionConflict

M = TypeVar("M", bound=BaseModel)


class JobRecords:
    """The documents of the job `job_id` in `store`."""

    def __init__(self, store: Store, job_id: str) -> None:
        self.store = store
        self.id = job_id
        self.folder = f"jobs/{job_id}"
        self._document: JobDocument | None = None  # it is written once

    # -- what the job is -----------------------------------------------------------------------------------

    def document(self) -> JobDocument:
        """Raises NotFound when the job does not exist."""
        if self._document is not None:
            return self._document
        found = self.store.read(f"{self.folder}/job.json")
        if found is None:
            raise NotFound(
                f"There is no job {self.id} in {self.store.url}. `batchlab list` shows what is there."
            )
        self._document = _read_as(JobDocument, found.body, f"{self.folder}/job.json")
        return self._document

    def exists(self) -> bool:
        """Whether the job does: its submission got as far as job.json."""
        return next(self.store.names(f"{self.folder}/job.json"), None) is not None

    def has_page(self) -> bool:
        """Whether the job has a token (`batchlab.page.token`): somebody may have its page's address."""
        return self.store.read(f"{self.folder}/page.json") is not None

    def create_document(self, document: JobDocument) -> None:
        """From here the job exists. Raises AlreadyExists."""
        self.store.create(f"{self.folder}/job.json", document.as_json())

    def grant(self) -> Authority | None:
        """What the user of the command line allowed this job; None for a submitted one."""
        found = self.store.read(f"{self.folder}/grant.json")
        return None if found is None else Authority.from_json(found.body)

    def save_grant(self, authority: Authority) -> None:
        self.store.put(f"{self.folder}/grant.json", authority.as_json())

    # -- where it stands -----------------------------------------------------------------------------------

    def status(self) -> Status:
        """Raises NotFound when the job does not exist; a job whose submission broke off here is queued."""
        return self._status() or queued(self.document(), self.pending_since() or self.store.now())

    def create_status(self, status: Status) -> None:
        """The first status of the job. Raises AlreadyExists."""
        self.store.create(f"{self.folder}/status.json", status.model_dump(mode="json", exclude_defaults=True))

    def list_and_queue(self, document: JobDocument) -> None:
        """The job has its place in the index and its first status. May be repeated at any time."""
        since = (
            self.pending_since()
        )  # before the status is read: pending is dropped only after that is written
        status = self._status()
        if status is None and since is None:
            status = self._create_status(document, self.store.now())
        # whichever there is remembers the time, so a repetition names it alike
        created_at = status.created_at if status else since
        assert created_at is not None
        with contextlib.suppress(AlreadyExists):
            self.store.create(index_name(document, created_at), {})
        if status is None:
            self._create_status(document, created_at)

    def _create_status(self, document: JobDocument, created_at: datetime) -> Status:
        with contextlib.suppress(AlreadyExists):
            self.create_status(queued(document, created_at))
        return self.status()

    def _status(self) -> Status | None:
        found = self.store.read(f"{self.folder}/status.json")
        return None if found is None else _read_as(Status, found.body, f"{self.folder}/status.json")

    def save_status(self, status: Status) -> Status:
        """Writes `status` unless a later one is there; returns the one that stands."""
        name = f"{self.folder}/status.json"
        while True:
            found = self.store.read(name)
            before = _read_as(Status, found.body, name) if found else None
            if not status.may_follow(before):
                assert before is not None
                return before
            body = status.model_dump(mode="json", exclude_defaults=True)
            try:
                if found is None:
                    self.store.create(name, body)
                else:
                    self.store.replace(name, body, found.version)
                return status
            except (AlreadyExists, VersionConflict):
                continue

    def ask_to_cancel(self, generation: int) -> None:
        """Its existence asks the run to stop; asking twice is once."""
        self.ask_to_stop(generation, "cancel", "Cancelled.")

    def ask_to_stop(self, generation: int, reason: str, message: str) -> None:
        """The same for another reason: what ends one shard for good ends all. The first wish counts."""
        body = {"at": _now(self.store), "reason": reason, "message": message}
        with contextlib.suppress(AlreadyExists):
            self.store.create(self._name(generation, "cancel.json"), body)

    def stop_wish(self, generation: int) -> JSON | None:
        """{"reason": "cancel" or what ended a shard, "message"}; None when nobody asked."""
        found = self.store.read(self._name(generation, "cancel.json"))
        return None if found is None else {"reason": "cancel", "message": "Cancelled.", **found.body}

    def cancel_requested(self, generation: int) -> bool:
        wish = self.stop_wish(generation)
        return wish is not None and wish["reason"] == "cancel"

    def start_retry(self) -> Status:
        """Generation n+1, queued. Raises DocumentError unless the job ended partial, failed or cancelled."""
        status = self.status()
        if status.state not in (State.PARTIAL, State.FAILED, State.CANCELLED):
            raise DocumentError(
                f"Job {self.id} is {status.state}; only a partial, failed or cancelled job can be retried."
            )
        fresh = Status(
            id=status.id,
            type=status.type,
            title=status.title,
            state=State.QUEUED,
            generation=status.generation + 1,
            created_at=status.created_at,
        )
        return self.save_status(fresh)

    # -- one generation ------------------------------------------------------------------------------------

    def lease(
        self, generation: int, run: str, *, shard: int = 0, waiting: Waiting | None = None
    ) -> Lease | None:
        """The right to work on shard 1, 2, ...; with 0 on everything, while nobody works on a shard."""
        name = f"lease-work-{shard}.json" if shard else ALL
        return acquire(self.store, self._name(generation, name), run, waiting=waiting)

    def at_work(self, generation: int) -> bool:
        """Whether a run holds a lease of the generation, and is not known to be dead."""
        return held(self.store, self._name(generation, ""))

    def plan(self, generation: int) -> JSON | None:
        found = self.store.read(self._name(generation, "plan.json"))
        return None if found is None else found.body

    def planned(self, generation: int) -> bool:
        return next(self.store.names(self._name(generation, "plan.json")), None) is not None

    def dispatched(self, generation: int, phase: str) -> JSON | None:
        """What batchlab.service.dispatch keeps of the phase's way to AWS Batch."""
        found = self.store.read(self._name(generation, f"dispatch-{phase}.json"))
        return None if found is None else found.body

    def note_batch_job(self, generation: int, phase: str, batch_job: str, queue: str) -> bool:
        """AWS Batch has the phase already, by another way than our dispatcher; False when that was known."""
        body = {"at": _now(self.store), "batch_job": batch_job, "queue": queue}
        try:
            self.store.create(self._name(generation, f"dispatch-{phase}.json"), body)
        except AlreadyExists:
            return False
        return True

    def save_plan(self, generation: int, plan: JSON) -> None:
        self.store.create(self._name(generation, "plan.json"), plan)

    def runs(self, generation: int) -> dict[str, JSON]:
        """The documents of all runs so far, by run, the oldest first."""
        folder = self._name(generation, "runs/")
        found = ((name, self.store.read(name)) for name in list(self.store.names(folder)))
        return {name.removeprefix(folder).removesuffix(".json"): run.body for name, run in found if run}

    def save_run(self, generation: int, run: str, body: JSON) -> None:
        self.store.put(self._name(generation, f"runs/{run}.json"), body)

    def report(self, generation: int) -> Report | None:
        name = self._name(generation, "report.json")
        found = self.store.read(name)
        return None if found is None else _read_as(Report, found.body, name)

    def create_report(self, generation: int, report: Report) -> Report:
        """The generation's one report: this one, or the one that was there first."""
        try:
            self.store.create(self._name(generation, "report.json"), report.model_dump(mode="json"))
        except AlreadyExists:
            there = self.report(generation)
            assert there is not None
            return there
        return report

    def create_pending(self) -> None:
        """The job is on its way to whoever runs it: a sweeper sees that it gets there."""
        with contextlib.suppress(AlreadyExists):
            self.store.create(f"pending/{self.id}", {"at": _now(self.store)})

    def pending(self) -> JSON | None:
        """{"at"} of a job on its way, {"not_before"} of one that goes on by itself then, None of any other."""
        found = self.store.read(f"pending/{self.id}")
        return None if found is None else found.body

    def pending_since(self) -> datetime | None:
        """When the job was put on its way; None when it is on none."""
        at = (self.pending() or {}).get("at")
        return datetime.fromisoformat(at) if at else None

    def save_pending(self, not_before: datetime) -> None:
        """A sweeper starts the job again then."""
        self.store.put(f"pending/{self.id}", {"not_before": not_before.isoformat()})

    def drop_pending(self) -> None:
        """Nobody starts the job again by itself."""
        self.store.delete(f"pending/{self.id}")

    def _name(self, generation: int, name: str) -> str:
        return f"{self.folder}/g{generation}/{name}"


def queued(document: JobDocument, created_at: datetime) -> Status:
    """The first status of a job."""
    return Status(
        id=document.id,
        type=document.type,
        title=document.title,
        state=State.QUEUED,
        created_at=created_at,
    )


def submit_locally(store: Store, document: JobDocument, grant: Authority | None = None) -> JobRecords:
    """Makes the job exist in `store`, once: a repeated submission gives the same job. Nobody is asked to run it.

    Raises DocumentError when the id already belongs to another document, KeyTaken when the idempotency key does.
    """
    records = create_job(store, document, grant, pending=False)
    records.list_and_queue(records.document())
    return records


def create_job(store: Store, document: JobDocument, grant: Authority | None, *, pending: bool) -> JobRecords:
    """From here the job exists; `list_and_queue` comes next. `pending`: a sweeper sees that it does, and runs.

    Every step is create-only and may be repeated, so two who submit one job at once write the same documents, and
    a key whose job was never written gets the job that its next submission brings.
    """
    if document.idempotency_key is not None:
        document = document.model_copy(update={"id": _claim_key(store, document)})
    records = JobRecords(store, document.id)
    known = _refuse_another(records, document)  # before the grant: nobody widens what another job may touch
    if pending and not known:  # else it stands there still, or whoever runs the job has it
        records.create_pending()
    if grant is not None:
        records.save_grant(grant)
    try:
        records.create_document(document)
    except AlreadyExists:
        _refuse_another(records, document)
    return records


def _refuse_another(records: JobRecords, document: JobDocument) -> bool:
    """Whether the job exists; raises DocumentError when it asks for something else."""
    try:
        there = records.document()
    except NotFound:
        return False
    if digest(there) != digest(document):
        raise DocumentError(f"id: job {records.id} exists with another content. Leave the id out.")
    return True


def key_name(idempotency_key: str) -> str:
    """The document that says which job has the key."""
    return f"keys/{hashlib.sha256(idempotency_key.encode()).hexdigest()}.json"


def _claim_key(store: Store, document: JobDocument) -> str:
    """The id of the job that has this idempotency key."""
    assert document.idempotency_key is not None
    name = key_name(document.idempotency_key)
    mine = digest(document)
    try:
        store.create(name, {"id": document.id, "digest": mine, "at": _now(store)})
        return document.id
    except AlreadyExists:
        found = store.read(name)
        assert found is not None
    if found.body["digest"] != mine:
        raise KeyTaken(
            f"idempotency_key: job {found.body['id']} has it already, with another content. "
            "Use a new key for a new job."
        )
    return str(found.body["id"])


def at_its_end(document: JobDocument, report: Report) -> JSON:
    """What the status says of a generation with this report, besides its state."""
    kept = document.expires if report.artifacts else None
    return {
        "counts": report.counts,
        "ended_at": report.ended_at,
        "expires_at": report.ended_at + kept if kept is not None else None,
        "resume_at": None,
        "message": report.message,
        "artifacts": tuple(artifact.name for artifact in report.artifacts),
    }


def outcomes_of(records: JobRecords, generation: int) -> dict[str, Outcome]:
    """What the ledger says of each item so far."""
    return fold(records.store, records.id, generation).outcomes


def _now(store: Store) -> Any:
    return store.now().isoformat()


def _read_as(model: type[M], body: JSON, name: str) -> M:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise Damaged(
            f"{name} in the store cannot be read ({'.'.join(map(str, problem['loc']))}: {problem['msg']}). "
            "Was it written by a newer version of batchlab?"
        ) from None
