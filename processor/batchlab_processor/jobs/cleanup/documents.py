"""The documents of an old job: all of them, in an order in which a kill leaves a job that the next cleanup finds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from batchlab.errors import NotFound
from batchlab.records import JobRecords
from batchlab.store import Store

_TOKEN = re.compile(r"[0-9A-Za-z_-]{16,}")  # else pages/ as a whole could be meant

_OURS = re.compile(
    r"(g[0-9]+/([a-z]+/)?)?[^/]+\.jsonl?"
)  # decision 0003; a store in a bucket may hold other keys


def documents_of(records: JobRecords, index: tuple[str, ...]) -> Iterator[str]:
    """The names of all documents of the job, in the order in which they are to be deleted: the index goes last."""
    store, folder = records.store, f"{records.folder}/"
    page = store.read(f"{folder}page.json")
    if page is not None and _TOKEN.fullmatch(str(page.body.get("token", ""))):
        yield from list(store.names(f"pages/{page.body['token']}/"))
    yield from _key_of(records, store)
    yield from list(store.names(f"pending/{records.id}"))
    last = (f"{folder}page.json", f"{folder}job.json", f"{folder}status.json")
    names = [name for name in store.names(folder) if _OURS.fullmatch(name.removeprefix(folder))]
    yield from (name for name in names if name not in last)
    yield from (name for name in last if name in names)
    yield from index


def _key_of(records: JobRecords, store: Store) -> Iterator[str]:
    """The job's idempotency key, unless it has become another job's."""
    try:
        key = records.document().idempotency_key
    except NotFound:
        return
    if key is not None:
        name = f"keys/{hashlib.sha256(key.encode()).hexdigest()}.json"
        found = store.read(name)
        if found is not None and found.body["id"] == records.id:
            yield name
