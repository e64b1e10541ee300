"""Who may ask about jobs: whoever shows the token, or without one whatever runs on this machine.

A browser on this machine is no such caller, although it runs here: a page it shows could send requests on behalf of a
stranger. So without a token the Host must be this machine (against DNS rebinding), the Origin, if any, must be
ours, and bodies are JSON or YAML by their Content-Type, which no form can send. Nor is a proxy on this machine, which
speaks for the whole world. In AWS, IAM stands in front.
"""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from batchlab.service.problem import problem

GUARDED = "/v1/"
# What proxies add (nginx only when told, so `serve` also looks at BATCHLAB_PUBLIC_BASE_URL).
_PROXIED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


class Doorkeeper:
    """Lets requests under /v1/ through that may be answered, and all others."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = _digest(token) if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] == "http" and scope["path"].startswith(GUARDED):
            headers = Headers(scope=scope)
            refused = self._without_token(headers) if self._token else _not_from_here(headers)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await refused(scope, receive, send)

    def _without_token(self, headers: Headers) -> ASGIApp | None:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(shown.strip()), self._token):
            return None
        detail = "Send the header Authorization: Bearer TOKEN, with the service's BATCHLAB_TOKEN."
        return problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="batchlab"'})


def _not_from_here(headers: Headers) -> ASGIApp | None:
    host = headers.get("host", "")
    if not is_loopback_host(host):
        detail = (
            "Without BATCHLAB_TOKEN only this machine may ask, at localhost or 127.0.0.1. Set BATCHLAB_TOKEN."
        )
        return problem(403, detail)
    if any(name in headers for name in _PROXIED):
        return problem(403, "It came through a proxy, and so from anywhere. Set BATCHLAB_TOKEN.")
    origin = headers.get("origin", "")
    if origin and origin.partition("://")[2] != host:
        return problem(403, "A page of another site may not ask. Send the request from a program.")
    return None


def is_loopback_host(host: str) -> bool:
    """Whether a Host header ("localhost:8321", "[::1]:8321") names this machine."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _digest(text: str) -> bytes:
    """Of one length, so that the comparison tells nothing of the token's."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
