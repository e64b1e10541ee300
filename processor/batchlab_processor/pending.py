"""What `batchlab db` does here: pending updates of a job's rows, and the tables that contact-sheets knows."""

from __future__ import annotations

import json

from batchlab.errors import BatchlabError, UsageError
from batchlab.ids import is_id
from batchlab.kinds import ItemError
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores import open_store
from batchlab.streams import write_data
from batchlab.words import counted
from batchlab_processor.databases import named_database
from batchlab_processor.jobs.contact_sheets.database import ours, statements
from batchlab_processor.jobs.contact_sheets.updates import keep_pending, read_pending, run_update, told

_PARTIAL = 3


def print_schema() -> int:
    write_data(ours("schema").rstrip())
    return 0


def apply(job: str, settings: Settings, *, as_json: bool) -> int:
    """Makes the updates that the job's last generation left pending, and returns the exit code.

    Raises UsageError for a job that has none to make, BatchlabError when the database refuses.
    """
    store = open_store(settings.store, settings=settings)
    name = job.removeprefix(f"{store.url}/jobs/").removesuffix("/job.json")
    if not is_id(name):
        raise UsageError(f"--job: {job} is no job of the store {store.url}.")
    records = JobRecords(store, name)
    document, generation = records.document(), records.status().generation
    if document.type != "contact-sheets":
        raise UsageError(f"Job {name} is a {document.type}; only contact-sheets update a database.")
    params, pending = document.typed_params, read_pending(store, name, generation)
    made = told(pending, set())
    if pending:
        if params.database is None:
            raise UsageError(f"Job {name} names no database.")
        try:
            database = named_database(settings.named.entry, params.database)
            ids = run_update(pending, database, statements(settings.named.entry, params.query))
        except ItemError as error:
            raise BatchlabError(
                f"{error.message} {counted(len(pending), document.type)} still pending."
            ) from None
        made = told(pending, ids)
        keep_pending(store, name, generation, made.pending)
    body = {"succeeded": made.succeeded, "pending": [update.reference for update in made.pending]}
    line = f"{made.succeeded:,} rows updated, {len(made.pending):,} still pending."
    write_data(json.dumps(body) if as_json else " ".join(filter(None, (line, made.problem))))
    return _PARTIAL if made.pending else 0
