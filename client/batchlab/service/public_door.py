"""The addresses that customers open (/s, /d, /healthz) as an ASGI application in front of `service.public`."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from batchlab.page import Pages
from batchlab.service.files import FilePart
from batchlab.service.public import PublicRequest, answer
from batchlab.settings import Settings


class PublicDoor:
    """Answers customers' addresses and hands all others on; without `others` it answers every address."""

    def __init__(self, pages: Pages, settings: Settings, others: ASGIApp | None = None) -> None:
        self._pages = pages
        self._settings = settings
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._others is not None and not (scope["type"] == "http" and is_public(scope["path"])):
            await self._others(scope, receive, send)
        elif scope["type"] == "http":
            request = PublicRequest(scope["method"], _path_as_sent(scope), dict(Headers(scope=scope)))
            found = await to_thread.run_sync(answer, request, self._pages, self._settings, datetime.now(UTC))
            response: Response
            if isinstance(found.body, FilePart):
                response = StreamingResponse(iter(found.body), found.status, dict(found.headers))
            else:
                response = Response(found.body, found.status, dict(found.headers))
            await response(scope, receive, send)


def is_public(path: str) -> bool:
    return path == "/healthz" or path.startswith(("/s/", "/d/"))


def _path_as_sent(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("ascii", "replace") if raw else quote(scope["path"])
