"""Every refusal and failure of the endpoint as application/problem+json, RFC 9457: no traceback, no secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchlab.api import Problem
from batchlab.errors import BatchlabError, DocumentError, NotFound
from batchlab.nearest import did_you_mean
from batchlab.plain import quoted
from batchlab.redact import scrub
from batchlab.service.turns import InFlight
from batchlab.words import printable

MEDIA_TYPE = "application/problem+json"
AGAIN_SECONDS = 5  # when the store or AWS did not answer

logger = logging.getLogger("batchlab")


class Refusal(Exception):
    """What the endpoint itself refuses, before anybody looks at the job."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem(
    status: int, detail: str = "", *, problems: Sequence[str] = (), headers: Mapping[str, str] | None = None
) -> Response:
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=scrub(detail),
        problems=tuple(map(scrub, problems)),
    )
    return Response(
        json.dumps(body.model_dump(mode="json")), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def of_error(error: BatchlabError) -> Response:
    """409 while the same submission is being worked on, 404, 422 for what is wrong with the request, else 503."""
    again = {"Retry-After": str(AGAIN_SECONDS)}
    match error:
        case InFlight():
            return problem(409, error.message, headers=again)
        case NotFound():
            return problem(404, error.message)
        case DocumentError():
            return problem(422, error.problems[0], problems=error.problems)
        case _:
            logger.error("%s: %s", type(error).__name__, error.message)
            return problem(503, error.message, headers=again)


def answer_errors(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """From here on every error of `app`, whose addresses are `routes`, is a problem."""

    def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, BatchlabError)
        return of_error(error)

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return problem(error.status, error.detail, headers=error.headers)

    def of_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = f"{request.method} {request.url.path}: {_WORDS.get(error.status_code, error.detail)}"
        headers = {"Allow": _allowed(routes, request)} if error.status_code == 405 else error.headers
        return problem(error.status_code, detail, headers=headers)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        lines = [_line(each, request) for each in error.errors()]
        return problem(422, lines[0], problems=lines)

    app.add_exception_handler(BatchlabError, ours)
    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_middleware(Unforeseen)


_WORDS = {
    404: "there is nothing here. docs/endpoint.md lists the addresses.",
    405: "this address does not do that.",
}


def _allowed(routes: Sequence[BaseRoute], request: Request) -> str:
    """The methods of every route at the address; the framework names those of the first alone."""
    methods: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods))


def _line(error: Mapping[str, Any], request: Request) -> str:
    *_, name = error["loc"]
    if error["type"] == "extra_forbidden":
        known = [each.alias for each in request.scope["route"].dependant.query_params]
        for model in request.scope["route"].dependant.query_params:
            known += list(getattr(model.field_info.annotation, "model_fields", {}))
        return f"There is no parameter {quoted(str(name))}.{did_you_mean(str(name), known)}"
    return f"{name}: {error['msg']}."


class Unforeseen:
    """A defect of ours is logged, and its caller told no more than that."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note)
        except ClientDisconnect:
            return
        except Exception:  # whatever it is, the caller sees no traceback
            logger.exception("%s %s failed", scope.get("method"), printable(str(scope.get("path"))))
            if not begun:
                await problem(500, "This is a defect; the service's log says where.")(scope, receive, send)
