"""One run of a job as a child of this process: how it starts, and what its exit code means."""

from __future__ import annotations

import os
import subprocess

from batchlab.errors import Interrupted, ServiceError
from batchlab.local import CALLER, job_url
from batchlab.records import JobRecords
from batchlab.service.log_files import log_file, log_folder, mark
from batchlab.settings import Settings

DEATHS = 5  # in a row, of unknown cause or because the store is away; then the job is given up
_KILLED = 128  # and the signal: how the processor's parent tells that its child was killed


def start_child(command: str, records: JobRecords, settings: Settings) -> subprocess.Popen[bytes]:
    """The job's run, which writes to its log. The kernel ends it with the thread that calls this."""
    store = records.store.url
    mark(store, records.id)
    with log_file(store, records.id) as file:
        return subprocess.Popen(
            [command, "run", "--job", job_url(store, records.id), "--store", store],
            env={**child_environment(settings), CALLER: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=log_folder(store),
            start_new_session=True,  # Ctrl-C is for this process, which then asks the runs to stop
        )


def child_environment(settings: Settings) -> dict[str, str]:
    """What a run is told: our environment without the endpoint's token, and what the command line put in its place."""
    told = {name: value for name, value in os.environ.items() if name != "BATCHLAB_TOKEN"}
    told["BATCHLAB_LOG_FORMAT"] = "json"
    if settings.allow_local:
        told["BATCHLAB_ALLOW_LOCAL"] = "1"
    if settings.public_base_url:
        told["BATCHLAB_PUBLIC_BASE_URL"] = settings.public_base_url
    return told


def may_succeed(code: int, tries: int) -> bool:
    """Whether another start may get further: it was interrupted, or the store was away, or somebody killed it."""
    passing = code == ServiceError.exit_code or code < 0 or code >= _KILLED
    return code == Interrupted.exit_code or (passing and tries < DEATHS)


def is_paused(records: JobRecords, code: int) -> bool:
    """Whether the run ended because a quota is used up: who follows the job starts it again at the time it set."""
    resume_at = records.status().resume_at if code == Interrupted.exit_code else None
    return resume_at is not None and resume_at > records.store.now()
