"""What may be asked of the endpoint: each question as a request, and how its answer is read. Nothing is sent here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from batchlab.api import Estimate, ItemPage, JobInfo, JobPage, JobTypeInfo, Link, LogPage
from batchlab.aws_signing import encoded_query
from batchlab.backend import JobQuery
from batchlab.document import JobDocument
from batchlab.errors import NotFound
from batchlab.ids import is_id

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_HEADER_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True)
class Ask(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]  # of an answer that is no error
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True  # asking twice is asking once
    in_flight: bool = False  # 409 means that the same request is being worked on: asked again

    @property
    def target(self) -> str:
        """Path and query, spelt as a signature covers them."""
        query = encoded_query(self.query)
        return f"{self.path}?{query}" if query else self.path


@dataclass(frozen=True)
class Look:
    """A job as the service showed it."""

    info: JobInfo
    etag: str = ""
    again_after_seconds: float | None = None  # what the service asks to wait before the next look


def submission(document: JobDocument) -> Ask[Look]:
    """May be repeated: the key, or else the document's own id, makes two submissions one job."""
    key = document.idempotency_key or document.id
    # A header cannot spell every key; another one stands in the document alone, and counts from there.
    headers = {"idempotency-key": key} if _HEADER_KEY.fullmatch(key) else {}
    body = _json(document.as_json())
    return Ask("POST", "/v1/jobs", _look(None), headers=headers, body=body, in_flight=True)


def estimation(document: JobDocument) -> Ask[Estimate]:
    return Ask("POST", "/v1/estimates", _as(Estimate), body=_json(document.as_json()))


def look(job_id: str, earlier: Look | None = None) -> Ask[Look]:
    """With `earlier`, an unchanged job is not sent again."""
    headers = {"if-none-match": earlier.etag} if earlier and earlier.etag else {}
    return Ask("GET", _job(job_id), _look(earlier), headers=headers)


def listing(query: JobQuery) -> Ask[JobPage]:
    asked = {
        "status": query.state,
        "type": query.type,
        "tag": "=".join(query.tag) if query.tag else None,
        "since": query.since.isoformat() if query.since else None,
        "limit": str(query.limit),
        "cursor": query.cursor,
    }
    return Ask("GET", "/v1/jobs", _as(JobPage), query=_given(asked))


def items(job_id: str, outcome: str | None, limit: int, cursor: str | None) -> Ask[ItemPage]:
    asked = {"outcome": outcome, "limit": str(limit), "cursor": cursor}
    return Ask("GET", f"{_job(job_id)}/items", _as(ItemPage), query=_given(asked))


def logs(job_id: str, cursor: str | None) -> Ask[LogPage]:
    return Ask("GET", f"{_job(job_id)}/logs", _as(LogPage), query=_given({"cursor": cursor}))


def cancellation(job_id: str) -> Ask[JobInfo]:
    return Ask("POST", f"{_job(job_id)}/cancel", _as(JobInfo))


def retrial(job_id: str) -> Ask[JobInfo]:
    return Ask("POST", f"{_job(job_id)}/retry", _as(JobInfo), repeatable=False)


def link(job_id: str) -> Ask[Link]:
    return Ask("GET", f"{_job(job_id)}/link", _as(Link))


def replay(job_id: str) -> Ask[int]:
    def read(answer: httpx.Response) -> int:
        return int(values_of(answer)["replayed"])

    return Ask("POST", f"{_job(job_id)}/notifications/replay", read, repeatable=False)


def job_types() -> Ask[tuple[JobTypeInfo, ...]]:
    def read(answer: httpx.Response) -> tuple[JobTypeInfo, ...]:
        return TypeAdapter(tuple[JobTypeInfo, ...]).validate_python(values_of(answer)["job_types"])

    return Ask("GET", "/v1/job-types", read)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the service asks to wait, written as a number or as a date; None when it says nothing readable."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _look(earlier: Look | None) -> Callable[[httpx.Response], Look]:
    def read(answer: httpx.Response) -> Look:
        etag, again = answer.headers.get("etag", ""), retry_after(answer.headers)
        if answer.status_code == 304:
            if earlier is None:
                raise ValueError("unchanged, although nothing was known")
            return Look(earlier.info, etag or earlier.etag, again)
        return Look(JobInfo.model_validate(values_of(answer)), etag, again)

    return read


def _as(model: type[M]) -> Callable[[httpx.Response], M]:
    return lambda answer: model.model_validate(values_of(answer))


def values_of(answer: httpx.Response) -> Any:
    return json.loads(answer.content)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _given(query: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


def _job(job_id: str) -> str:
    """The path of a job; what is no id is not sent, so that no text leads to another path."""
    if not is_id(job_id):
        raise NotFound(f"{job_id!r} is no job id. `batchlab list` shows the ids.")
    return f"/v1/jobs/{job_id}"
