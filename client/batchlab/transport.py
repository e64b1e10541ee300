"""httpx over the guard, for small requests: webhooks, APIs, status.

    client = guarded_client(guard)         an httpx.Client that reaches public, allowed addresses only

A URL that is not allowed, a connection that breaks and an answer that is too large raise ItemError, as
everywhere behind the guard. Redirects come back as answers unless the client follows them; each hop is checked.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import httpx

from batchlab.guard import Guard
from batchlab.locations import blocked

LARGEST_BYTES = 10 * 1024 * 1024  # of an answer: these are small requests, held in memory
_HOP_BY_HOP = ("connection", "host", "transfer-encoding", "content-length", "keep-alive")


class GuardTransport(httpx.BaseTransport):
    """Sends each request of an httpx.Client through `guard`."""

    def __init__(self, guard: Guard, *, limit_bytes: int = LARGEST_BYTES) -> None:
        self._guard = guard
        self._limit_bytes = limit_bytes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        body = request.read() or None
        with self._guard.request(
            request.method, url, headers, body, follow=False, limit_bytes=self._limit_bytes
        ) as answer:
            content = answer.read(self._limit_bytes + 1)
            location = answer.headers.get("Location", "")
            if location and url.startswith("https:") and urljoin(url, location).startswith("http:"):
                raise blocked(url, "it redirects from https:// to plain http")
            fields = [
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            ]
            return httpx.Response(
                answer.status, headers=fields, stream=httpx.ByteStream(content), request=request
            )


def guarded_client(guard: Guard, **options: Any) -> httpx.Client:
    """An httpx.Client over `guard` that takes nothing from the environment: no proxy, no .netrc."""
    return httpx.Client(transport=GuardTransport(guard), trust_env=False, **options)
