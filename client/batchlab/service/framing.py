"""Where a request ends: one that says it twice is refused, because a proxy in front may believe the other half."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from batchlab.service.problem import problem


class Framing:
    """Source: RFC 9112, section 6.1: such a request may be refused, and its connection must be closed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]} if scope["type"] == "http" else set()
        if {b"content-length", b"transfer-encoding"} <= names:
            detail = "Content-Length and Transfer-Encoding at once: send one of them."
            await problem(400, detail, headers={"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)
