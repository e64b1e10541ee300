"""The client for programs with an event loop: the same face as `batchlab.client`, over an endpoint.

async with AsyncClient.from_env() as client:
    job = await client.jobs.submit(document)
    async for info in job.watch(): ...
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import TypeVar

import httpx

from batchlab import http_asks
from batchlab.api import Estimate, ItemInfo, JobInfo, JobSummary, JobTypeInfo, Link, LogLine
from batchlab.documents_taken import Document, Target, take
from batchlab.errors import ServiceError, UsageError
from batchlab.following import Following, Timeout
from batchlab.http_answers import Arriving
from batchlab.http_asks import Ask, Look
from batchlab.http_connection import Endpoint
from batchlab.http_protocol import Patience, Send, exchange
from batchlab.job import LOG_SECONDS, OnProgress
from batchlab.job_queries import Since, behind, query_of
from batchlab.report import Report
from batchlab.settings import Settings
from batchlab.status import State, exit_code

T = TypeVar("T")
Pause = Callable[[float], Awaitable[None]]


class AsyncClient:
    """Jobs behind one endpoint. Close it, or use it as an async context manager."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Pause = asyncio.sleep,
    ) -> None:
        """`url` and `token` None: those of BATCHLAB_URL and BATCHLAB_TOKEN.

        Raises UsageError for a URL that is no endpoint's, Denied without the credentials that it needs.
        """
        if url is None or token is None:
            settings = Settings.from_environment(os.environ)
            url, token = url or settings.url, settings.token if token is None else token
        if not url.startswith(("https://", "http://")):
            raise UsageError(
                "AsyncClient asks an endpoint: set BATCHLAB_URL to https://HOST. For file:// and batch:// there is "
                "Client, in a thread: asyncio.to_thread."
            )
        self._asker = _Asker(Endpoint.parse(url, token), patience or Patience(), transport, sleep)
        self.jobs = AsyncJobs(self._asker)

    @classmethod
    def from_env(cls) -> AsyncClient:
        return cls()

    async def close(self) -> None:
        """Closes its connections; jobs go on."""
        await self._asker.client.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncJobs:
    """All jobs of one client; every method is that of `batchlab.client.ClientJobs`, awaited."""

    def __init__(self, asker: _Asker) -> None:
        self._asker = asker

    async def submit(
        self,
        document: Document,
        *,
        idempotency_key: str | None = None,
        notify: Target | Iterable[Target] = (),
        expires: str | timedelta | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AsyncJob:
        taken = take(
            document,
            idempotency_key=idempotency_key,
            notify=notify,
            expires=expires,
            tags=tags,
            known_elsewhere=True,
        )
        return AsyncJob(self._asker, await self._asker.ask(http_asks.submission(taken)))

    async def estimate(self, document: Document) -> Estimate:
        return await self._asker.ask(http_asks.estimation(take(document, known_elsewhere=True)))

    async def get(self, job_id: str) -> AsyncJob:
        return AsyncJob(self._asker, await self._asker.ask(http_asks.look(job_id)))

    async def list(
        self,
        *,
        status: State | str | None = None,
        type: str | None = None,  # noqa: A002  the word of the document
        tag: tuple[str, str] | None = None,
        since: Since = None,
        limit: int | None = None,
    ) -> AsyncIterator[JobSummary]:
        query = query_of(status=status, job_type=type, tag=tag, since=since, limit=limit)
        left = limit
        while True:
            page = await self._asker.ask(http_asks.listing(query))
            for job in page.jobs[:left]:
                yield job
            left = None if left is None else left - len(page.jobs[:left])
            if page.next is None or left == 0:
                return
            query = behind(query, page.next, left)

    async def types(self) -> tuple[JobTypeInfo, ...]:
        return await self._asker.ask(http_asks.job_types())


class AsyncJob:
    """A job that exists; every method is that of `batchlab.job.Job`, awaited."""

    def __init__(self, asker: _Asker, look: Look) -> None:
        self._asker = asker
        self._look = look

    def __repr__(self) -> str:
        return f"AsyncJob({self.id}, {self.info.type}, {self.state})"

    @property
    def id(self) -> str:
        return self._look.info.id

    @property
    def info(self) -> JobInfo:
        return self._look.info

    @property
    def state(self) -> State:
        return self._look.info.state

    @property
    def report(self) -> Report | None:
        return self._look.info.report

    @property
    def exit_code(self) -> int:
        return exit_code(self.state)

    async def refresh(self) -> JobInfo:
        await self._refresh(lambda: math.inf)
        return self.info

    async def _refresh(self, left: Callable[[], float]) -> None:
        self._look = await self._asker.ask(http_asks.look(self.id, self._look), left)

    async def watch(self, timeout: Timeout = None) -> AsyncIterator[JobInfo]:
        following = Following(self.id, timeout)
        while True:
            try:
                await self._refresh(following.left)
            except ServiceError as error:
                await self._asker.sleep(following.failed(error))
                continue
            if following.news(self._look):
                yield self.info
            if self.info.ended:
                return
            await self._asker.sleep(following.pause(self._look))

    async def wait(self, timeout: Timeout = None, on_progress: OnProgress | None = None) -> JobInfo:
        async for info in self.watch(timeout):
            if on_progress is not None:
                on_progress(info)
        return self.info

    async def logs(self, follow: bool = False) -> AsyncIterator[LogLine]:
        cursor: str | None = None
        while True:
            page = await self._asker.ask(http_asks.logs(self.id, cursor))
            for line in page.lines:
                yield line
            cursor = page.next
            if page.ended or (not page.lines and not follow):
                return
            if not page.lines:
                await self._asker.sleep(LOG_SECONDS)

    async def items(self, status: str | None = None) -> AsyncIterator[ItemInfo]:
        cursor: str | None = None
        while True:
            page = await self._asker.ask(http_asks.items(self.id, status, 1000, cursor))
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    async def retry(self) -> JobInfo:
        self._look = Look(await self._asker.ask(http_asks.retrial(self.id)))
        return self.info

    async def cancel(self) -> JobInfo:
        self._look = Look(await self._asker.ask(http_asks.cancellation(self.id)))
        return self.info

    async def link(self) -> Link:
        return await self._asker.ask(http_asks.link(self.id))

    async def replay(self) -> int:
        return await self._asker.ask(http_asks.replay(self.id))


class _Asker:
    """Sends what is asked over one httpx client."""

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        transport: httpx.AsyncBaseTransport | None,
        sleep: Pause,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self.sleep = sleep
        self.client = httpx.AsyncClient(transport=transport, **endpoint.client_options())

    async def ask(self, ask: Ask[T], left: Callable[[], float] = lambda: math.inf) -> T:
        steps = exchange(ask, self._endpoint.base, self._patience, left)
        step = next(steps)
        while True:
            try:
                if isinstance(step, Send):
                    step = steps.send(await self._sent(ask, left()))
                else:
                    await self.sleep(step.seconds)
                    step = next(steps)
            except StopIteration as done:
                answer: T = done.value
                return answer

    async def _sent(self, ask: Ask[T], left_seconds: float) -> httpx.Response | httpx.HTTPError:
        try:
            request = self._endpoint.request(self.client, ask, left_seconds)
            arriving = Arriving(request)
            async with aclosing(await self.client.send(request, stream=True)) as answer:
                async for piece in answer.aiter_bytes():
                    arriving.add(piece)
                return arriving.whole(answer)
        except httpx.HTTPError as error:
            return error
