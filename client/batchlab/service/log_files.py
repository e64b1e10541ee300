"""Files beside the store about runs on this machine: what each job's runs wrote, and which runs nobody has looked at.

A mark stands from before a run starts until somebody has looked at its end: a kill in between forgets nobody who is
to be told.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from batchlab.api import LogLine, LogPage
from batchlab.errors import DocumentError
from batchlab.records import JobRecords
from batchlab.service.cursors import NO_CURSOR, cursor_of, place_of
from batchlab.settings import default_store

_FOLDER = ".logs"  # a dot: no document of the store
_MARK = ".begun"
_PAGE_BYTES = 512 * 1024
_LINE_BYTES = 8_192  # of one line that are shown


def log_folder(store_url: str) -> Path:
    """In the store's own directory, for a bucket in the place of this user's default store; made if it is not there."""
    folder = _folder(store_url)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def drop_log(store_url: str, job_id: str) -> None:
    """Nothing is left of what the job's runs on this machine wrote."""
    (_folder(store_url) / f"{job_id}.jsonl").unlink(missing_ok=True)


def log_file(store_url: str, job_id: str) -> IO[bytes]:
    """To append to. Only its owner reads it."""
    path = log_folder(store_url) / f"{job_id}.jsonl"
    return open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, mode=0o600))


def mark(store_url: str, job_id: str) -> None:
    """From now on a run of the job wants to be looked at."""
    (log_folder(store_url) / f"{job_id}{_MARK}").touch(mode=0o600)


def unmark(store_url: str, job_id: str) -> None:
    (log_folder(store_url) / f"{job_id}{_MARK}").unlink(missing_ok=True)


def marked(store_url: str) -> list[str]:
    """The jobs whose runs want to be looked at, the oldest first."""
    return sorted(path.name.removesuffix(_MARK) for path in log_folder(store_url).glob(f"*{_MARK}"))


def log_page(records: JobRecords, cursor: str | None) -> LogPage:
    """The lines behind the cursor, as they were written. Raises DocumentError for a cursor that is none."""
    begin = _offset(cursor)
    ended = records.status().ended  # before the file is read: what it says afterwards belongs to this page
    lines: list[LogLine] = []
    with suppress(FileNotFoundError):
        path = log_folder(records.store.url) / f"{records.id}.jsonl"
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read(_PAGE_BYTES)
        whole = data[: data.rfind(b"\n") + 1] if b"\n" in data or len(data) < _PAGE_BYTES else data
        begin += len(whole)
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        for line in whole.splitlines():
            text = line[:_LINE_BYTES].decode("utf-8", "replace")
            at = _time(text) or at
            lines.append(LogLine(at=at, text=text))
    return LogPage(lines=tuple(lines), next=cursor_of(str(begin)), ended=ended and not lines)


def _folder(store_url: str) -> Path:
    url = store_url if store_url.startswith("file://") else default_store(os.environ)
    return Path(unquote(urlsplit(url).path)) / _FOLDER


def _offset(cursor: str | None) -> int:
    text = place_of(cursor) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise DocumentError(NO_CURSOR)
    return int(text)


def _time(text: str) -> datetime | None:
    """When a JSON line was written; None for one that is none."""
    with suppress(ValueError, TypeError, AttributeError):
        line: Any = json.loads(text)
        moment = datetime.fromisoformat(line["time"]) if isinstance(line, dict) and "time" in line else None
        return moment if moment is not None and moment.tzinfo is not None else None
    return None
