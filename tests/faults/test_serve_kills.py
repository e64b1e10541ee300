"""`batchlab serve`, killed again and again while jobs come in: every accepted job ends, and none is delivered twice.

BATCHLAB_TEST_FAULTS is the number of kills (docs/reliability.md has the by-hand figures).
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchlab.job_index import list_jobs
from batchlab.records import JobRecords
from batchlab.stores import open_store
from tests.served import Served, served
from tests.sources import Source, hostile_source

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "4"))
SECONDS = float(os.environ.get("BATCHLAB_TEST_SECONDS", "inf"))  # after these no more kills
SEED = int(os.environ.get("BATCHLAB_TEST_SEED", "20261126"))
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SUBMITTERS = 2
PHOTOS = 4
LONGEST_LIFE_SECONDS = 6.0  # a start takes 2 s, a job 3 s: kills hit every moment of both


class Hooks(BaseHTTPRequestHandler):
    """Notes the webhook-id and the job of everything it is told."""

    told: list[tuple[str, str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.told.append((self.headers["webhook-id"], str(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def hooks() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    told: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Hooks,), {"told": told}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/end", told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Submitters:
    """Backends that submit album after album, each again and again until it is accepted."""

    def __init__(self, serve: Served, source: Source, out: Path, hook: str) -> None:
        self.accepted: dict[str, str] = {}  # job by key
        self.asked = 0
        self._serve, self._source, self._out, self._hook = serve, source, out, hook
        self._enough = threading.Event()

    def run(self, name: int) -> None:
        number = 0
        while not self._enough.is_set():
            number += 1
            key = f"{name}-{number}"
            self.asked += 1
            while (
                job := self._submit(key)
            ) is None:  # also after the last kill: what was asked is asked to the end
                time.sleep(0.1)
            self.accepted[key] = job
            self._enough.wait(4)

    def stop(self) -> None:
        self._enough.set()

    def _submit(self, key: str) -> str | None:
        document = {
            "type": "zip-export",
            "title": key,
            "output": self._out.as_uri(),
            "params": {"items": [self._source.url(f"/photo/{key}-{each}.jpg") for each in range(PHOTOS)]},
            "notify": [{"webhook": self._hook}],
        }
        try:
            answer = self._serve.ask("POST", "/v1/jobs", json=document, headers={"idempotency-key": key})
        except httpx.HTTPError:
            return None
        assert answer.status_code in (202, 409, 503), answer.text
        return str(answer.json()["id"]) if answer.status_code == 202 else None


def test_killed_at_random_every_accepted_job_ends_and_none_is_delivered_twice(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    out = tmp_path / "out"
    kills, begun = 0, time.monotonic()
    with (
        hostile_source() as source,
        hooks() as (hook, told),
        ThreadPoolExecutor(SUBMITTERS) as pool,
        served(
            tmp_path / "served",
            "--allow-local",
            BATCHLAB_JOB_TYPES="zip-export",
            BATCHLAB_OUTPUT_ROOTS=out.as_uri(),
            BATCHLAB_HTTP_HOSTS=f"127.0.0.1:{source.port}",
            BATCHLAB_WEBHOOK_HOSTS=hook.split("/")[2],
            BATCHLAB_WEBHOOK_SECRET=SECRET,
        ) as serve,
    ):
        submitters = Submitters(serve, source, out, hook)
        running = [pool.submit(submitters.run, name) for name in range(SUBMITTERS)]
        try:
            while kills < KILLS and time.monotonic() - begun < SECONDS:
                time.sleep(chance.uniform(0, LONGEST_LIFE_SECONDS))
                serve.kill()
                kills += 1
                serve.start()
        finally:
            submitters.stop()
        for each in running:
            each.result()
        ended = {job: serve.wait(job, seconds=600) for job in submitters.accepted.values()}
        wait_until(lambda: len({job for job, _ in map(_of, told)}) == len(ended), serve)
    assert len(ended) == len(submitters.accepted) == submitters.asked, "one job for each key"
    assert {info["state"] for info in ended.values()} == {"succeeded"}
    store = open_store(serve.store)
    assert {job.id for job in list_jobs(store)} == set(ended)
    for job, info in ended.items():
        assert info["generation"] == 1
        files = [path.relative_to(out / job) for path in (out / job).rglob("*") if path.is_file()]
        assert [str(path) for path in files] == ["g1/album.zip"], files
        with zipfile.ZipFile(out / job / "g1" / "album.zip") as archive:
            assert archive.testzip() is None and len(archive.namelist()) == PHOTOS
        assert JobRecords(store, job).pending() is None
    by_job = {job: {webhook for each, webhook in map(_of, told) if each == job} for job in ended}
    assert {len(ids) for ids in by_job.values()} == {1}, "told again, but never as something new"
    print(f"{kills} kills, {len(ended)} jobs, {len(told)} webhooks, {_runs(store, ended)} runs")


def _of(told: tuple[str, str]) -> tuple[str, str]:
    """(job, webhook-id)"""
    webhook, body = told
    found = [word for word in body.replace("'", " ").split() if len(word) == 26 and word.startswith("01")]
    return found[0], webhook


def _runs(store: Any, jobs: Any) -> int:
    return sum(Counter(len(JobRecords(store, job).runs(1)) for job in jobs).elements())


def wait_until(true: Any, serve: Served) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.2)
    raise AssertionError(serve.log[-4000:])
