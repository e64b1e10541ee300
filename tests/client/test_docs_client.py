"""Every snippet of docs/client.md runs, as a program of its own, against a service that answers as ours does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.scripted_endpoint import Asked, Endpoint, Says, scripted_endpoint
from tests.client.test_http_backend import ID, INFO, PROBLEM

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ALBUM = {"name": "album.zip", "url": "s3://bucket/exports/album.zip", "size_bytes": 9}
ENDED = INFO | {"state": "succeeded", "counts": {"total": 2, "done": 2}, "artifacts": [ALBUM]}


def service(asked: Asked) -> Says:
    if asked.method == "POST" and asked.path == "/v1/jobs":
        return Says(PROBLEM, 422) if asked.json["type"] == "zip-exprot" else Says(INFO, 202)
    answers = {
        "/v1/jobs": {"jobs": [INFO]},
        "/v1/estimates": {"seconds": 20.0, "unknown": ["How many checks there are, the test itself says."]},
        f"/v1/jobs/{ID}/items": {"items": [{"key": "clock", "outcome": "done"}]},
        f"/v1/jobs/{ID}/link": {"page": "https://photos.example.com/s/x", "downloads": []},
    }
    return Says(answers.get(asked.path, ENDED))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with scripted_endpoint() as scripted:
        scripted.answers(service)
        yield scripted


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_runs(endpoint: Endpoint, tmp_path: Path, snippet: str) -> None:
    (tmp_path / "wedding.yaml").write_text("type: self-test\n")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        env={**os.environ, "BATCHLAB_URL": endpoint.url, "BATCHLAB_TOKEN": "a-token"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    assert {asked.headers["authorization"] for asked in endpoint.asked} == {"Bearer a-token"}


def test_there_are_snippets_and_every_error_stands_in_the_table() -> None:
    import batchlab
    from batchlab.errors import BatchlabError

    assert len(SNIPPETS) == 5
    exported = [getattr(batchlab, name) for name in batchlab.__all__]
    for each in exported:
        if isinstance(each, type) and issubclass(each, BatchlabError) and each is not BatchlabError:
            assert f"`{each.__name__}`" in PAGE


def test_the_example_submits_an_event_once_and_follows_it(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("url,name\nhttps://example.com/1.jpg,Erste.jpg\n", encoding="utf-8")
    example = Path(__file__).parents[2] / "examples" / "client" / "album.py"
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, example, "event-7", "photos.csv", "s3://bucket/exports"],
            env={**os.environ, "BATCHLAB_URL": endpoint.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (ran.returncode, ran.stdout) == (0, "https://photos.example.com/s/x\n"), ran.stderr
    keys = [asked.headers["idempotency-key"] for asked in endpoint.asked if asked.method == "POST"]
    assert keys == ["event-7"] * 2
