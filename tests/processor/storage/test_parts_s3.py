"""What is S3's and R2's own about objects made of parts: checksums, unequal parts, refusals, long lists."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage import CannotCopy
from tests.faults_proxy import (
    DoneButError,
    Fault,
    FaultsProxy,
    LostAnswer,
    Reset,
    Status,
    always,
    faults_proxy,
    first,
)
from tests.processor.storage import parts_places
from tests.processor.storage.parts_places import PartsPlace
from tests.processor.storage.test_parts import failure
from tests.strict_s3 import MIB, StrictS3


@pytest.fixture
def s3(strict_s3: StrictS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[PartsPlace]:
    yield from parts_places.strict_place("s3", strict_s3, monkeypatch)


@pytest.fixture
def r2(strict_r2: StrictS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[PartsPlace]:
    yield from parts_places.strict_place("r2", strict_r2, monkeypatch)


@pytest.fixture
def proxy(strict_s3: StrictS3) -> Iterator[FaultsProxy]:
    with faults_proxy(strict_s3.server) as proxy:
        yield proxy


@pytest.fixture
def behind(strict_s3: StrictS3, proxy: FaultsProxy, monkeypatch: pytest.MonkeyPatch) -> PartsPlace:
    """The strict server through the proxy."""
    [place] = parts_places.strict_place("s3", strict_s3, monkeypatch)
    environment = proxy.server.environment()
    return PartsPlace(parts_places.storage_of(environment), place.prefix, place.part_bytes, place.leftovers)


def test_an_archive_sent_with_checksums_carries_that_of_all_its_bytes(
    s3: PartsPlace, strict_s3: StrictS3
) -> None:
    pieces = s3.pieces(3)
    parts = s3.begin(crc32=True)
    etags = [parts.send(1, pieces[0]), parts.send(2, pieces[1], zlib.crc32(pieces[1]))]
    etags.append(s3.resume(parts, crc32=True).send(3, pieces[2]))
    s3.resume(parts, crc32=True).complete(etags, sum(map(len, pieces)))
    [stored] = strict_s3.objects.values()
    assert stored.checksum_type == "FULL_OBJECT"
    assert base64.b64decode(stored.crc32) == zlib.crc32(b"".join(pieces)).to_bytes(4, "big")


def test_a_part_that_is_not_the_one_its_checksum_says_is_refused(s3: PartsPlace) -> None:
    [piece] = s3.pieces(1)
    parts = s3.begin(crc32=True)
    assert failure(parts.send, 1, piece, zlib.crc32(piece) ^ 1) is Kind.CORRUPT
    assert parts.sent() == {}
    parts.abort()


def test_a_copied_part_brings_its_checksum_along(s3: PartsPlace, strict_s3: StrictS3) -> None:
    data = bytes(s3.pieces(1, last=-5000)[0])
    validator = strict_s3.put("bucket", "photo.jpg", data)
    parts = s3.begin(crc32=True)
    etag, crc32 = parts.copy(1, "s3://bucket/photo.jpg", 100, 100 + s3.part_bytes, validator)
    assert crc32 == zlib.crc32(data[100 : 100 + s3.part_bytes])
    parts.complete([etag, parts.send(2, memoryview(b"tail"))], s3.part_bytes + 4)
    assert s3.read() == data[100 : 100 + s3.part_bytes] + b"tail"
    plain = s3.begin(overwrite=True)
    assert plain.copy(1, "s3://bucket/photo.jpg", 100, 100 + s3.part_bytes, validator)[1] is None
    plain.abort()


def test_what_s3_would_not_copy_is_left_to_the_reader(
    behind: PartsPlace, strict_s3: StrictS3, proxy: FaultsProxy
) -> None:
    small = strict_s3.put("bucket", "small.jpg", b"x" * 1000)
    parts = behind.begin()
    with pytest.raises(CannotCopy):
        parts.copy(1, "s3://bucket/small.jpg", 0, 500, small)
    large = strict_s3.put("bucket", "large.jpg", b"x" * 5000)
    for refusal in (Status(403, "AccessDenied"), Status(501, "NotImplemented")):
        proxy.break_when("UploadPart", always(refusal))
        with pytest.raises(CannotCopy):
            parts.copy(1, "s3://bucket/large.jpg", 0, 1024, large)
    parts.abort()


def test_r2_gets_no_header_that_it_does_not_know(r2: PartsPlace, strict_r2: StrictS3) -> None:
    [piece] = r2.pieces(1)
    parts = r2.begin(crc32=True, metadata={"plan": "abc"})
    parts.complete([parts.send(1, piece, zlib.crc32(piece))], len(piece))
    [stored] = strict_r2.objects.values()
    assert stored.headers["x-amz-meta-plan"] == "abc"
    assert r2.storage.probe(r2.url()).crc32 is None


def test_r2_refuses_unequal_parts_and_nothing_appears(r2: PartsPlace, strict_r2: StrictS3) -> None:
    one, two, three = r2.pieces(3)
    parts = r2.begin()
    strict_r2.smallest_part_bytes = 1
    etags = [parts.send(1, one), parts.send(2, two[:-1]), parts.send(3, three)]
    assert failure(parts.complete, etags, len(one) + len(two) - 1 + len(three)) is Kind.CORRUPT
    validator = strict_r2.put("bucket", "photo.jpg", b"x" * 5000)
    etags[1], _ = parts.copy(2, "r2://bucket/photo.jpg", 0, len(two) - 1, validator)
    assert failure(parts.complete, etags, len(one) + len(two) - 1 + len(three)) is Kind.CORRUPT
    assert failure(r2.read) is Kind.MISSING
    parts.abort()


def test_a_list_of_parts_in_many_answers_is_read_to_its_end(s3: PartsPlace, strict_s3: StrictS3) -> None:
    strict_s3.page = 2
    pieces = s3.pieces(7)
    parts = s3.begin(crc32=True)
    etags = [parts.send(number, piece) for number, piece in enumerate(pieces, 1)]
    assert parts.sent() == dict(enumerate(etags, 1))
    parts.complete(etags, sum(map(len, pieces)))


@pytest.mark.parametrize(
    "fault",
    [Reset(), LostAnswer(), Status(500), Status(503, "SlowDown"), Status(400, "RequestTimeout")],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'code', '')}",
)
def test_what_passes_is_waited_out(behind: PartsPlace, proxy: FaultsProxy, fault: Fault) -> None:
    [piece] = behind.pieces(1)
    for operation in ("CreateMultipartUpload", "UploadPart", "ListParts", "CompleteMultipartUpload"):
        proxy.break_when(operation, first(1, fault))
    parts = behind.begin()
    etag = parts.send(1, piece)
    assert parts.sent() == {1: etag}
    parts.complete([etag], len(piece))
    assert behind.read() == piece


def test_a_lost_answer_to_complete_is_cleared_up(behind: PartsPlace, proxy: FaultsProxy) -> None:
    """The server is asked again and says NoSuchUpload; the object is looked at, and it is ours."""
    [piece] = behind.pieces(1)
    lost = (LostAnswer(), DoneButError(Status(500)), DoneButError(Status(200, "InternalError")))
    for number, fault in enumerate(lost):
        proxy.break_when("CompleteMultipartUpload", first(1, fault))
        parts = behind.begin(f"{number}.zip")
        written = parts.complete([parts.send(1, piece)], len(piece))
        assert written.size_bytes == len(piece)
        assert behind.read(f"{number}.zip") == piece


def test_an_error_in_a_200_is_an_error(s3: PartsPlace, strict_s3: StrictS3) -> None:
    [piece] = s3.pieces(1)
    parts = s3.begin()
    strict_s3.errors_in_200 = 2
    parts.complete([parts.send(1, piece)], len(piece))
    assert s3.read() == piece


def test_an_object_of_another_size_is_not_called_written(behind: PartsPlace, strict_s3: StrictS3) -> None:
    [piece] = behind.pieces(1)
    parts = behind.begin()
    assert failure(parts.complete, [parts.send(1, piece)], len(piece) + 1) is Kind.CORRUPT


def test_another_writer_who_was_quicker_is_not_taken_for_us(
    behind: PartsPlace, strict_s3: StrictS3, proxy: FaultsProxy
) -> None:
    [piece] = behind.pieces(1)
    parts = behind.begin()
    etag = parts.send(1, piece)
    proxy.break_when("CompleteMultipartUpload", first(1, Status(500)))
    strict_s3.put("bucket", "album.zip", b"theirs")
    with pytest.raises(ItemError, match="exists already"):
        parts.complete([etag], len(piece))
    assert strict_s3.objects["bucket", "album.zip"].data == b"theirs"
    parts.abort()


def test_a_server_that_lists_neither_uploads_nor_parts_is_written_to_all_the_same(
    behind: PartsPlace, proxy: FaultsProxy
) -> None:
    """s3rver knows neither; what an earlier run sent is sent again."""
    proxy.break_when("ListMultipartUploads", always(Status(501, "NotImplemented")))
    proxy.break_when("ListParts", always(Status(405, "MethodNotAllowed")))
    assert behind.storage.abort_uploads(behind.url("album.zip")) == 0
    [piece] = behind.pieces(1)
    parts = behind.begin()
    etag = parts.send(1, piece)
    assert parts.sent() == {}
    parts.complete([etag], len(piece))
    assert behind.read() == piece


def test_expired_keys_are_told_from_other_refusals(behind: PartsPlace, proxy: FaultsProxy) -> None:
    [piece] = behind.pieces(1)
    parts = behind.begin()
    proxy.break_when("UploadPart", always(Status(400, "ExpiredToken")))
    assert failure(parts.send, 1, piece) is Kind.EXPIRED_CREDENTIALS
    proxy.break_when("UploadPart", always(Status(403, "AccessDenied")))
    assert failure(parts.send, 1, piece) is Kind.AUTH
    proxy.break_when("HeadObject", always(Status(403)))
    assert parts.completed() is None  # who may not list is told 403 of what is not there
    proxy.break_when("HeadObject", always(Status(400)))
    assert failure(parts.completed) is Kind.EXPIRED_CREDENTIALS
    proxy.break_when("HeadObject", lambda _: None)
    parts.abort()


def test_messages_say_which_object_and_what_was_asked(behind: PartsPlace, proxy: FaultsProxy) -> None:
    proxy.break_when("UploadPart", always(Status(403, "SignatureDoesNotMatch")))
    parts = behind.begin()
    with pytest.raises(ItemError) as caught:
        parts.send(1, memoryview(b"x"))
    assert caught.value.message == (
        "s3://bucket/album.zip: UploadPart: as arranged (SignatureDoesNotMatch). "
        "Check the secret key (AWS_SECRET_ACCESS_KEY; R2_SECRET_KEY for r2://)."
    )
    parts.abort()


def test_metadata_that_no_header_can_carry_is_refused_before_anything_is_sent(s3: PartsPlace) -> None:
    assert failure(lambda: s3.begin(metadata={"title": "Hochzeit Müller"})) is Kind.VALIDATION


def test_a_probe_knows_the_crc_of_the_whole_where_s3_could_copy_it(
    s3: PartsPlace, strict_s3: StrictS3
) -> None:
    data = b"photo" * (6 * MIB // 5)
    strict_s3.put("bucket", "whole.jpg", data, crc32=True)
    strict_s3.put("bucket", "plain.jpg", data)
    assert s3.storage.probe("s3://bucket/whole.jpg").crc32 == zlib.crc32(data)
    assert s3.storage.probe("s3://bucket/plain.jpg").crc32 is None
    parts = s3.begin()
    parts.complete([parts.send(1, memoryview(data[:1024]))], 1024)
    assert s3.storage.probe(s3.url()).crc32 is None


def test_a_whole_upload_never_imports_boto3(strict_s3: StrictS3) -> None:
    code = (
        "import json, os, sys\n"
        "from batchlab.settings import Settings\n"
        "from batchlab_processor.storage import WriteOptions, open_storage\n"
        "class Everything:\n"
        "    check_source = check_output = lambda self, url: url\n"
        "storage = open_storage(Settings.from_environment(os.environ), Everything())\n"
        "assert storage.takes_parts('s3://bucket/a')\n"
        "assert storage.abort_uploads('s3://bucket/a') == 0\n"
        "parts = storage.begin_parts('s3://bucket/a', WriteOptions(), 1024)\n"
        "parts.complete([parts.send(1, memoryview(b'photo'))], 5)\n"
        "print(json.dumps([name for name in ('boto3', 'botocore', 'httpx', 'pydantic') if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=strict_s3.server.environment(), capture_output=True, check=True
    )
    assert json.loads(done.stdout) == []
    assert strict_s3.objects["bucket", "a"].data == b"photo"
