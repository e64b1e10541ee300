"""`batchlab serve`, as it is installed: submitted jobs run, and what ends it loses none."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from batchlab.cli import main
from batchlab.service.serve_log import masked
from tests.served import Served, served
from tests.sources import Source, hostile_source

SUBMITS = int(os.environ.get("BATCHLAB_TEST_SUBMITS", "50"))  # by hand 1000
SELF_TEST = {"type": "self-test", "params": {"network": False}}
SLOW = {"workers": 1, "min_interval": "500ms"}

pytestmark = pytest.mark.slow  # each starts the command, some thrice; the demo's test does in every run


@pytest.fixture
def source() -> Iterator[Source]:
    with hostile_source() as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path, source: Source) -> Iterator[Served]:
    with served(
        tmp_path / "served",
        "--allow-local",
        BATCHLAB_JOB_TYPES="self-test,zip-export",
        BATCHLAB_OUTPUT_ROOTS=(tmp_path / "out").as_uri(),
        BATCHLAB_HTTP_HOSTS=f"127.0.0.1:{source.port}",
    ) as made:
        yield made


def album(source: Source, out: Path, photos: int = 3, **fields: object) -> dict[str, object]:
    items = [source.url(f"/photo/{number}.jpg") for number in range(photos)]
    return {"type": "zip-export", "output": out.as_uri(), "params": {"items": items}, **fields}


def test_a_submitted_album_is_delivered_and_its_customer_can_open_and_download_it(
    serve: Served, source: Source, tmp_path: Path
) -> None:
    job = serve.submit(album(source, tmp_path / "out"))
    info = serve.wait(job)
    assert info["state"] == "succeeded"
    assert (tmp_path / "out" / job / "g1" / "album.zip").is_file()
    link = serve.ask("GET", f"/v1/jobs/{job}/link").json()
    assert link["downloads"] == [info["artifacts"][0]["link"]]
    assert httpx.get(link["page"]).status_code == 200
    part = httpx.get(link["downloads"][0], headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"PK\x03\x04")
    items = serve.ask("GET", f"/v1/jobs/{job}/items").json()["items"]
    assert [item["outcome"] for item in items] == ["done"] * 3
    lines = serve.ask("GET", f"/v1/jobs/{job}/logs").json()
    assert any(job in line["text"] for line in lines["lines"])
    assert serve.ask("GET", f"/v1/jobs/{job}/logs?cursor={lines['next']}").json()["ended"] is True


def test_many_submits_of_one_key_at_once_are_one_job(serve: Served) -> None:
    async def submit_all() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=SUBMITS)
        async with httpx.AsyncClient(base_url=serve.url, timeout=300, limits=limits) as client:
            key = {"idempotency-key": "night"}
            return await asyncio.gather(
                *(client.post("/v1/jobs", json=SELF_TEST, headers=key) for _ in range(SUBMITS))
            )

    answers = asyncio.run(submit_all())
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(serve.ask("GET", "/v1/jobs").json()["jobs"]) == 1
    serve.wait(answers[0].json()["id"])


def test_a_job_that_waits_or_runs_when_it_is_killed_goes_on_with_the_next_one(
    serve: Served, source: Source, tmp_path: Path
) -> None:
    jobs = [serve.submit(album(source, tmp_path / "out", photos=6, limits=SLOW)) for _ in range(4)]
    until_running(serve, jobs[0])
    serve.kill()
    serve.start()
    for job in jobs:
        info = serve.wait(job)
        assert (info["state"], info["generation"]) == ("succeeded", 1)
        assert [each.name for each in (tmp_path / "out" / job).iterdir()] == ["g1"]


def test_sigterm_lets_runs_flush_what_they_did_and_they_go_on_later(
    serve: Served, source: Source, tmp_path: Path
) -> None:
    job = serve.submit(album(source, tmp_path / "out", photos=8, limits=SLOW))
    until_running(serve, job, done=2)
    assert serve.process is not None
    children = psutil.Process(serve.process.pid).children(recursive=True)
    assert children
    assert serve.stop() == 0
    assert not [child for child in children if child.is_running()]
    assert "exit code 75" in serve.log
    serve.start()
    assert serve.wait(job)["state"] == "succeeded"
    assert source.count("/photo/0.jpg") <= 3, "what was settled is not fetched again"


def test_no_child_outlives_a_killed_one(serve: Served, source: Source, tmp_path: Path) -> None:
    job = serve.submit(album(source, tmp_path / "out", photos=20, limits=SLOW))
    until_running(serve, job)
    assert serve.process is not None
    children = psutil.Process(serve.process.pid).children(recursive=True)
    serve.kill()
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_two_of_one_store_share_its_jobs_and_do_none_twice(
    serve: Served, source: Source, tmp_path: Path
) -> None:
    second = Served(serve.folder, serve.environment, serve.arguments)
    second.start()
    try:
        jobs = [
            (serve, second)[number % 2].submit(album(source, tmp_path / "out", title=str(number)))
            for number in range(6)
        ]
        assert [serve.wait(job)["state"] for job in jobs] == ["succeeded"] * 6
    finally:
        second.kill()


def test_a_cancelled_job_that_waits_never_begins_and_one_that_runs_stops(
    serve: Served, source: Source, tmp_path: Path
) -> None:
    running = [serve.submit(album(source, tmp_path / "out", photos=50, limits=SLOW)) for _ in range(2)]
    waiting = serve.submit(album(source, tmp_path / "out"))
    until_running(serve, running[0])
    for job in (waiting, *running):
        assert serve.ask("POST", f"/v1/jobs/{job}/cancel").status_code == 202
    for job in (waiting, *running):
        assert serve.wait(job)["state"] == "cancelled"
    assert not (tmp_path / "out" / waiting).exists()
    again = serve.ask("POST", f"/v1/jobs/{waiting}/retry").json()
    assert again["generation"] == 2
    assert serve.wait(waiting)["state"] == "succeeded"


def test_memory_stays_flat_whatever_is_sent(serve: Served) -> None:
    assert serve.process is not None
    process = psutil.Process(serve.process.pid)
    serve.ask("GET", "/v1/jobs")
    before = process.memory_info().rss

    def refused(body: bytes) -> int:
        return serve.ask(
            "POST", "/v1/jobs", content=body, headers={"content-type": "application/json"}
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        bodies = [
            b" " * 20_000_000,
            b"[" * 5_000_000,
            b'{"type":' + b'"' * 5_000_000,
            b"\x00" * 5_500_000,
        ] * 4
        assert set(pool.map(refused, bodies)) <= {413, 422, 503}
    assert process.memory_info().rss - before < 200 * 1024**2


def test_a_body_that_trickles_in_holds_nobody_up(serve: Served) -> None:
    slow = [socket.create_connection(("127.0.0.1", serve.port)) for _ in range(50)]
    try:
        for each in slow:
            each.sendall(
                b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b'Content-Length: 1000\r\n\r\n{"type":'
            )
        assert serve.submit(SELF_TEST)
    finally:
        for each in slow:
            each.close()


def test_a_body_that_trickles_in_is_cut_after_half_a_minute(serve: Served) -> None:
    with socket.create_connection(("127.0.0.1", serve.port)) as slow:
        slow.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n"
        )
        slow.settimeout(0.2)
        begun, answer = time.monotonic(), b""
        while not answer and time.monotonic() - begun < 60:
            slow.sendall(b" ")
            try:
                answer = slow.recv(4096)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_program_that_reads_no_answer_before_it_has_sent_all_gets_its_413(serve: Served) -> None:
    answer = serve.ask(
        "POST", "/v1/jobs", content=b" " * 30_000_000, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413 and "manifest" in answer.json()["detail"]


def test_no_token_of_a_page_is_in_the_log(serve: Served) -> None:
    job = serve.submit(SELF_TEST)
    page = serve.wait(job)["page"]
    httpx.get(page)
    httpx.get(f"{page}/status.json")
    token = page.rpartition("/")[2]
    assert "/s/..." in serve.log
    assert token not in serve.log


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/s/abc", "/s/..."),
        ("/s/abc/status.json", "/s/.../status.json"),
        ("/d/abc/2", "/d/.../2"),
        ("//s/abc", "//s/..."),
        ("/shop/d/abc/2", "/shop/d/.../2"),
        ("/v1/jobs", "/v1/jobs"),
        ("/x\n2026-06-06T12:00:00Z INFO: all is well", "/x\ufffd2026-06-06T12:00:00Z INFO: all is well"),
    ],
)
def test_paths_are_logged_on_one_line_without_tokens(path: str, shown: str) -> None:
    assert masked(path) == shown


def test_another_address_needs_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", "--store", str(tmp_path)]) == 2
    assert "BATCHLAB_TOKEN=" in capsys.readouterr().err


def test_an_address_for_customers_needs_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCHLAB_PUBLIC_BASE_URL", "https://photos.example.com")
    assert main(["serve", "--port", "0", "--store", str(tmp_path)]) == 2
    assert "BATCHLAB_TOKEN=" in capsys.readouterr().err


def test_a_request_that_hides_another_one_behind_two_lengths_is_refused_and_hung_up_on(serve: Served) -> None:
    hidden = b"0\r\n\r\nGET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(hidden)
    )
    with socket.create_connection(("127.0.0.1", serve.port), timeout=30) as made:
        made.sendall(head + hidden)
        said = b"".join(iter(lambda: made.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 400 ") and said.count(b"HTTP/1.1 ") == 1


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--store", str(tmp_path)]) == 2
    assert f"--port {port + 1}" in capsys.readouterr().err


def until_running(serve: Served, job: str, done: int = 0) -> None:
    """Returns when the job's run has settled that many items."""
    for _ in range(900):
        info = serve.ask("GET", f"/v1/jobs/{job}").json()
        if info["state"] == "running" and info["counts"]["done"] >= done:
            return
        assert not info["ended_at"], info
        time.sleep(0.1)
    raise AssertionError(serve.log[-3000:])
