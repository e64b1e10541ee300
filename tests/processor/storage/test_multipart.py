"""Writing to S3: what arrives, what is left, and what is done when the network is bad."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage import multipart
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.multipart import MIB, part_bytes
from batchlab_processor.storage.patience import Patience
from batchlab_processor.storage.s3 import S3Scheme
from tests.faults_proxy import (
    Cut,
    DoneButError,
    Fault,
    FaultsProxy,
    LostAnswer,
    Reset,
    Status,
    always,
    every,
    faults_proxy,
    first,
)
from tests.servers import S3Server

SMALL_PART = 64 * 1024
SLOW_DOWN = Status(503, "SlowDown")


@dataclass
class Upload:
    """A writer's way to a server through the proxy."""

    scheme: S3Scheme
    proxy: FaultsProxy
    bucket: str
    outside: Any  # a client that goes around the proxy

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/album.zip"

    def write(self, data: bytes, pieces: int = 10_000, **options: Any) -> None:
        with self.scheme.write(self.url, WriteOptions(**options)) as writer:
            for start in range(0, len(data), pieces):
                writer.write(memoryview(data)[start : start + pieces])
            assert writer.commit().size_bytes == len(data)

    def delivered(self) -> bytes | None:
        found = self.outside.list_objects_v2(Bucket=self.bucket, Prefix="album.zip").get("Contents", [])
        if not found:
            return None
        return bytes(self.outside.get_object(Bucket=self.bucket, Key="album.zip")["Body"].read())

    def unfinished(self) -> list[str]:
        uploads = self.outside.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return [each["Key"] for each in uploads]


@pytest.fixture
def upload(moto_s3: S3Server, moto_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upload]:
    """Through the proxy to moto, which can be told to take parts of 64 KiB."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    yield from _upload(moto_s3, moto_bucket, SMALL_PART, monkeypatch)


@pytest.fixture
def real_upload(
    seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Upload]:
    """Through the proxy to SeaweedFS, which takes no parts below 5 MiB, as S3 itself."""
    yield from _upload(seaweedfs, seaweedfs_bucket, 5 * MIB, monkeypatch)


def _upload(
    server: S3Server, bucket: str, part_size: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Upload]:
    monkeypatch.setattr(multipart, "part_bytes", lambda expected_bytes: part_size)
    with faults_proxy(server) as proxy, closing_client(proxy.server) as client:
        scheme = S3Scheme(lambda: client, patience=Patience(first_seconds=0.01))
        outside = server.client()
        yield Upload(scheme, proxy, bucket, outside)
        outside.close()


@contextmanager
def closing_client(server: S3Server) -> Iterator[Any]:
    """A client that tries once, so that what is seen is our patience and not boto3's."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    try:
        yield client
    finally:
        client.close()


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


TEN_PARTS = content(10 * SMALL_PART + 17)


@pytest.mark.parametrize(
    ("expected_bytes", "wanted"),
    [
        (0, 8 * MIB),
        (9_500 * 8 * MIB, 8 * MIB),
        (9_500 * 8 * MIB + 1, 9 * MIB),
        (5 * 1024 * 1024 * MIB, 552 * MIB),
        (None, 32 * MIB),
    ],
)
def test_parts_are_as_small_as_9500_of_them_allow(expected_bytes: int | None, wanted: int) -> None:
    assert part_bytes(expected_bytes) == wanted


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_sizes_at_the_edge_of_a_part_arrive_whole(upload: Upload, parts: int, extra: int) -> None:
    data = content(parts * SMALL_PART + extra)
    upload.write(data)
    assert upload.delivered() == data
    assert upload.unfinished() == []


@pytest.mark.parametrize("pieces", [1_000, SMALL_PART - 1, SMALL_PART, SMALL_PART + 1, 10**7])
def test_all_parts_but_the_last_are_equally_long(upload: Upload, pieces: int) -> None:
    upload.write(TEN_PARTS, pieces)
    sizes = {each.path.partition("partNumber=")[2].partition("&")[0]: each.body_bytes
             for each in upload.proxy.seen if each.operation == "UploadPart"}  # fmt: skip
    assert [sizes[str(number)] for number in range(1, 12)] == [SMALL_PART] * 10 + [17]
    assert upload.delivered() == TEN_PARTS


@pytest.mark.slow  # megabytes through a proxy; moto is behind it in every run
@pytest.mark.parametrize("fault", [Status(200), LostAnswer(), DoneButError(Status(500))], ids=repr)
def test_a_real_server_behind_a_bad_network_gets_the_object_whole(real_upload: Upload, fault: Fault) -> None:
    data = content(4 * 5 * MIB + 17)
    for operation in ("CreateMultipartUpload", "UploadPart", "HeadObject"):
        real_upload.proxy.break_when(operation, first(2, Reset()))
    real_upload.proxy.break_when("CompleteMultipartUpload", first(1, fault))
    real_upload.write(data, pieces=3 * MIB + 1)
    assert real_upload.delivered() == data
    assert real_upload.unfinished() == []


def test_a_real_server_keeps_nothing_of_what_failed(real_upload: Upload) -> None:
    real_upload.proxy.break_when("UploadPart", lambda number: Reset() if number > 2 else None)
    with pytest.raises(ItemError):
        real_upload.write(content(4 * 5 * MIB), pieces=MIB)
    assert real_upload.delivered() is None
    assert real_upload.unfinished() == []


def test_one_part_needs_one_request_and_a_look(upload: Upload) -> None:
    upload.write(b"x" * SMALL_PART)
    assert [each.operation for each in upload.proxy.seen] == ["PutObject", "HeadObject"]


def test_a_real_part_of_8_mib_is_taken_by_the_strict_server(moto_s3: S3Server, moto_bucket: str) -> None:
    data = content(8 * MIB + 1)
    with closing_client(moto_s3) as client:
        scheme = S3Scheme(lambda: client)
        url = f"s3://{moto_bucket}/a"
        with scheme.write(url, WriteOptions(expected_bytes=len(data))) as writer:
            writer.write(data)
            written = writer.commit()
        assert written.etag is not None and written.etag.endswith('-2"')
        with scheme.open(url) as reader:
            assert reader.read() == data


@pytest.mark.parametrize("fault", [Status(500), SLOW_DOWN, Reset(), LostAnswer()], ids=repr)
def test_one_broken_part_in_five_is_sent_again(upload: Upload, fault: Fault) -> None:
    upload.proxy.break_when("UploadPart", every(5, fault))
    upload.write(TEN_PARTS)
    assert upload.delivered() == TEN_PARTS
    assert upload.unfinished() == []
    assert upload.proxy.count("UploadPart") > 11


def test_a_bad_network_in_every_request_still_ends_well(upload: Upload) -> None:
    for operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"):
        upload.proxy.break_when(operation, first(2, Reset()))
    upload.write(TEN_PARTS)
    assert upload.delivered() == TEN_PARTS
    assert upload.unfinished() == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Status(500), Kind.API_ERROR),
        (SLOW_DOWN, Kind.API_ERROR),
        (Status(429, "TooManyRequests", {"Retry-After": "7"}), Kind.RATE_LIMIT),
        (Reset(), Kind.NETWORK),
        (Status(403, "AccessDenied"), Kind.AUTH),
        (Status(400, "ExpiredToken"), Kind.EXPIRED_CREDENTIALS),
    ],
    ids=repr,
)
def test_a_part_that_never_arrives_leaves_nothing(upload: Upload, fault: Fault, kind: Kind) -> None:
    upload.proxy.break_when("UploadPart", lambda number: fault if number > 2 else None)
    with pytest.raises(ItemError) as caught:
        upload.write(TEN_PARTS)
    assert caught.value.kind is kind
    assert upload.url in caught.value.message
    if kind is Kind.RATE_LIMIT:
        assert caught.value.retry_after_seconds == 7
    assert upload.delivered() is None
    assert upload.unfinished() == []


COMPLETE_FAULTS: list[Fault] = [
    Status(200),  # the error stands in the body
    DoneButError(Status(200)),
    DoneButError(Status(500)),
    Status(503, "SlowDown"),
    Status(409, "ConditionalRequestConflict"),
    LostAnswer(),
    Reset(),
]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("fault", COMPLETE_FAULTS, ids=repr)
def test_an_end_in_doubt_is_cleared_up(upload: Upload, fault: Fault, overwrite: bool) -> None:
    upload.proxy.break_when("CompleteMultipartUpload", first(1, fault))
    upload.write(TEN_PARTS, overwrite=overwrite)
    assert upload.delivered() == TEN_PARTS
    assert upload.unfinished() == []


@pytest.mark.parametrize("fault", COMPLETE_FAULTS, ids=repr)
def test_a_small_object_in_doubt_is_cleared_up(upload: Upload, fault: Fault) -> None:
    # a PUT has no body in its answer: 200 is 200
    if fault in (Status(200), DoneButError(Status(200))):
        fault = LostAnswer()
    upload.proxy.break_when("PutObject", first(2, fault))
    upload.write(b"small")
    assert upload.delivered() == b"small"


def test_an_end_that_never_comes_leaves_nothing(upload: Upload) -> None:
    upload.proxy.break_when("CompleteMultipartUpload", always(Status(200)))
    with pytest.raises(ItemError) as caught:
        upload.write(TEN_PARTS)
    assert caught.value.kind is Kind.API_ERROR
    assert upload.delivered() is None
    assert upload.unfinished() == []


def test_a_server_that_lies_about_the_end_is_caught(upload: Upload) -> None:
    answer = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"

    class Lie(Status):
        @property
        def body(self) -> bytes:
            return answer.encode()

    upload.proxy.break_when("CompleteMultipartUpload", always(Lie(200)))
    with pytest.raises(ItemError, match="is not there") as caught:
        upload.write(TEN_PARTS)
    assert caught.value.kind is Kind.API_ERROR


def test_what_is_there_afterwards_must_have_the_size_that_was_written(upload: Upload) -> None:
    upload.proxy.break_when(
        "HeadObject", lambda number: Status(200, headers={"Content-Length": "5", "ETag": '"x"'})
    )
    with pytest.raises(ItemError, match="5 bytes, 6 were written") as caught:
        upload.write(b"photos")
    assert caught.value.kind is Kind.CORRUPT


def test_an_object_that_exists_is_refused_before_a_part_is_sent(upload: Upload) -> None:
    upload.write(b"first")
    upload.proxy.seen.clear()
    with pytest.raises(ItemError, match="--overwrite"):
        upload.write(TEN_PARTS)
    assert [each.operation for each in upload.proxy.seen] == ["HeadObject"]
    assert upload.delivered() == b"first"


def test_an_object_that_appears_meanwhile_is_not_replaced(upload: Upload) -> None:
    def meanwhile(operation: str, number: int) -> None:
        if operation == "CompleteMultipartUpload":
            upload.outside.put_object(Bucket=upload.bucket, Key="album.zip", Body=b"other")

    upload.proxy.before = meanwhile
    with pytest.raises(ItemError, match="--overwrite") as caught:
        upload.write(TEN_PARTS)
    assert caught.value.kind is Kind.VALIDATION
    assert upload.delivered() == b"other"
    assert upload.unfinished() == []


def test_giving_up_is_tried_again_too(upload: Upload) -> None:
    upload.proxy.break_when("AbortMultipartUpload", first(3, Status(500)))
    with upload.scheme.write(upload.url, WriteOptions()) as writer:
        writer.write(TEN_PARTS)
    assert upload.unfinished() == []
    assert upload.delivered() is None


def test_the_first_error_is_told_even_when_giving_up_fails(
    upload: Upload, caplog: pytest.LogCaptureFixture
) -> None:
    upload.proxy.break_when("UploadPart", always(Status(403, "AccessDenied")))
    upload.proxy.break_when("AbortMultipartUpload", always(Status(500)))
    with pytest.raises(ItemError) as caught:
        upload.write(TEN_PARTS)
    assert caught.value.kind is Kind.AUTH
    assert "unfinished upload is left" in caplog.text
    upload.proxy.break_when("AbortMultipartUpload", lambda number: None)
    assert upload.scheme.abort_uploads(upload.url) == 1
    assert upload.unfinished() == []


def test_a_server_that_cannot_list_uploads_has_no_strays(upload: Upload) -> None:
    upload.proxy.break_when("ListMultipartUploads", always(Status(501, "NotImplemented")))
    assert upload.scheme.abort_uploads(upload.url) == 0


def test_strays_on_exactly_this_key_are_aborted(upload: Upload) -> None:
    for key in ("album.zip", "album.zip", "album.zip.old", "album", "other/album.zip"):
        upload.outside.create_multipart_upload(Bucket=upload.bucket, Key=key)
    assert upload.scheme.abort_uploads(upload.url) == 2
    assert sorted(upload.unfinished()) == ["album", "album.zip.old", "other/album.zip"]
    assert upload.scheme.abort_uploads(upload.url) == 0


def test_the_upload_is_told_before_its_first_part(upload: Upload) -> None:
    told: list[tuple[str, int]] = []
    upload.write(
        TEN_PARTS, on_upload=lambda upload_id: told.append((upload_id, upload.proxy.count("UploadPart")))
    )
    [(upload_id, parts)] = told
    assert parts == 0
    assert any(upload_id in each.path for each in upload.proxy.seen)


def test_a_listener_that_fails_aborts_the_upload(upload: Upload) -> None:
    def fail(upload_id: str) -> None:
        raise RuntimeError("no place to keep it")

    with pytest.raises(RuntimeError, match="no place"):
        upload.write(TEN_PARTS, on_upload=fail)
    assert upload.unfinished() == []


def test_no_more_parts_are_under_way_than_allowed(upload: Upload) -> None:
    """And the writer waits: with all 3 held back, only 3 parts and the one being filled are taken in."""
    let_go = threading.Event()
    taken = 0

    def hold(operation: str, number: int) -> None:
        if operation == "UploadPart":
            let_go.wait(10)

    def write() -> None:
        nonlocal taken
        with upload.scheme.write(upload.url, WriteOptions()) as writer:
            for start in range(0, len(TEN_PARTS), 1_000):
                taken += writer.write(TEN_PARTS[start : start + 1_000])
            writer.commit()

    upload.proxy.before = hold
    thread = threading.Thread(target=write)
    thread.start()
    assert not _ends(thread, 1.0)
    assert 3 * SMALL_PART < taken <= 4 * SMALL_PART
    let_go.set()
    thread.join()
    assert upload.proxy.most_at_once["UploadPart"] == 3
    assert upload.delivered() == TEN_PARTS


def _ends(thread: threading.Thread, seconds: float) -> bool:
    thread.join(seconds)
    return not thread.is_alive()


def test_more_parts_than_an_upload_may_have_is_said(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MOST_PARTS", 3)
    with pytest.raises(ItemError, match="how many bytes to expect") as caught:
        upload.write(TEN_PARTS)
    assert caught.value.kind is Kind.TOO_LARGE
    assert upload.unfinished() == []


def test_no_thread_stays(upload: Upload) -> None:
    upload.write(TEN_PARTS)
    upload.proxy.break_when("UploadPart", always(Status(403, "AccessDenied")))
    with pytest.raises(ItemError):
        upload.write(TEN_PARTS, overwrite=True)
    assert [each.name for each in threading.enumerate() if each.name.startswith("upload")] == []


@pytest.mark.parametrize(
    "read", [lambda reader: reader.read(), lambda reader: _into(reader)], ids=["read", "readinto"]
)
def test_a_download_that_breaks_off_never_looks_whole(upload: Upload, read: Callable[[Any], bytes]) -> None:
    upload.write(TEN_PARTS)
    upload.proxy.break_when("GetObject", always(Cut(SMALL_PART * 3)))
    with upload.scheme.open(upload.url) as reader, pytest.raises(ItemError) as caught:
        read(reader)
    assert caught.value.kind is Kind.NETWORK
    assert upload.url in caught.value.message


def _into(reader: Any) -> bytes:
    taken = b""
    buffer = bytearray(10_000)
    while count := reader.readinto(memoryview(buffer)):
        taken += buffer[:count]
    return taken


def test_an_object_replaced_between_probe_and_open_is_noticed(upload: Upload) -> None:
    upload.write(TEN_PARTS)
    validator = upload.scheme.probe(upload.url).validator
    upload.write(b"another", overwrite=True)
    with (
        pytest.raises(ItemError) as caught,
        upload.scheme.open(upload.url, start=5, validator=validator),
    ):
        pass
    assert caught.value.kind is Kind.CHANGED
