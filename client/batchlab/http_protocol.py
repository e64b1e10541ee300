"""What is asked of the endpoint and what its answers mean, without sending anything: HttpBackend and AsyncClient send.

steps = exchange(ask)              a generator: yields Send and Sleep, is sent the response or the httpx error
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from batchlab.api import Estimate, ItemPage, JobInfo, JobPage, JobTypeInfo, Link, LogPage, Problem
from batchlab.aws_signing import encoded_query
from batchlab.backend import JobQuery
from batchlab.document import JobDocument
from batchlab.errors import BatchlabError, Denied, DocumentError, KeyTaken, NotFound, ServiceError
from batchlab.ids import is_id
from batchlab.redact import shown

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LONGEST_PAUSE_SECONDS = 60.0  # a Retry-After between two attempts counts up to here; then the caller is told
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNTOUCHED = frozenset({425, 429, 503})  # refused before anything was done
_HEADER_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_KEY_TAKEN = re.compile("idempotency_key: .* already")  # records.create_job
_DOCUMENT = frozenset({400, 409, 410, 413, 415, 422})


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


# -- what may be asked -------------------------------------------------------------------------------------------


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
        return int(_values(answer)["replayed"])

    return Ask("POST", f"{_job(job_id)}/notifications/replay", read, repeatable=False)


def job_types() -> Ask[tuple[JobTypeInfo, ...]]:
    def read(answer: httpx.Response) -> tuple[JobTypeInfo, ...]:
        return TypeAdapter(tuple[JobTypeInfo, ...]).validate_python(_values(answer)["job_types"])

    return Ask("GET", "/v1/job-types", read)


# -- sending ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long is waited in between."""

    attempts: int = 5
    first_seconds: float = 0.5  # then twice as long each time, and at least half of it at random
    longest_seconds: float = 20.0

    def pause(self, attempt: int, asked_seconds: float | None) -> float:
        """Before the next one after `attempt` (from 1): what the service asked for, else the back-off."""
        longest = min(self.longest_seconds, self.first_seconds * 2 ** (attempt - 1))
        drawn = random.uniform(longest / 2, longest)
        return drawn if asked_seconds is None else max(drawn, asked_seconds)


@dataclass(frozen=True)
class Sleep:
    """Nothing is to be sent for so long."""

    seconds: float


class Send:
    """The request is to be sent; the response is wanted, or the httpx.HTTPError that came instead."""


def exchange(
    ask: Ask[T], base: str, patience: Patience
) -> Generator[Send | Sleep, httpx.Response | httpx.HTTPError | None, T]:
    """What to do, step by step, until the answer is there; returns it or raises the error it means."""
    import httpx

    attempt = 0
    while True:
        attempt += 1
        came = yield Send()
        if isinstance(came, httpx.Response):
            if came.status_code < 300 or came.status_code == 304:
                return _read(ask, came, base)
            failure, asked = error_of(came, base), retry_after(came.headers)
            again = _worth_repeating(ask, came.status_code)
        else:
            assert isinstance(came, httpx.HTTPError)
            failure, asked = _unreachable(came, base, ask), None
            never_sent = isinstance(came, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            again = isinstance(came, httpx.TransportError) and (ask.repeatable or never_sent)
            again = again and not isinstance(came, httpx.UnsupportedProtocol) and not _untrusted(came)
        if not again or attempt >= patience.attempts or (asked or 0) > LONGEST_PAUSE_SECONDS:
            raise failure
        yield Sleep(patience.pause(attempt, asked))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the service asks to wait, written as a number or as a date; None when it says nothing readable."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def error_of(answer: httpx.Response, base: str) -> BatchlabError:
    """The error of ours that an answer of 300 and more means."""
    status, problem = answer.status_code, _problem(answer)
    said = problem.detail or problem.title
    if 300 <= status < 400:
        there = shown(answer.headers.get("location", "another address"))
        return ServiceError(
            f"{base} sends us on to {there}. Put that address in BATCHLAB_URL if you trust it."
        )
    if status in (401, 403):
        cure = "Check BATCHLAB_TOKEN, or the AWS credentials and whether they may call the function URL."
        return Denied(f"{base} refuses access ({status}). {said} {cure}".replace("  ", " "))
    if status == 404:
        return NotFound(
            said if problem.detail else f"{base} has nothing at this address. Check BATCHLAB_URL."
        )
    if status in _DOCUMENT and not (status == 409 and "retry-after" in answer.headers):
        problems = list(problem.problems) or [said]
        taken = any(_KEY_TAKEN.match(each) for each in problems)
        return KeyTaken(problems) if taken else DocumentError(problems)
    cure = "Try again in a while." if status in _PASSING or status == 409 else "Its log says more."
    return ServiceError(f"{base} answered {status}: {said.rstrip('.')}. {cure}")


# -- reading ---------------------------------------------------------------------------------------------------


def _worth_repeating(ask: Ask[Any], status: int) -> bool:
    if status == 409:
        return ask.in_flight
    return status in (_PASSING if ask.repeatable else _UNTOUCHED)


def _unreachable(error: httpx.HTTPError, base: str, ask: Ask[Any]) -> ServiceError:
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    if _untrusted(error):
        return ServiceError(
            f"{base} shows a certificate that this machine does not trust ({error}). "
            "Name your authority's certificates in SSL_CERT_FILE."
        )
    doubt = (
        "" if ask.repeatable else " Whether it was done is not known: look at the job before you repeat it."
    )
    return ServiceError(f"{base} did not answer ({what}). Check BATCHLAB_URL and the network.{doubt}")


def _untrusted(error: Exception) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _read(ask: Ask[T], answer: httpx.Response, base: str) -> T:
    try:
        return ask.read(answer)
    except (ValueError, KeyError, TypeError) as error:  # ValidationError is a ValueError
        why = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ServiceError(
            f"{base} gave an answer that is none of batchlab's ({why}). Check BATCHLAB_URL."
        ) from None


def _problem(answer: httpx.Response) -> Problem:
    try:
        return Problem.model_validate(_values(answer))
    except (ValueError, TypeError):  # a gateway's own words
        return Problem(title=answer.reason_phrase or "no words", status=answer.status_code)


def _look(earlier: Look | None) -> Callable[[httpx.Response], Look]:
    def read(answer: httpx.Response) -> Look:
        etag, again = answer.headers.get("etag", ""), retry_after(answer.headers)
        if answer.status_code == 304:
            if earlier is None:
                raise ValueError("unchanged, although nothing was known")
            return Look(earlier.info, etag or earlier.etag, again)
        return Look(JobInfo.model_validate(_values(answer)), etag, again)

    return read


def _as(model: type[M]) -> Callable[[httpx.Response], M]:
    return lambda answer: model.model_validate(_values(answer))


def _values(answer: httpx.Response) -> Any:
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
