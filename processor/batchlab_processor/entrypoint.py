"""What `batchlab-processor run` does inside the worker process: from its argument to a run and an exit code."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from batchlab.authority import Authority
from batchlab.document import JobDocument, load_document
from batchlab.errors import DocumentError, NotFound, ServiceError, UsageError
from batchlab.ids import id_from_batch_job, id_from_bits, is_id, new_id
from batchlab.kinds import ItemError, Kind
from batchlab.plain import quoted
from batchlab.problems import problems_of
from batchlab.reading import LARGEST_BYTES, read_text
from batchlab.records import JobRecords, submit_locally
from batchlab.render import render
from batchlab.settings import Settings
from batchlab.shards import Phase, Shard
from batchlab.status import State
from batchlab.store import Store
from batchlab.stores import open_store
from batchlab.stores.memory import MemoryStore
from batchlab.streams import say, write_data
from batchlab.timer import watch
from batchlab_processor import engine, registry
from batchlab_processor.display import choose_display
from batchlab_processor.environment import describe
from batchlab_processor.interrupt import EXIT_INTERRUPTED
from batchlab_processor.metrics import emit
from batchlab_processor.page_writer import PageWriter
from batchlab_processor.storage import open_storage
from batchlab_processor.supervisor import new_run

SELF_TEST = '{"type": "self-test", "title": "Self-test"}'

_EXPECTED = "A job is a URL, a path, JSON, or the id of a job of the store."
_FIRST_LOOK = timedelta(minutes=10)  # by then AWS Batch has sent its events, unless one was lost

logger = logging.getLogger("batchlab")


@dataclass(frozen=True)
class Call:
    """The command line of `run`, and what the supervisor says."""

    job: str  # a URL, a path, the document itself as JSON or the id of a job of the store; "": the self-test
    settings: Settings
    as_json: bool = False
    quiet: bool = False
    json_logs: bool = False
    dry_run: bool = False  # say what would be done, in a store that is thrown away
    phase: Phase = "all"
    shard: Shard = field(default_factory=Shard)
    run: str = ""
    crashed: str = ""
    job_bits: int = 0  # the id of a document that brings none; 0: a fresh one


def run(call: Call) -> int:
    """Runs the job; returns the exit code of docs/cli.md, in AWS Batch 0 for partial and for a pause."""
    settings = call.settings
    store = open_store(settings.store, settings=settings)
    if call.dry_run and not _id_in_store(call.job, store):
        store = MemoryStore()
    records, authority = accept(call, store)
    _join(records, call)
    document = records.document()
    job = registry.job_type(document.type)
    try:
        document.params_as(job.params)
    except ValidationError as error:  # accepted by another version than this one
        raise DocumentError(problems_of(error, job.params, root="params")) from None
    page = PageWriter(records, settings, call.shard)
    door = engine.Door(
        storage=open_storage(settings, authority),
        authority=authority,
        display=choose_display(
            quiet=call.quiet or call.as_json,
            job_id=document.id,
            json_logs=call.json_logs,
        ),
        passwords=settings.password,
        entries=settings.named.entry,
        run=call.run or new_run(),
        crashed=call.crashed,
        paused_exit_code=0 if settings.in_batch else EXIT_INTERRUPTED,
        environment=describe(settings),
        follow=page.follow,
        phase=call.phase,
        shard=call.shard,
    )
    if call.dry_run:
        lines = engine.preview(records, job, door)
        write_data(json.dumps(list(lines)) if call.as_json else "\n".join(lines))
        return 0
    with page:
        end = engine.run(records, job, door)
    _tell(end, call)
    return 0 if settings.in_batch and end.state is State.PARTIAL else end.exit_code


def accept(call: Call, store: Store) -> tuple[JobRecords, Authority]:
    """The job that the argument means, in the store, and what it may touch.

    A document in the store's own jobs/ is run; any other is validated like a submission and copied there, and
    the later starts of an AWS Batch job run the copy: by then its URL may have expired or hold something else.
    Raises DocumentError for a document that is not valid, or whose output or type is not allowed.
    """
    job, settings = call.job, call.settings
    known = _id_in_store(job, store) or _id_of_earlier_start(settings, store)
    if known:
        records = JobRecords(store, known)
        document = records.document()
        authority = _grant(records, store) or Authority.of_settings(settings, store_url=store.url)
    else:
        document = _read(call)
        authority = Authority.of_settings(settings, store_url=store.url)
        records = JobRecords(store, document.id)
    # The self-test that a bare submit runs is ours; an exact key is checked when it is written.
    outputs = () if document.output is None or authority.exact_target else (document.output,)
    refused = authority.refusals(job_type=document.type if job else None, outputs=outputs)
    if refused:
        raise DocumentError(refused)
    if not known:
        records = submit_locally(store, document)
    return records, authority


def _join(records: JobRecords, call: Call) -> None:
    """A job that came by `aws batch submit-job` is followed like those that our dispatcher submits."""
    settings = call.settings
    if not settings.in_batch or settings.batch_attempt > 1 or call.dry_run:
        return
    batch_job = settings.batch_job_id.partition(":")[0]  # an array job, and not its child
    generation = records.status().generation
    if records.note_batch_job(generation, call.phase, batch_job, settings.batch_queue):
        watch(records.store, records.id, records.store.now() + _FIRST_LOOK)


def _id_in_store(job: str, store: Store) -> str | None:
    """The id when `job` is one, or the URL of a job document or a job folder in this store."""
    if is_id(job):
        return job
    folder = f"{store.url}/jobs/"
    if not job.startswith(folder):
        return None
    name = job.removeprefix(folder).removesuffix("/job.json").rstrip("/")
    if not is_id(name):
        raise DocumentError(f"--job: {job} is no job of the store. Its jobs are at {folder}<id>/job.json.")
    return name


def _id_of_earlier_start(settings: Settings, store: Store) -> str | None:
    """The id under which an earlier start of this AWS Batch job copied a document that brought none."""
    if settings.batch_attempt < 2:
        return None
    name = _id_of_batch_job(settings)
    return name if store.read(f"jobs/{name}/job.json") else None


def _grant(records: JobRecords, store: Store) -> Authority | None:
    """What the command line's user allowed; honoured only in a store on this machine."""
    return records.grant() if store.url.startswith("file://") else None


def _read(call: Call) -> JobDocument:
    job, settings = call.job or SELF_TEST, call.settings
    values = read_text(job if job.lstrip().startswith("{") else _fetch(job, settings), "--job")
    if isinstance(values, dict) and "id" not in values:
        values = {**values, "id": _fresh_id(call)}
    return load_document(values, name="--job", types=_types())


def _fresh_id(call: Call) -> str:
    """One id for all attempts of a Batch job, and for all children of one parent process."""
    if call.settings.in_batch:
        return _id_of_batch_job(call.settings)
    return id_from_bits(call.job_bits) if call.job_bits else new_id()


def _id_of_batch_job(settings: Settings) -> str:
    try:
        return id_from_batch_job(settings.batch_job_id)
    except ValueError:
        raise UsageError(
            f"AWS_BATCH_JOB_ID: {settings.batch_job_id!r} is none. AWS Batch sets it; elsewhere leave it out."
        ) from None


def _fetch(job: str, settings: Settings) -> bytes:
    """The document's bytes: whoever starts this process names it, so naming it is leave to read it."""
    scheme = urlsplit(job).scheme
    if scheme == "":
        try:
            with Path(job).open("rb") as file:
                return file.read(LARGEST_BYTES + 1)
        except OSError as error:
            raise NotFound(f"--job: {quoted(job)} cannot be read: {error.strerror}. {_EXPECTED}") from None
    try:
        storage = open_storage(settings, Authority.granted(sources=[job], settings=settings))
        return storage.read_document(job, limit_bytes=LARGEST_BYTES)
    except ItemError as error:
        refused = DocumentError if error.kind in (Kind.TOO_LARGE, Kind.BLOCKED_URL) else ServiceError
        raise refused(f"--job: {error.message}") from None


def _types() -> dict[str, Any]:
    """Every installed job type with its params."""
    return {name: registry.job_type(name).params for name in registry.names()}


def _tell(end: engine.End, call: Call) -> None:
    if end.report is None:
        say(f"batchlab: {end.message}")
        return
    if call.as_json:
        write_data(end.report.model_dump_json(indent=2))
    elif not call.quiet:
        write_data(render(end.report))
    if call.settings.in_batch:
        emit(end.report)
