"""So many requests for each caller: a bucket that fills evenly, and an answer that says when to come again."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from batchlab.service.problem import problem

PER_SECOND = 100.0
BURST = 2_000  # a backend that submits a night's albums at once
_CALLERS = 10_000  # remembered; whoever is forgotten begins anew


class RateLimit:
    """A caller is an address: behind a proxy on this machine the one that the proxy names."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        per_second: float = PER_SECOND,
        burst: int = BURST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._callers: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # what is left, and when that was

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._take(scope) if scope["type"] == "http" else 0.0
        if wait:
            seconds = str(math.ceil(wait))
            refused = problem(429, f"Too many requests. Wait {seconds} s.", headers={"Retry-After": seconds})
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _take(self, scope: Scope) -> float:
        """0 when the request may pass, else the seconds until one may."""
        caller = scope["client"][0] if scope.get("client") else ""
        now = self._monotonic()
        left, then = self._callers.pop(caller, (float(self._burst), now))
        left = min(float(self._burst), left + (now - then) * self._per_second)
        passes = left >= 1
        self._callers[caller] = (left - 1 if passes else left, now)
        if len(self._callers) > _CALLERS:
            self._callers.popitem(last=False)
        return 0.0 if passes else (1 - left) / self._per_second
