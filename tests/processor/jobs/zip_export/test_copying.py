"""Parts that the server copies by itself: only of the version that was planned, and only what the job may read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from batchlab_processor import testing
from batchlab_processor.jobs.zip_export.planned import COPIES_NOT_PROVED
from batchlab_processor.storage import parts_s3
from tests.processor.jobs.zip_export.bucket_jobs import PART_BYTES, BucketJob, files, small_parts, watched
from tests.servers import S3Server
from tests.sources import photo
from tests.strict_s3 import Reply, Request, StrictS3

P = PART_BYTES
SIZES = {"a.jpg": 5 * P, "b.jpg": 400, "c.jpg": 3 * P + 17, "d.jpg": 9 * P}


@pytest.fixture(autouse=True)
def parts_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)


def photos() -> dict[str, bytes]:
    return {name: photo(name, size) for name, size in SIZES.items()}


def put(strict: StrictS3, *, crc32: bool) -> None:
    for name, content in photos().items():
        strict.put("bucket", f"in/{name}", content, crc32=crc32)


def job(environment: dict[str, str], scheme: str = "s3", bucket: str = "bucket") -> BucketJob:
    root = f"{scheme}://{bucket}"
    urls = {name: f"{root}/in/{name}" for name in SIZES}
    return BucketJob(urls, f"{root}/out", environment, sources=[f"{root}/in/"])


def copies(requests: list[Request]) -> list[Request]:
    return [asked for asked in requests if "x-amz-copy-source" in asked.headers]


def read_bytes(requests: list[Request]) -> int:
    """As the ranges of reading say, the looks at the first bytes left out."""
    spans = [asked.headers.get("range", "") for asked in requests if asked.method == "GET"]
    ends = [span.removeprefix("bytes=").split("-") for span in spans if span]
    return sum(int(end) - int(begin) + 1 for begin, end in ends if end and end != "511")


@pytest.mark.parametrize("crc32", [True, False], ids=["with checksums", "without"])
def test_whole_parts_of_photos_on_the_same_server_are_copied_there(strict_s3: StrictS3, crc32: bool) -> None:
    put(strict_s3, crc32=crc32)
    export = job(strict_s3.server.environment())
    with watched(strict_s3) as requests:
        end = export.run()
    assert (end.state, strict_s3.uploads) == ("succeeded", {})
    stored = strict_s3.objects["bucket", export.key()]
    assert files(stored.data) == photos()
    assert stored.checksum_type == ("" if crc32 else "FULL_OBJECT")
    assert len(copies(requests)) == 4 + 2 + 8  # what lies between the edges of photos and parts
    assert all("x-amz-copy-source-if-match" in asked.headers for asked in copies(requests))
    assert end.report is not None
    assert end.report.facts["copied_bytes"] == 14 * P
    assert end.report.facts["not_proved"] == COPIES_NOT_PROVED


def test_what_was_copied_before_a_kill_is_not_copied_again_and_still_counted(
    strict_s3: StrictS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        time.sleep(0.1)  # until all notes are in the ledger
        raise testing.Killed

    put(strict_s3, crc32=True)
    export = job(strict_s3.server.environment())
    with monkeypatch.context() as patch, watched(strict_s3) as requests:
        patch.setattr(parts_s3.S3Parts, "complete", killed)
        with pytest.raises(testing.Killed):
            export.run()
    assert len(copies(requests)) == 14
    with watched(strict_s3) as requests:
        end = export.run()
    assert copies(requests) == []
    assert end.report is not None
    assert end.report.facts["copied_bytes"] == 14 * P
    assert files(strict_s3.objects["bucket", export.key()].data) == photos()


def test_r2_which_tells_no_checksums_is_asked_for_no_copies_of_photos(strict_r2: StrictS3) -> None:
    put(strict_r2, crc32=False)
    export = job(strict_r2.server.r2_environment("bucket"), "r2")
    with watched(strict_r2) as requests:
        end = export.run()
    assert (end.state, strict_r2.uploads) == ("succeeded", {})
    assert files(strict_r2.objects["bucket", export.key()].data) == photos()
    assert copies(requests) == []
    assert read_bytes(requests) <= sum(SIZES.values())
    assert end.report is not None
    assert "copied_bytes" not in end.report.facts
    assert "not_proved" not in end.report.facts


def test_on_r2_a_retry_copies_from_the_archive_whose_checksums_are_known(strict_r2: StrictS3) -> None:
    put(strict_r2, crc32=False)
    del strict_r2.objects["bucket", "in/b.jpg"]
    export = job(strict_r2.server.r2_environment("bucket"), "r2")
    assert export.run().state == "partial"
    strict_r2.put("bucket", "in/b.jpg", photos()["b.jpg"])
    export.records.start_retry()
    with watched(strict_r2) as requests:
        end = export.run()
    assert (end.state, strict_r2.uploads) == ("succeeded", {})
    assert files(strict_r2.objects["bucket", export.key(2)].data) == photos()
    assert {asked.headers["x-amz-copy-source"] for asked in copies(requests)} == {f"/bucket/{export.key()}"}
    numbers = [asked.query["partNumber"] for asked in copies(requests)]
    assert len(numbers) == len(set(numbers)), "none is copied twice"
    assert {asked.key for asked in requests if asked.key.startswith("in/")} == {"in/b.jpg"}
    assert end.report is not None
    assert end.report.facts["copied_bytes"] == len(copies(requests)) * P > 0


@contextmanager
def changing(strict: StrictS3, name: str, content: bytes, *, at: int) -> Iterator[None]:
    """The photo is another one from the copy of its `at`-th part on."""
    answer, count = strict.answer, 0

    def changed(asked: Request) -> Reply:
        nonlocal count
        if asked.headers.get("x-amz-copy-source") == f"/bucket/in/{name}":
            count += 1
            if count == at:
                strict.put("bucket", f"in/{name}", content)
        return answer(asked)

    strict.answer = changed  # type: ignore[method-assign]
    try:
        yield
    finally:
        del strict.answer


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("crc32", [True, False], ids=["with checksums", "without"])
def test_a_source_that_changes_between_its_parts_is_taken_anew_and_never_mixed(
    strict_s3: StrictS3, crc32: bool, at: int
) -> None:
    put(strict_s3, crc32=crc32)
    other = photo("other", SIZES["d.jpg"])
    export = job(strict_s3.server.environment())
    with changing(strict_s3, "d.jpg", other, at=at):
        end = export.run()
    assert end.state == "succeeded"
    assert files(strict_s3.objects["bucket", export.key()].data) == photos() | {"d.jpg": other}
    assert strict_s3.uploads == {}


def test_a_source_that_has_another_length_by_then_is_missing(strict_s3: StrictS3) -> None:
    put(strict_s3, crc32=True)
    export = job(strict_s3.server.environment())
    with changing(strict_s3, "d.jpg", photo("other", SIZES["d.jpg"] - 1), at=2):
        end = export.run()
    assert end.report is not None
    assert [(failure.key, failure.kind) for failure in end.report.failures] == [("d.jpg", "changed")]
    found = files(strict_s3.objects["bucket", export.key()].data)
    found.pop("_missing.csv")
    assert found == {name: content for name, content in photos().items() if name != "d.jpg"}
    assert strict_s3.uploads == {}


def test_nothing_outside_of_the_source_roots_is_copied(strict_s3: StrictS3) -> None:
    put(strict_s3, crc32=True)
    strict_s3.put("bucket", "secret/e.jpg", photo("e.jpg", 9 * P), crc32=True)
    export = job(strict_s3.server.environment())
    other = BucketJob(
        {**export.urls, "e.jpg": "s3://bucket/secret/e.jpg", "f.jpg": "s3://bucket/in/../secret/e.jpg"},
        export.output,
        export.environment,
        sources=export.sources,
    )
    with watched(strict_s3) as requests:
        end = other.run()
    assert end.report is not None
    assert {failure.key: failure.kind for failure in end.report.failures}["e.jpg"] == "blocked_url"
    found = files(strict_s3.objects["bucket", other.key()].data)
    assert set(found) == {*SIZES, "_missing.csv"}
    assert not any(
        "secret" in asked.key or "secret" in asked.headers.get("x-amz-copy-source", "") for asked in requests
    )


def test_a_server_that_refuses_copies_is_read_from(strict_s3: StrictS3) -> None:
    put(strict_s3, crc32=True)
    strict_s3.smallest_ranged_source_bytes = 100 * P  # larger than every photo
    export = job(strict_s3.server.environment())
    with watched(strict_s3) as requests:
        end = export.run()
    assert end.state == "succeeded"
    assert files(strict_s3.objects["bucket", export.key()].data) == photos()
    assert 1 <= len(copies(requests)) <= 3, "it is asked once by each worker at most"
    assert end.report is not None
    assert "copied_bytes" not in end.report.facts


def test_seaweedfs_copies_or_is_read_from(
    seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch, 5 * 1024 * 1024)
    client = seaweedfs.client()
    expected = {name: photo(name, 12 * 1024 * 1024) for name in ("a.jpg", "b.jpg")}
    for name, content in expected.items():
        client.put_object(Bucket=seaweedfs_bucket, Key=f"in/{name}", Body=content)
    root = f"s3://{seaweedfs_bucket}"
    urls = {name: f"{root}/in/{name}" for name in expected}
    export = BucketJob(urls, f"{root}/out", seaweedfs.environment(), sources=[f"{root}/in/"])
    end = export.run()
    assert end.report is not None
    assert end.state == "succeeded", end.report.error
    body = client.get_object(Bucket=seaweedfs_bucket, Key=export.key())["Body"].read()
    assert files(body) == expected
    assert "Uploads" not in client.list_multipart_uploads(Bucket=seaweedfs_bucket)
    print(f"copied_bytes on SeaweedFS: {end.report.facts.get('copied_bytes', 0):,}")
