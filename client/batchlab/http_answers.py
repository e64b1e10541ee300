"""An endpoint's answer, read within its time: httpx limits the pause before each piece, not all of them together."""

from __future__ import annotations

import time

import httpx


class Arriving:
    """The body of `answer` as it comes; its request began just now and says how long it may take."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._until = time.monotonic() + request.extensions["timeout"]["read"]
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Raises httpx.ReadTimeout when time is over."""
        self._pieces.append(piece)
        if time.monotonic() > self._until:
            raise httpx.ReadTimeout("the answer came too slowly", request=self._request)

    def whole(self, answer: httpx.Response) -> httpx.Response:
        """The answer with its body, which is decoded by now."""
        headers = httpx.Headers(answer.headers)
        headers.pop("content-encoding", None)
        content = b"".join(self._pieces)
        return httpx.Response(answer.status_code, headers=headers, content=content, request=self._request)
