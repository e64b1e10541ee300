"""The list of jobs in the names of a store's documents, newest first: read without opening any of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from batchlab.document import JobDocument
from batchlab.store import Store

_INDEXED = re.compile(r"index/(\d{13})-([0-9a-z]{26})/([a-z0-9-]+)((?:/[^/=]+=[^/=]*)*)")
_LAST_MILLISECOND = 9_999_999_999_999  # index names count down from here, so that the newest come first


@dataclass(frozen=True)
class Listed:
    """A job as the index names it, read without opening any document."""

    id: str
    type: str
    created_at: datetime
    tags: dict[str, str]
    name: str  # give it to `list_jobs(after=)` to go on behind it


def index_name(document: JobDocument, created_at: datetime) -> str:
    """Each tag is a part of its own: one file name holds 255 bytes, and five tags take up to 800."""
    made = int(created_at.timestamp() * 1000)
    tags = [f"/{_quoted(name)}={_quoted(value)}" for name, value in sorted(document.tags.items())]
    return f"index/{_LAST_MILLISECOND - made:013d}-{document.id}/{document.type}{''.join(tags)}"


def _quoted(text: str) -> str:
    return quote(text, safe="").replace(".", "%2E")  # stores refuse parts that begin with a dot


def list_jobs(
    store: Store,
    *,
    job_type: str | None = None,
    tag: tuple[str, str] | None = None,
    since: datetime | None = None,
    after: str = "",
) -> Iterator[Listed]:
    """Jobs, the newest first; reads names only. `since`: no job made before it."""
    for name in store.names("index/", after=after):
        found = _INDEXED.fullmatch(name)
        if found is None:
            continue
        age, job_id, its_type, tags = found.groups()
        made = datetime.fromtimestamp((_LAST_MILLISECOND - int(age)) / 1000, UTC)
        if since is not None and made < since:
            return
        pairs = {unquote(part.split("=")[0]): unquote(part.split("=")[1]) for part in tags.split("/")[1:]}
        if (job_type is None or its_type == job_type) and (tag is None or pairs.get(tag[0]) == tag[1]):
            yield Listed(job_id, its_type, made, pairs, name)
