from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from batchlab.api import JobInfo
from batchlab.async_client import AsyncClient, AsyncJob, AsyncJobs
from batchlab.client import ClientJobs
from batchlab.errors import DocumentError, ServiceError, UsageError, WaitTimeout
from batchlab.http_protocol import Patience
from batchlab.job import Job
from batchlab.status import State
from tests.client.scripted_endpoint import HANG_UP, Endpoint, Says, scripted_endpoint
from tests.client.test_http_backend import ID, INFO, PROBLEM


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with scripted_endpoint() as scripted:
        yield scripted


def using(
    endpoint: Endpoint,
    act: Callable[[AsyncClient], Coroutine[Any, Any, Any]],
    slept: list[float] | None = None,
) -> Any:
    """What `act` returns, with a client that notes its pauses and makes none."""

    async def rest(seconds: float) -> None:
        (slept if slept is not None else []).append(seconds)

    async def run() -> Any:
        async with AsyncClient(endpoint.url, token="t", patience=Patience(attempts=3), sleep=rest) as client:
            return await act(client)

    return asyncio.run(run())


async def all_of(found: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in found]


@pytest.mark.parametrize(("ours", "theirs"), [(AsyncJobs, ClientJobs), (AsyncJob, Job)])
def test_it_has_the_face_of_the_other_client(ours: type, theirs: type) -> None:
    def face(of: type) -> set[str]:
        return {name for name in dir(of) if not name.startswith("_")}

    assert face(ours) == face(theirs)


def test_a_submission_is_repeated_under_its_key_and_shows_the_token(endpoint: Endpoint) -> None:
    endpoint.answers(HANG_UP, Says(status=503, headers={"Retry-After": "2"}), Says(INFO, 202))
    slept: list[float] = []
    document = {"type": "self-test"}
    job = using(endpoint, lambda client: client.jobs.submit(document, idempotency_key="event-7"), slept)
    assert (job.id, job.state) == (ID, State.QUEUED)
    assert [asked.headers["idempotency-key"] for asked in endpoint.asked] == ["event-7"] * 3
    assert endpoint.asked[0].headers["authorization"] == "Bearer t"
    assert slept[1] == 2


def test_many_jobs_are_submitted_at_once(endpoint: Endpoint) -> None:
    endpoint.answers(Says(INFO, 202))

    async def act(client: AsyncClient) -> int:
        jobs = await asyncio.gather(*(client.jobs.submit({"type": "self-test"}) for _ in range(20)))
        return len(jobs)

    assert using(endpoint, act) == 20
    assert len({asked.headers["idempotency-key"] for asked in endpoint.asked}) == 20


def test_a_job_is_watched_to_its_end_at_the_pace_that_the_service_asks_for(endpoint: Endpoint) -> None:
    running = INFO | {"state": "running", "counts": {"total": 2, "done": 1}}
    endpoint.answers(
        Says(INFO),
        Says(running, headers={"ETag": '"1"', "Retry-After": "5"}),
        Says(status=304, headers={"Retry-After": "15"}),
        Says(INFO | {"state": "succeeded"}),
    )
    slept: list[float] = []

    async def act(client: AsyncClient) -> list[JobInfo]:
        job = await client.jobs.get(ID)
        return await all_of(job.watch())

    seen = using(endpoint, act, slept)
    assert [info.state for info in seen] == [State.RUNNING, State.SUCCEEDED]
    assert slept == [5, 15]


def test_a_wait_ends_in_time_and_tells_progress(endpoint: Endpoint) -> None:
    endpoint.answers(Says(INFO))
    seen: list[JobInfo] = []

    async def act(client: AsyncClient) -> None:
        await (await client.jobs.get(ID)).wait(timeout=0, on_progress=seen.append)

    with pytest.raises(WaitTimeout):
        using(endpoint, act)
    assert len(seen) == 1


def test_a_wait_ends_in_time_whatever_the_service_asks_for(endpoint: Endpoint) -> None:
    endpoint.answers(Says(INFO), Says(status=503, headers={"Retry-After": "30"}))
    slept: list[float] = []

    async def act(client: AsyncClient) -> None:
        await (await client.jobs.get(ID)).wait(timeout=0)

    with pytest.raises(WaitTimeout, match=r"The last look failed: .* answered 503"):
        using(endpoint, act, slept)
    assert slept == []


def test_lists_items_and_logs_come_page_after_page(endpoint: Endpoint) -> None:
    line = {"at": "2026-11-26T12:00:00Z", "text": "planned"}
    endpoint.answers(
        Says({"jobs": [INFO, INFO], "next": "c"}),
        Says({"jobs": [INFO]}),
        Says(INFO),
        Says({"items": [{"key": "1", "outcome": "done"}], "next": "d"}),
        Says({"items": [{"key": "2", "outcome": "failed"}]}),
        Says({"lines": [line], "next": "e"}),
        Says({"lines": [], "next": "e"}),
        Says({"lines": [line], "next": "f"}),
        Says({"lines": [], "next": "f", "ended": True}),
    )

    async def act(client: AsyncClient) -> tuple[int, list[str], int]:
        jobs = await all_of(client.jobs.list(limit=3))
        job = await client.jobs.get(ID)
        items = [item.key async for item in job.items()]
        return len(jobs), items, len(await all_of(job.logs(follow=True)))

    assert using(endpoint, act) == (3, ["1", "2"], 2)
    assert [asked.query.get("cursor") for asked in endpoint.asked] == [
        None,
        "c",
        None,
        None,
        "d",
        None,
        "e",
        "e",
        "f",
    ]
    assert [asked.query.get("limit") for asked in endpoint.asked[:2]] == ["3", "1"]


def test_errors_are_those_of_the_other_client(endpoint: Endpoint) -> None:
    endpoint.answers(Says(PROBLEM, 422))
    with pytest.raises(DocumentError) as raised:
        using(endpoint, lambda client: client.jobs.submit({"type": "self-test"}))
    assert raised.value.problems == PROBLEM["problems"]
    endpoint.answers(Says(status=500))
    with pytest.raises(ServiceError):
        using(endpoint, lambda client: client.jobs.types())


@pytest.mark.parametrize("url", ["file:///jobs", "batch://queue/definition?store=s3://b/p", ""])
def test_it_asks_endpoints_only_and_says_what_else_there_is(url: str) -> None:
    with pytest.raises(UsageError, match="BATCHLAB_URL"):
        AsyncClient(url)
