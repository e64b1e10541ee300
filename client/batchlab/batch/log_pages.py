"""What a job's containers wrote, page by page: the lines of all its Batch jobs, shards and starts, by time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from batchlab.api import LogLine, LogPage
from batchlab.batch.jobs import BatchJobs, log_group, streams
from batchlab.errors import DocumentError
from batchlab.service.cursors import cursor_of, place_of

SHOWN_SHARDS = 20  # of an array; a cursor remembers a place in the log of each
_READERS = 8


def log_page(jobs: BatchJobs, batch_jobs: Iterable[str], cursor: str | None, *, ended: bool) -> LogPage:
    """The lines behind `cursor`, at most 1 MB of each start. `ended`: of a job that writes no more.

    Raises DocumentError for a cursor that is none.
    """
    behind = _behind(cursor)
    wanted = [
        (log_group(each), stream)
        for each in jobs.describe(_with_children(jobs, batch_jobs))
        for stream in streams(each)
    ]
    with ThreadPoolExecutor(_READERS, "logs") as pool:
        read = pool.map(lambda each: jobs.lines(each[0], each[1], behind.get(each[1], "")), wanted)
        pages = dict(zip((stream for _, stream in wanted), read, strict=True))
    lines = sorted((line for page, _ in pages.values() for line in page), key=lambda line: line.at)
    after = {stream: token for stream, (_, token) in pages.items() if token}
    return LogPage(
        lines=tuple(LogLine(at=line.at, text=line.text) for line in lines),
        next=cursor_of(json.dumps({**behind, **after})),
        ended=ended and not lines,
    )


def _with_children(jobs: BatchJobs, batch_jobs: Iterable[str]) -> list[str]:
    """An array job has no log of its own; its children are <id>:<index>."""
    ids: list[str] = []
    for each in jobs.describe(batch_jobs):
        size = each.get("arrayProperties", {}).get("size", 0)
        ids += [f"{each['jobId']}:{index}" for index in range(min(size, SHOWN_SHARDS))] or [each["jobId"]]
    return ids


def _behind(cursor: str | None) -> dict[str, str]:
    try:
        found: Any = json.loads(place_of(cursor) or "{}")
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(token, str) for token in found.values()):
        raise DocumentError("cursor: is none of ours. Give back `next` of the page before, unchanged.")
    return found
