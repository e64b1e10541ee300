"""Submitted documents that reach for what is not theirs: 0 reads and 0 writes outside of the store."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchlab.errors import BatchlabError
from batchlab.settings import Settings
from batchlab_processor.entrypoint import Call, run
from tests.hostile_urls import HOSTILE

VICTIM = "01m82z2746kh8t1vwtfytf7h25"


@pytest.fixture
def canary() -> Iterator[tuple[int, list[int]]]:
    """A port of this machine on which nobody may call, and the calls it got."""
    calls: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]

        def listen() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                calls.append(1)
                caller.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield port, calls
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def hostile_sources(tmp_path: Path, port: int) -> list[str]:
    secret, store = f"file://{tmp_path}/secret", f"file://{tmp_path}/store"
    return [
        f"{secret}/passwords.txt",
        f"file://localhost{tmp_path}/secret/passwords.txt",
        f"{store}/jobs/{VICTIM}/job.json",
        f"{store}/jobs/{VICTIM}/grant.json",
        f"file://{tmp_path}/photos/../secret/passwords.txt",
        f"file://{tmp_path}/photos/%2e%2e/secret/passwords.txt",
        "file:///proc/self/environ",
        "file:///etc/passwd",
        "s3://foreign/secret.jpg",
        "s3://photos-private/secret.jpg",
        "s3://photos/2024/../../foreign/secret.jpg",
        "s3://photos/%2e%2e/foreign/secret.jpg",
        "s3://photos/..%2fforeign/secret.jpg",
        "s3://photos/2024%2f..%2f..%2fforeign",
        "s3://PHOTOS/../foreign/x.jpg",
        f"file://{tmp_path}/out/customer/album.zip",
        "s3://out/customer/album.zip",
        "r2://foreign/secret.jpg",
        "gs://foreign/secret.jpg",
        "memory://photos/secret.jpg",
        f"http://127.0.0.1:{port}/x.jpg",
        f"https://127.0.0.1:{port}/x.jpg",
        f"https://localhost:{port}/x.jpg",
        f"https://photos.example.com@127.0.0.1:{port}/x.jpg",
        f"https://photos.example.com:{port}@127.0.0.1/x.jpg",
        f"http://0x7f000001:{port}/x.jpg",
        f"http://[::ffff:127.0.0.1]:{port}/x.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.170.2/v2/credentials",
    ]


def documents(tmp_path: Path, port: int) -> Iterator[dict[str, Any]]:
    sources = [*hostile_sources(tmp_path, port), *HOSTILE]
    for source in sources:
        yield {"params": {"items": [source]}}
    for source in hostile_sources(tmp_path, port):
        yield {"params": {"items": {"manifest": source}}}
        yield {"params": {"items": {"prefix": source}}}
        if "/out/" not in source:
            yield {"params": {"items": ["s3://photos/fine.jpg"]}, "output": source.rpartition("/")[0]}
    good = {"items": ["s3://photos/fine.jpg"]}
    yield {"params": {**good, "name": "../../escape.zip"}}
    yield {"params": {**good, "name": "/etc/cron.d/escape.zip"}}
    yield {"params": good, "id": VICTIM}
    yield {"params": good, "id": "../../escape"}
    yield {"params": good, "type": "self-test/../zip-export"}
    yield {"params": {**good, "password_ref": "../../etc/passwd"}}
    yield {"params": {**good, "password_ref": "HOME"}}
    yield {"params": {**good, "environ": {"PATH": "/x"}}}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow  # hundreds of runs; tests/client/test_authority.py refuses the same addresses in every run
def test_hostile_documents_read_and_write_nothing(
    tmp_path: Path, canary: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, calls = canary
    for variable in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):  # so that nothing else keeps it from calling
        monkeypatch.setenv(variable, "test")
    for name in ("secret/passwords.txt", "photos/fine.jpg", "out/customer/album.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"canary of {name}")
    settings = Settings(
        store=f"file://{tmp_path}/store",
        source_roots=("s3://photos/2024/",),  # so even "fine.jpg" lies outside
        output_roots=(f"file://{tmp_path}/out",),
        http_hosts=("photos.example.com",),
        job_types=("zip-export",),
        s3_endpoint=f"http://127.0.0.1:{port}",
    )
    victim = {"type": "self-test", "id": VICTIM, "params": {"network": False}}
    call = Call(job=json.dumps(victim), settings=settings, quiet=True)
    with pytest.raises(BatchlabError):  # of a type that is not listed: it stands in the store by hand
        run(call)
    before = {name: snapshot(tmp_path / name) for name in ("secret", "photos", "out")}
    ran = 0
    for document in documents(tmp_path, port):
        body = json.dumps({"type": "zip-export", "output": f"file://{tmp_path}/out/x", **document})
        try:
            code = run(Call(job=body, settings=settings, quiet=True))
        except BatchlabError as refused:
            code = refused.exit_code
        assert code == 2 or (code == 1 and "output" not in document), document
        ran += 1
    assert ran >= 100
    assert calls == []
    assert {name: snapshot(tmp_path / name) for name in before} == before
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "photos", "out", "store"}


def test_another_documents_job_cannot_be_written_over(tmp_path: Path) -> None:
    settings = Settings(store=f"file://{tmp_path}/store", job_types=("self-test",))
    first = json.dumps({"type": "self-test", "id": VICTIM, "params": {"network": False}, "title": "first"})
    run(Call(job=first, settings=settings, quiet=True))
    before = snapshot(tmp_path / "store")
    with pytest.raises(BatchlabError, match="exists") as refused:
        run(Call(job=first.replace("first", "second"), settings=settings, quiet=True))
    assert refused.value.exit_code == 2
    assert snapshot(tmp_path / "store") == before
