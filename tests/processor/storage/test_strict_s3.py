"""The strict server itself: it serves boto3, and refuses what the forgiving ones let pass."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strict_s3 import StrictS3

BUCKET = {"Bucket": "bucket", "Key": "a b+ü.zip"}


@pytest.fixture
def client(strict_s3: StrictS3) -> Iterator[Any]:
    client = strict_s3.server.client()
    yield client
    client.close()


@pytest.fixture
def upload(client: Any) -> dict[str, Any]:
    """Begun by boto3 as it is out of the box: with a CRC-32 for every part, and one of those in the end."""
    begun = client.create_multipart_upload(**BUCKET, ChecksumAlgorithm="CRC32")
    return {**BUCKET, "UploadId": begun["UploadId"]}


def code(client_method: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client_method(**arguments)
    return str(caught.value.response["Error"]["Code"])


def listed(*parts: Any, **more: Any) -> dict[str, Any]:
    fields = ("ETag", "ChecksumCRC32")
    named = [
        {"PartNumber": number, **{each: part[each] for each in fields}}
        for number, part in enumerate(parts, 1)
    ]
    return {"MultipartUpload": {"Parts": named}, **more}


def test_it_serves_boto3(client: Any, upload: dict[str, Any], strict_s3: StrictS3) -> None:
    first = client.upload_part(**upload, PartNumber=1, Body=b"1" * 1024)
    second = client.upload_part(**upload, PartNumber=2, Body=b"2")
    client.complete_multipart_upload(**upload, **listed(first, second))
    assert client.get_object(**BUCKET)["Body"].read() == b"1" * 1024 + b"2"
    assert strict_s3.objects["bucket", BUCKET["Key"]].checksum_type == "COMPOSITE"
    client.put_object(Bucket="bucket", Key="photo", Body=b"photo")
    found = client.list_objects_v2(Bucket="bucket")["Contents"]
    assert [each["Key"] for each in found] == [BUCKET["Key"], "photo"]
    with strict_s3.server.bucket() as bucket:
        assert bucket in strict_s3.buckets


def test_parts_have_their_order_their_size_their_etag_and_their_checksum(
    client: Any, upload: dict[str, Any]
) -> None:
    complete = client.complete_multipart_upload
    small = client.upload_part(**upload, PartNumber=1, Body=b"small")
    last = client.upload_part(**upload, PartNumber=2, Body=b"last")
    assert code(complete, **upload, **listed(small, last)) == "EntityTooSmall"
    first = client.upload_part(**upload, PartNumber=1, Body=b"1" * 1024)
    assert code(complete, **upload, **listed(small, last)) == "InvalidPart"
    backwards = listed(first, last)
    backwards["MultipartUpload"]["Parts"].reverse()
    assert code(complete, **upload, **backwards) == "InvalidPartOrder"
    bare = listed(first, last)
    del bare["MultipartUpload"]["Parts"][0]["ChecksumCRC32"]
    assert code(complete, **upload, **bare) == "InvalidRequest"
    assert code(complete, **upload, **listed(first, last, ChecksumType="FULL_OBJECT")) == "BadDigest"
    assert (
        code(client.upload_part, **upload, PartNumber=3, Body=b"3", ChecksumCRC32="AAAAAA==") == "BadDigest"
    )
    complete(**upload, **listed(first, last))
    assert code(complete, **upload, **listed(first, last)) == "NoSuchUpload"


def test_a_presigned_url_is_good_for_its_method_only(client: Any) -> None:
    client.put_object(**BUCKET, Body=b"photo")
    url = client.generate_presigned_url("get_object", Params=BUCKET)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"photo"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10)


def test_a_wrong_secret_is_no_signature(strict_s3: StrictS3) -> None:
    client = replace(strict_s3.server, secret_key="wrong").client()
    assert code(client.list_objects_v2, Bucket="bucket") == "SignatureDoesNotMatch"
    client.close()


def test_a_copy_names_the_version_it_copies(client: Any, upload: dict[str, Any], strict_s3: StrictS3) -> None:
    etag = strict_s3.put("bucket", "source", b"x" * 2000)
    copy = {**upload, "PartNumber": 1, "CopySource": "bucket/source"}
    assert code(client.upload_part_copy, **copy) == "InvalidRequest"
    assert code(client.upload_part_copy, **copy, CopySourceIfMatch='"other"') == "PreconditionFailed"
    assert "ChecksumCRC32" in client.upload_part_copy(**copy, CopySourceIfMatch=etag)["CopyPartResult"]


def test_r2_does_not_know_what_boto3_sends_out_of_the_box(strict_r2: StrictS3) -> None:
    client = strict_r2.server.client()
    assert code(client.put_object, **BUCKET, Body=b"photo") == "NotImplemented"
    client.close()
