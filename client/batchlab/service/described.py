"""What OpenAPI says of each route: every status it answers with, and an example of what comes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict

from batchlab.api import JobTypeInfo
from batchlab.service.bodies import MEDIA_TYPES
from batchlab.service.problem import MEDIA_TYPE

EXAMPLE_ID = "01kaz3m5d8r2w9y4b7e1h6n0qs"
# Whatever is asked: no token, not from here, too many, a defect, the store or AWS did not answer.
ALWAYS = (401, 403, 429, 500, 503)


class JobTypeList(BaseModel):
    """GET /v1/job-types: the types that BATCHLAB_JOB_TYPES allows."""

    model_config = ConfigDict(frozen=True)

    job_types: tuple[JobTypeInfo, ...]


class Replayed(BaseModel):
    """POST /v1/jobs/{id}/notifications/replay."""

    model_config = ConfigDict(frozen=True)

    replayed: int  # notifications that are due now, and sent once more within a minute


class Route(TypedDict, total=False):
    """Arguments of FastAPI's decorators."""

    summary: str
    status_code: int
    response_model: type[BaseModel]
    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]


def described(
    summary: str,
    answer: type[BaseModel],
    status: int,
    *others: int,
    headers: tuple[str, ...] = (),
    body: dict[str, Any] | None = None,
) -> Route:
    """A route that answers with `status`, `answer` and `headers`, and may answer with `others`."""
    answers: dict[int | str, dict[str, Any]] = {each: _answer(each) for each in sorted({*others, *ALWAYS})}
    answers[status] = {"description": _MEANINGS[status]}
    if headers:
        answers[status]["headers"] = {name: _HEADERS[name] for name in headers}
    route = Route(summary=summary, status_code=status, response_model=answer, responses=answers)
    if body is not None:
        route["openapi_extra"] = {"requestBody": body}
    return route


def _answer(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _MEANINGS[status]}
    if status == HTTPStatus.NOT_MODIFIED:
        return {**described, "headers": {"ETag": _HEADERS["ETag"]}}
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _MEANINGS[status],
        "problems": [],
    }
    described["content"] = {
        MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    }
    if status in (409, 429, 503):
        described["headers"] = {"Retry-After": _HEADERS["Retry-After"]}
    if status == HTTPStatus.UNAUTHORIZED:
        described["headers"] = {"WWW-Authenticate": _HEADERS["WWW-Authenticate"]}
    return described


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_HEADERS = {
    "ETag": _header("Changes whenever the answer does; send it back as If-None-Match."),
    "Location": _header("The address of the job."),
    "Retry-After": _header("Seconds to wait before asking again.", "integer"),
    "WWW-Authenticate": _header("How to show the token."),
}
_MEANINGS = {
    200: "The answer.",
    202: "Accepted: it is being done.",
    304: "Nothing has changed since the answer with that ETag.",
    401: "Authorization: Bearer TOKEN is missing or wrong.",
    403: "Without BATCHLAB_TOKEN only programs on this machine may ask.",
    404: "There is no such job.",
    408: "The body did not arrive in time.",
    409: "The same submission is still being worked on; ask again in a moment.",
    413: "The body is larger than 6 MiB; put the list into a manifest.",
    415: "The body is neither JSON nor YAML, or is compressed.",
    422: "The request is wrong; `problems` says everything that is.",
    429: "Too many requests.",
    500: "A defect of the service.",
    503: "The store or AWS did not answer.",
}

DOCUMENT: dict[str, Any] = {
    "required": True,
    "description": "A job document (docs/documents.md), at most 6 MiB.",
    "content": {
        media_type: {
            "schema": {"$ref": "#/components/schemas/JobDocument"},
            "examples": {
                "album": {
                    "summary": "Three photos become one ZIP",
                    "value": {
                        "type": "zip-export",
                        "title": "Ana & Ben",
                        "output": "s3://exports/weddings",
                        "params": {
                            "items": [
                                "https://photos.example.com/1.jpg",
                                {"url": "https://photos.example.com/2.jpg", "name": "dance/2.jpg"},
                                {"manifest": "s3://uploads/event-7/rest.csv"},
                            ],
                        },
                        "notify": [{"email": "ana@example.com"}],
                        "expires": "7d",
                        "tags": {"event": "7"},
                    },
                },
                "self-test": {"summary": "A job that only looks around", "value": {"type": "self-test"}},
            },
        }
        for media_type in MEDIA_TYPES
    },
}
