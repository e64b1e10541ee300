"""The addresses under /v1: each hands its question to the backend and writes down the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel

from batchlab.api import Estimate, ItemPage, JobInfo, JobPage, Link, LogPage
from batchlab.backend import Backend
from batchlab.document import JobDocument
from batchlab.service.admission import read_submitted
from batchlab.service.bodies import Bodies
from batchlab.service.described import DOCUMENT, JobTypeList, Replayed, described
from batchlab.service.queries import ItemQuery, ListQuery, LogQuery, again_seconds, with_key
from batchlab.settings import Settings


class Desk:
    """What the routes need, kept in `app.state.desk`."""

    def __init__(self, backend: Backend, settings: Settings, bodies: Bodies) -> None:
        self.backend = backend
        self.settings = settings
        self.bodies = bodies


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _body(request: Request) -> AsyncIterator[bytes]:
    async with _desk(request).bodies.body(request) as body:
        yield body


def _document(body: Annotated[bytes, Depends(_body)], desk: Annotated[Desk, Depends(_desk)]) -> JobDocument:
    return read_submitted(body, desk.settings)


At = Annotated[Desk, Depends(_desk)]
Submitted = Annotated[JobDocument, Depends(_document)]
router = APIRouter(prefix="/v1", generate_unique_id_function=lambda route: route.name)


@router.post(
    "/jobs",
    **described(
        "Submit a job",
        JobInfo,
        202,
        *(408, 409, 413, 415, 422),
        headers=("Location", "Retry-After"),
        body=DOCUMENT,
    ),
)
def submit(
    desk: At,
    document: Submitted,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Two submissions with one key are one job; the same as idempotency_key in the document.",
        ),
    ] = None,
) -> Response:
    info = desk.backend.submit(with_key(document, idempotency_key))
    again = again_seconds(info, datetime.now(UTC)) or 0
    return _json(info, 202, {"Location": f"/v1/jobs/{info.id}", "Retry-After": str(again)})


@router.post(
    "/estimates", **described("What a job would take", Estimate, 200, 408, 413, 415, 422, body=DOCUMENT)
)
def estimate(desk: At, document: Submitted) -> Response:
    return _json(desk.backend.estimate(document))


@router.get("/jobs", **described("List jobs, the newest first", JobPage, 200, 422))
def list_jobs(desk: At, query: Annotated[ListQuery, Query()]) -> Response:
    return _json(desk.backend.list(query.asked(datetime.now(UTC))))


@router.get(
    "/jobs/{job_id}",
    **described(
        "Where a job stands, and what came of it",
        JobInfo,
        200,
        *(304, 404),
        headers=("ETag", "Retry-After"),
    ),
)
def get(
    desk: At,
    job_id: str,
    if_none_match: Annotated[str | None, Header(description="The ETag of the answer before.")] = None,
) -> Response:
    info = desk.backend.get(job_id)
    again = again_seconds(info, datetime.now(UTC))
    answer = _json(info, headers={} if again is None else {"Retry-After": str(again)})
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    answer.headers["ETag"] = etag
    if if_none_match is not None and _matches(if_none_match, etag):
        kept = {name: answer.headers[name] for name in ("ETag", "Retry-After") if name in answer.headers}
        return Response(status_code=304, headers=kept)
    return answer


@router.get("/jobs/{job_id}/items", **described("What became of each item", ItemPage, 200, 404, 422))
def items(desk: At, job_id: str, query: Annotated[ItemQuery, Query()]) -> Response:
    found = desk.backend.items(job_id, outcome=query.outcome, limit=query.limit, cursor=query.cursor)
    return _json(found)


@router.get("/jobs/{job_id}/logs", **described("What the job's runs wrote", LogPage, 200, 404, 422))
def logs(desk: At, job_id: str, query: Annotated[LogQuery, Query()]) -> Response:
    return _json(desk.backend.logs(job_id, cursor=query.cursor))


@router.get(
    "/jobs/{job_id}/link", **described("Where the customer gets what was delivered", Link, 200, 404, 422)
)
def link(desk: At, job_id: str) -> Response:
    return _json(desk.backend.link(job_id))


@router.post("/jobs/{job_id}/cancel", **described("Ask a job to stop", JobInfo, 202, 404))
def cancel(desk: At, job_id: str) -> Response:
    return _json(desk.backend.cancel(job_id), 202)


@router.post(
    "/jobs/{job_id}/retry", **described("Do again what failed or was not started", JobInfo, 202, 404, 422)
)
def retry(desk: At, job_id: str) -> Response:
    return _json(desk.backend.retry(job_id), 202)


@router.post(
    "/jobs/{job_id}/notifications/replay",
    **described("Send every notification of the job's end once more", Replayed, 202, 404),
)
def replay(desk: At, job_id: str) -> Response:
    return _json(Replayed(replayed=desk.backend.replay(job_id)), 202)


@router.get("/job-types", **described("The job types that may be submitted", JobTypeList, 200))
def job_types(desk: At) -> Response:
    return _json(JobTypeList(job_types=desk.backend.job_types()))


def _json(answer: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """In ASCII: a file name of an item may hold half a character, which only an escape can carry."""
    body = json.dumps(answer.model_dump(mode="json"), separators=(",", ":"))
    return Response(body, status, headers=headers, media_type="application/json")


def _matches(header: str, etag: str) -> bool:
    """Source: RFC 9110, 13.1.2: weak comparison, and * for whatever is there."""
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in header.split(","))
