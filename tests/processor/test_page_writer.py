"""The customer's page while a run works on its job."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from batchlab import page
from batchlab.errors import ServiceError
from batchlab.page import open_pages, token
from batchlab.page.pages import MemoryPages
from batchlab.settings import Settings
from batchlab.shards import Shard
from batchlab.stores.memory import MemoryStore
from batchlab_processor import registry
from batchlab_processor.engine import End
from batchlab_processor.entrypoint import Call, run
from batchlab_processor.page_writer import PageWriter
from tests.processor.shouting import Shout, World


class Watched(MemoryPages):
    """Pages that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[str] = []
        self.written = threading.Condition()

    def put(self, name: str, body: bytes, content_type: str) -> None:
        super().put(name, body, content_type)
        if name.endswith("status.json"):
            with self.written:
                self.states.append(json.loads(body)["state"])
                self.written.notify_all()

    def await_states(self, count: int) -> None:
        with self.written:
            assert self.written.wait_for(lambda: len(self.states) >= count, 30)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    pages = Watched()
    monkeypatch.setattr(page, "open_pages", lambda settings, store: pages)
    return pages


def shown(world: World, shard: Shard | None = None, **writer: Any) -> End:
    """A run of the job with its page beside it."""
    with PageWriter(world.records, Settings(), shard, **writer) as page:
        return world.run(follow=page.follow)


def test_the_page_is_written_at_the_start_now_and_then_and_at_the_end(watched: Watched) -> None:
    world = World(params={"count": 3})
    token(world.records)
    world.job.plant = lambda item, ctx: watched.await_states(3)
    shown(world, page_seconds=0.01)
    assert watched.states[:3] == ["running"] * 3
    assert watched.states[-1] == "succeeded"


def test_the_end_is_shown_however_long_the_next_page_would_have_been_away(watched: Watched) -> None:
    world = World()
    token(world.records)
    shown(world, page_seconds=3600)
    assert watched.states[-1] == "succeeded"


def test_a_job_that_nobody_has_the_address_of_gets_no_page(watched: Watched) -> None:
    world = World()
    shown(world, page_seconds=0.01)
    assert watched.states == []
    assert world.store.read(f"{world.records.folder}/page.json") is None


def test_a_page_that_cannot_be_written_fails_no_job_and_is_told_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, tried = World(), threading.Semaphore(0)
    secret = token(world.records)

    def away(*_: Any) -> None:
        tried.release()
        raise ServiceError("the customers' pages: no answer.")

    monkeypatch.setattr(watched, "put", away)
    world.job.plant_collect = lambda ctx: [tried.acquire(timeout=30) for _ in range(3)]
    with caplog.at_level(logging.DEBUG, logger="batchlab"):
        assert shown(world, page_seconds=0.01).exit_code == 0
    assert [record.getMessage() for record in caplog.records if "page" in record.getMessage()] == [
        "The customer's page could not be written: the customers' pages: no answer. The job goes on."
    ]
    assert secret not in caplog.text


def test_a_page_that_hangs_holds_no_run_up(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    world, never = World(), threading.Event()
    token(world.records)
    monkeypatch.setattr(watched, "put", lambda *_: never.wait(60))
    assert shown(world, page_seconds=0.01, last_seconds=0.1).exit_code == 0
    never.set()


def test_shards_take_turns_and_leave_the_end_to_collect(watched: Watched) -> None:
    world = World()
    token(world.records)
    shown(world, Shard(2, 100_000))
    assert watched.states == []


def test_the_page_says_what_the_run_itself_expects(watched: Watched) -> None:
    world = World(speed=1)
    its = token(world.records)
    seen: list[Any] = []

    def look(item: Any, ctx: Any) -> None:
        if item.text == "w9":
            watched.await_states(len(watched.states) + 2)
            body = watched.get(f"{its}/status.json")
            assert body is not None
            seen.append(json.loads(body)["eta_seconds"])

    world.job.plant = look
    shown(world, page_seconds=0.01)
    assert seen and isinstance(seen[0], int)


def test_the_command_run_writes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "names", lambda: ("shout",))
    monkeypatch.setattr(registry, "job_type", lambda name: Shout())
    store = MemoryStore.named("pages-of-the-command")
    world = World()
    world.records.store = store
    store.create(
        f"{world.records.folder}/job.json", world.store.read(f"{world.records.folder}/job.json").body
    )  # type: ignore[union-attr]
    settings = Settings(store=store.url, job_types=("shout",), output_roots=("s3://bucket/out",))
    its = token(world.records)
    assert run(Call(job=f"{store.url}/jobs/{world.records.id}", settings=settings, quiet=True)) == 0
    body = open_pages(settings, store).get(f"{its}/status.json")
    assert body is not None and json.loads(body)["state"] == "succeeded"
