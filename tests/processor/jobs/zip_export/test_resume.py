"""The streaming sink, killed at the worst moments, and retried: never half, never lost, never another's."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from typing import Any

import pytest

from batchlab.settings import Settings
from batchlab_processor.storage import local, multipart
from tests.processor.jobs.zip_export.exporting import Export
from tests.servers import S3Server
from tests.sources import Source, photo

pytestmark = pytest.mark.parametrize("sink", ["streaming"])


class Killed(BaseException):
    """As if the process were gone."""


def killed_at(
    monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, *, after: bool, turn: int = 1
) -> None:
    """From now on the `turn`th call of the method ends the run, before or after it had its effect."""
    real = getattr(owner, method)
    turns = iter(range(1, 10**9))

    def call(*arguments: Any, **named: Any) -> Any:
        this = next(turns)
        if this == turn and not after:
            raise Killed
        answer = real(*arguments, **named)
        if this == turn:
            raise Killed
        return answer

    monkeypatch.setattr(owner, method, call)


@pytest.mark.parametrize(
    "after", [False, True], ids=["right before it is visible", "right after it is visible"]
)
def test_a_run_killed_while_delivering_is_followed_by_one_that_delivers(
    export: Export, source: Source, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    items: Any = [source.url(f"/photo/{n}.jpg?size=200000") for n in range(6)]
    with monkeypatch.context() as patch:
        killed_at(patch, local._LocalWriter, "commit", after=after)
        with pytest.raises(Killed):
            export(items)
    assert (export.directory / "album.zip").exists() is after

    exported = export.run()

    assert exported.state == "succeeded"
    assert exported.files == {f"{n}.jpg": photo(f"{n}.jpg", 200_000) for n in range(6)}
    assert [path.name for path in export.directory.iterdir()] == ["album.zip"]


def test_a_run_killed_in_the_middle_leaves_nothing_to_see(
    export: Export, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_at(patch, local._LocalWriter, "write", after=True, turn=9)
        with pytest.raises(Killed):
            export([source.url(f"/photo/{n}.jpg?size=200000") for n in range(6)])
    assert not (export.directory / "album.zip").exists()
    assert export.run().state == "succeeded"


def test_a_retry_at_an_exact_key_replaces_the_archive_in_which_photos_were_missing(
    export: Export, source: Source
) -> None:
    mended = False
    source.add("broken", lambda to: to.good() if mended else to.answer(404, b"", "text/plain"))
    first = export([source.url("/photo/a.jpg"), source.url("/broken/b.jpg")])
    assert (first.state, list(first.files)) == ("partial", ["a.jpg", "_missing.csv"])

    mended = True
    assert export.records is not None
    export.records.start_retry()
    second = export.run()

    assert second.state == "succeeded"
    assert second.files == {"a.jpg": photo("a.jpg"), "b.jpg": photo("b.jpg")}


def test_a_retry_does_not_replace_what_somebody_put_there_meanwhile(export: Export, source: Source) -> None:
    first = export([source.url("/photo/a.jpg"), source.url("/status/404/b.jpg")])
    first.path.write_bytes(b"theirs now")
    assert export.records is not None
    export.records.start_retry()
    assert export.run().state == "failed"
    assert first.path.read_bytes() == b"theirs now"


@pytest.mark.parametrize("server_name", ["moto_s3", "seaweedfs"])
def test_an_upload_that_a_killed_run_left_is_gone_after_the_next_run(
    export: Export,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    server_name: str,
) -> None:
    server: S3Server = request.getfixturevalue(server_name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    client = server.client()
    with server.bucket() as bucket:
        export.settings = Settings(s3_endpoint=server.endpoint_url)
        export.output = f"s3://{bucket}/exports"
        sizes = {f"{n}.jpg": 5_000_000 for n in range(5)}
        left = client.create_multipart_upload(Bucket=bucket, Key="exports/album.zip")  # what kill -9 leaves
        client.upload_part(
            Bucket=bucket, Key="exports/album.zip", UploadId=left["UploadId"], PartNumber=1, Body=b"half"
        )

        exported = export([source.url(f"/photo/{name}?size={size}") for name, size in sizes.items()])

        assert exported.state == "succeeded"
        assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
        body = client.get_object(Bucket=bucket, Key="exports/album.zip")["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == {
                name: photo(name, size) for name, size in sizes.items()
            }
    client.close()


def test_an_upload_that_fails_is_aborted(
    export: Export, source: Source, monkeypatch: pytest.MonkeyPatch, moto_s3: S3Server, moto_bucket: str
) -> None:
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    export.settings = Settings(s3_endpoint=moto_s3.endpoint_url)
    export.output = f"s3://{moto_bucket}/exports"
    killed_at(monkeypatch, multipart.MultipartWriter, "commit", after=False)
    with pytest.raises(Killed):
        export([source.url(f"/photo/{n}.jpg?size=5000000") for n in range(5)])
    client = moto_s3.client()
    assert not client.list_multipart_uploads(Bucket=moto_bucket).get("Uploads")
    assert not client.list_objects_v2(Bucket=moto_bucket).get("Contents")
    client.close()


def test_a_signal_while_the_last_photo_is_streamed_ends_the_run_and_leaves_nothing_half(
    export: Export, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = source.url("/photo/large.jpg?size=2000000")
    write = local._LocalWriter.write
    writes: list[int] = []

    def slow(self: Any, data: Any) -> Any:
        writes.append(len(data))
        if len(writes) == 3:  # its outcome was handed on before the first
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(local._LocalWriter, "write", slow)
        with pytest.raises(AssertionError, match="Interrupted"):
            export([item])
    assert sum(writes) < 1_000_000
    assert list(export.directory.glob("*")) == []
    assert export.run().files == {"large.jpg": photo("large.jpg", 2_000_000)}
