"""The jobs behind an endpoint, asked over HTTPS: requests are repeated where that is safe, and errors are ours."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import httpx

from batchlab import http_asks
from batchlab.api import Estimate, ItemPage, JobInfo, JobPage, JobTypeInfo, Link, LogPage
from batchlab.backend import JobQuery
from batchlab.document import JobDocument
from batchlab.http_answers import Arriving
from batchlab.http_asks import Ask, Look
from batchlab.http_connection import Endpoint
from batchlab.http_protocol import Patience, Send, exchange

T = TypeVar("T")


class HttpBackend:
    """A Backend over one endpoint; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connects with the first question. Raises UsageError for a URL that is none, Denied without credentials."""
        self._endpoint = Endpoint.parse(url, token)
        self._patience = patience or Patience()
        self._sleep = sleep
        self._client = httpx.Client(transport=transport, **self._endpoint.client_options())

    def submit(self, document: JobDocument) -> JobInfo:
        return self._ask(http_asks.submission(document)).info

    def estimate(self, document: JobDocument) -> Estimate:
        return self._ask(http_asks.estimation(document))

    def get(self, job_id: str) -> JobInfo:
        return self.look(job_id).info

    def look(
        self, job_id: str, earlier: Look | None = None, left: Callable[[], float] = lambda: math.inf
    ) -> Look:
        """As `get`, with when to look again; a job that is as in `earlier` is not sent again.

        `left` gives the seconds that the caller has: an attempt is neither waited for nor repeated beyond them.
        """
        return self._ask(http_asks.look(job_id, earlier), left)

    def list(self, query: JobQuery) -> JobPage:
        return self._ask(http_asks.listing(query))

    def items(
        self, job_id: str, *, outcome: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> ItemPage:
        return self._ask(http_asks.items(job_id, outcome, limit, cursor))

    def logs(self, job_id: str, *, cursor: str | None = None) -> LogPage:
        return self._ask(http_asks.logs(job_id, cursor))

    def cancel(self, job_id: str) -> JobInfo:
        return self._ask(http_asks.cancellation(job_id))

    def retry(self, job_id: str) -> JobInfo:
        return self._ask(http_asks.retrial(job_id))

    def link(self, job_id: str) -> Link:
        return self._ask(http_asks.link(job_id))

    def replay(self, job_id: str) -> int:
        return self._ask(http_asks.replay(job_id))

    def job_types(self) -> tuple[JobTypeInfo, ...]:
        return self._ask(http_asks.job_types())

    def close(self) -> None:
        """Closes its connections; nothing can be asked any more."""
        self._client.close()

    def _ask(self, ask: Ask[T], left: Callable[[], float] = lambda: math.inf) -> T:
        steps = exchange(ask, self._endpoint.base, self._patience, left)
        step = next(steps)
        while True:
            try:
                if isinstance(step, Send):
                    step = steps.send(self._sent(ask, left()))
                else:
                    self._sleep(step.seconds)
                    step = next(steps)
            except StopIteration as done:
                answer: T = done.value
                return answer

    def _sent(self, ask: Ask[T], left_seconds: float) -> httpx.Response | httpx.HTTPError:
        try:
            request = self._endpoint.request(self._client, ask, left_seconds)
            arriving = Arriving(request)
            with closing(self._client.send(request, stream=True)) as answer:
                for piece in answer.iter_bytes():
                    arriving.add(piece)
                return arriving.whole(answer)
        except httpx.HTTPError as error:
            return error
