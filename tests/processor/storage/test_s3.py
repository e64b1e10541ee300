"""What is S3's own: errors in our words, long listings, checksums, signed URLs."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from batchlab import aws, bucket_regions
from batchlab.authority import Authority
from batchlab.aws import s3_client
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from batchlab_processor.errors import classify
from batchlab_processor.storage import open_storage
from batchlab_processor.storage.s3 import S3Scheme, kind_of
from tests.faults_proxy import Status, always, faults_proxy
from tests.processor.storage.conftest import Place
from tests.servers import S3Server, free_ports


def answered(code: str, status: int, operation: str = "GetObject", **headers: str) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "as https://b.s3.amazonaws.com/a?X-Amz-Signature=canary said"},
            "ResponseMetadata": {
                "HTTPStatusCode": status, "HTTPHeaders": headers, "RequestId": "", "HostId": "", "RetryAttempts": 0,
            },
        },
        operation,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered("NoSuchKey", 404), Kind.MISSING),
        (answered("404", 404, "HeadObject"), Kind.MISSING),
        (answered("NoSuchBucket", 404), Kind.MISSING),
        (answered("AccessDenied", 403), Kind.AUTH),
        (answered("403", 403, "HeadObject"), Kind.AUTH),
        (answered("InvalidAccessKeyId", 403), Kind.AUTH),
        (answered("SignatureDoesNotMatch", 403), Kind.AUTH),
        (answered("InvalidObjectState", 403), Kind.AUTH),
        (answered("RequestTimeTooSkewed", 403), Kind.AUTH),
        (answered("Unauthorized", 401), Kind.AUTH),
        (answered("ExpiredToken", 400), Kind.EXPIRED_CREDENTIALS),
        (answered("400", 400, "HeadObject"), Kind.EXPIRED_CREDENTIALS),
        (answered("PreconditionFailed", 412), Kind.CHANGED),
        (answered("412", 412, "HeadObject"), Kind.CHANGED),
        (answered("SlowDown", 503), Kind.API_ERROR),
        (answered("InternalError", 500), Kind.API_ERROR),
        (answered("Whatever", 502), Kind.API_ERROR),
        (answered("ConditionalRequestConflict", 409), Kind.API_ERROR),
        (answered("RequestTimeout", 400), Kind.TIMEOUT),
        (answered("TooManyRequests", 429), Kind.RATE_LIMIT),
        (answered("", 429), Kind.RATE_LIMIT),
        (answered("EntityTooLarge", 400), Kind.TOO_LARGE),
        (answered("InvalidBucketName", 400), Kind.VALIDATION),
        (boto.NoCredentialsError(), Kind.AUTH),
        (boto.PartialCredentialsError(provider="env", cred_var="secret"), Kind.AUTH),
        (boto.ProfileNotFound(profile="studio"), Kind.AUTH),
        (boto.CredentialRetrievalError(provider="sso", error_msg="gone"), Kind.EXPIRED_CREDENTIALS),
        (boto.EndpointConnectionError(endpoint_url="https://x"), Kind.NETWORK),
        (boto.ConnectionClosedError(endpoint_url="https://x"), Kind.NETWORK),
        (boto.SSLError(endpoint_url="https://x", error="bad"), Kind.NETWORK),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), Kind.NETWORK),
        (boto.ResponseStreamingError(error=ConnectionResetError()), Kind.NETWORK),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), Kind.TIMEOUT),
        (boto.ReadTimeoutError(endpoint_url="https://x"), Kind.TIMEOUT),
        (boto.ParamValidationError(report="Invalid bucket name"), Kind.VALIDATION),
        (boto.NoRegionError(), Kind.VALIDATION),
        (boto.BotoCoreError(), Kind.API_ERROR),
    ],
    ids=lambda each: str(each)[:60],
)
def test_every_error_has_its_kind_and_shows_no_secret(error: Exception, kind: Kind) -> None:
    found = kind_of(error)
    assert found.kind is kind
    assert "canary" not in found.message
    assert classify(error).kind is kind


def test_the_wait_that_the_service_asks_for_is_kept() -> None:
    assert kind_of(answered("SlowDown", 503, **{"retry-after": "12"})).retry_after_seconds == 12
    assert kind_of(answered("SlowDown", 503, **{"retry-after": "soon"})).retry_after_seconds is None


def test_missing_credentials_name_the_variables() -> None:
    message = kind_of(boto.NoCredentialsError()).message
    assert "AWS_ACCESS_KEY_ID" in message and "R2_ACCESS_KEY" in message
    assert message.startswith("Unable to locate credentials. Set ")


def test_wrong_keys_are_auth_and_name_the_variable(
    seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**seaweedfs.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = s3_client("s3", Settings.from_environment(environment), connections=3)  # no other test's client
    with pytest.raises(ItemError, match="AWS_SECRET_ACCESS_KEY") as caught:
        S3Scheme(lambda: client).probe(f"s3://{seaweedfs_bucket}/a")
    assert caught.value.kind is Kind.AUTH


def test_a_server_that_is_not_there_is_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    [port] = free_ports(1)
    client = s3_client("s3", Settings(s3_endpoint=f"http://127.0.0.1:{port}"), attempts=1)
    with pytest.raises(ItemError) as caught:
        S3Scheme(lambda: client).probe("s3://bucket/a")
    assert caught.value.kind is Kind.NETWORK
    assert caught.value.message.startswith("s3://bucket/a: ")


def test_an_answer_that_is_garbled_is_an_error_of_the_service(
    seaweedfs: S3Server, seaweedfs_bucket: str, place_s3_seaweedfs: Place
) -> None:
    class Garbled(Status):
        @property
        def body(self) -> bytes:
            return b"<html><p>Bad gateway"

    with faults_proxy(seaweedfs) as proxy:
        client = s3_client("s3", Settings(s3_endpoint=proxy.server.endpoint_url), attempts=1)
        for operation in ("ListObjectsV2", "CreateMultipartUpload"):
            proxy.break_when(operation, always(Garbled(200)))
        with pytest.raises(ItemError) as caught:
            list(S3Scheme(lambda: client).list(f"s3://{seaweedfs_bucket}/"))
    assert caught.value.kind is Kind.API_ERROR


def test_a_listing_goes_on_from_page_to_page(moto_s3: S3Server, place_s3_moto: Place) -> None:
    client = moto_s3.client()
    bucket = place_s3_moto.prefix.split("/")[2]
    names = [f"{number:05d}.jpg" for number in range(int(os.environ.get("BATCHLAB_TEST_LISTED", "5")))]
    for name in names:
        client.put_object(Bucket=bucket, Key=f"album/{name}", Body=b"")
    client.close()
    asked: list[int] = []

    def ask(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        asked.append(min(1000, len(names) // 2))
        return {**params, "MaxKeys": asked[-1]}

    events = place_s3_moto.scheme._client.meta.events  # type: ignore[attr-defined]
    events.register("provide-client-params.s3.ListObjectsV2", ask)
    urls = [listed.url for listed in place_s3_moto.scheme.list(place_s3_moto.prefix)]
    assert urls == [place_s3_moto.url(name) for name in names]
    assert len(asked) > 1


def test_the_crc_of_the_whole_is_known_when_the_server_knows_it(
    moto_s3: S3Server, place_s3_moto: Place
) -> None:
    client = moto_s3.client()
    bucket = place_s3_moto.prefix.split("/")[2]
    data = b"photo" * 1000
    client.put_object(Bucket=bucket, Key="album/a", Body=data, ChecksumAlgorithm="CRC32")
    client.close()
    probed = place_s3_moto.scheme.probe(place_s3_moto.url("a"))
    assert probed.crc32 in (zlib.crc32(data), None)
    assert (probed.size_bytes, probed.head) == (5000, data[:512])
    assert place_s3_moto.get("a") == data


@pytest.fixture
def fixed_answer() -> Iterator[Any]:
    """A client that answers as S3 does for an object with a checksum."""
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stub:
        yield client, stub
    client.close()


@pytest.mark.parametrize(("kind", "wanted"), [("FULL_OBJECT", 0x01020304), ("COMPOSITE", None), (None, None)])
def test_only_a_checksum_of_the_whole_object_counts(
    fixed_answer: Any, kind: str | None, wanted: int | None
) -> None:
    import io
    from datetime import UTC, datetime

    from botocore.response import StreamingBody

    client, stub = fixed_answer
    answer = {
        "Body": StreamingBody(io.BytesIO(b"x"), 1), "ContentLength": 1, "ContentRange": "bytes 0-0/1",
        "ETag": '"e"', "LastModified": datetime(2024, 1, 1, tzinfo=UTC), "ChecksumCRC32": "AQIDBA==",
    }  # fmt: skip
    stub.add_response("get_object", answer | ({"ChecksumType": kind} if kind else {}))
    assert S3Scheme(lambda: client).probe("s3://bucket/a").crc32 == wanted


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=7, seconds=1)])
def test_a_signed_url_lives_at_most_a_week(place_s3_moto: Place, lifetime: timedelta) -> None:
    with pytest.raises(ItemError, match="7 days"):
        place_s3_moto.scheme.signed_url(place_s3_moto.url("a"), lifetime)


def test_a_signed_url_is_made_for_the_region_of_its_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    monkeypatch.setattr(aws, "_clients", {})
    monkeypatch.setattr(bucket_regions, "_known", {"album": "eu-central-1"})
    settings = Settings(output_roots=("s3://album",))
    storage = open_storage(settings, Authority.of_settings(settings, store_url="memory://jobs"))
    signed = storage.signed_url("s3://album/a.zip", timedelta(hours=1))
    assert signed.startswith("https://album.s3.eu-central-1.amazonaws.com/a.zip?")


def test_a_bucket_is_no_object(place_s3_moto: Place) -> None:
    for url in ("s3://bucket", "s3://bucket/"):
        with pytest.raises(ItemError, match="add the object's name"):
            place_s3_moto.scheme.probe(url)


def test_a_bucket_that_is_not_there_is_said(place_s3_moto: Place) -> None:
    with pytest.raises(ItemError, match="no such bucket") as caught:
        place_s3_moto.scheme.probe("s3://nobody-has-this-bucket/a")
    assert caught.value.kind is Kind.MISSING
    with pytest.raises(ItemError, match="no such bucket"):
        list(place_s3_moto.scheme.list("s3://nobody-has-this-bucket/"))
