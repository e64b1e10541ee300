"""How clients of S3 are made, and how their errors are read."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
)

from batchlab import aws
from batchlab.errors import BatchlabError, Denied, ServiceError, UsageError
from batchlab.settings import Settings

R2 = Settings(r2_endpoint="https://account.r2.example.com", r2_access_key="a", r2_secret_key="b")


def _client_error(code: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "See https://s3.example.com/key?X-Amz-Signature=canary"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "PutObject")


def test_r2_is_asked_at_its_endpoint_with_its_keys_and_no_checksums_it_refuses() -> None:
    client = aws.s3_client("r2", R2)
    config = client.meta.config
    assert client.meta.endpoint_url == "https://account.r2.example.com"
    assert client.meta.region_name == "auto"
    assert config.request_checksum_calculation == "when_required"  # type: ignore[attr-defined]
    assert config.response_checksum_validation == "when_required"  # type: ignore[attr-defined]
    assert config.signature_version == "s3v4"  # type: ignore[attr-defined]
    assert config.s3 == {"payload_signing_enabled": False, "addressing_style": "path"}  # type: ignore[attr-defined]


def test_payloads_are_signed_where_no_tls_guards_them() -> None:
    client = aws.s3_client("s3", Settings(s3_endpoint="http://127.0.0.1:9"))
    assert client.meta.config.s3["payload_signing_enabled"] is True  # type: ignore[attr-defined]
    assert client.meta.region_name == "us-east-1"


def test_amazon_itself_is_asked_when_no_endpoint_is_set() -> None:
    client = aws.s3_client("s3", Settings())
    assert client.meta.endpoint_url.endswith("amazonaws.com")
    assert client.meta.config.s3["addressing_style"] == "auto"  # type: ignore[attr-defined]


def test_a_signed_link_names_the_region_where_no_redirect_would_break_its_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("DEFAULT_REGION", "eu-north-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(aws, "_clients", {})
    client = aws.s3_client("s3", Settings(), for_links=True)
    link = client.generate_presigned_url("get_object", Params={"Bucket": "album", "Key": "a.zip"})
    assert link.startswith("https://album.s3.eu-north-1.amazonaws.com/a.zip?")


def test_one_client_serves_all_who_ask_for_the_same() -> None:
    assert aws.s3_client("r2", R2) is aws.s3_client("r2", R2)
    assert aws.s3_client("r2", R2, attempts=1) is not aws.s3_client("r2", R2)
    other = Settings(r2_endpoint=R2.r2_endpoint, r2_access_key="another", r2_secret_key="b")
    assert aws.s3_client("r2", other) is not aws.s3_client("r2", R2)


def test_a_profile_that_does_not_exist_is_denied_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(Denied, match="no-such-profile"):
        aws.s3_client("s3", Settings(s3_endpoint="https://elsewhere.example.com"))


@pytest.mark.parametrize("missing", ["r2_endpoint", "r2_access_key", "r2_secret_key"])
def test_r2_needs_all_of_its_settings(missing: str) -> None:
    settings = Settings(
        **{"r2_endpoint": "https://r2", "r2_access_key": "a", "r2_secret_key": "b", missing: ""}
    )
    with pytest.raises(UsageError, match=missing.upper()):
        aws.s3_client("r2", settings)


def test_boto3_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, batchlab.aws, batchlab.stores, batchlab.stores.s3; sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("error", "passing", "explained", "words"),
    [
        (_client_error("SlowDown", 503), True, ServiceError, "SlowDown"),
        (_client_error("ConditionalRequestConflict", 409), True, ServiceError, "409"),
        (_client_error("RequestTimeout", 400), True, ServiceError, "RequestTimeout"),
        (_client_error("InternalError", 500), True, ServiceError, "500"),
        (_client_error("InvalidArgument", 400), False, ServiceError, "InvalidArgument"),
        (_client_error("NoSuchBucket", 404), False, ServiceError, "no such bucket"),
        (_client_error("AccessDenied", 403), False, Denied, "AccessDenied"),
        (_client_error("Unauthorized", 401), False, Denied, "Unauthorized"),
        (_client_error("ExpiredToken", 400), False, Denied, "expired"),
        (_client_error("RequestTimeTooSkewed", 403), False, Denied, "clock"),
        (_client_error("403", 403), False, Denied, "403"),
        (EndpointConnectionError(endpoint_url="https://x/?X-Amz-Signature=canary"), True, ServiceError, "connect"),
        (ConnectTimeoutError(endpoint_url="https://x"), True, ServiceError, "timeout"),
        (ReadTimeoutError(endpoint_url="https://x"), True, ServiceError, "timeout"),
        (NoCredentialsError(), False, Denied, "AWS_PROFILE"),
        (NoRegionError(), False, UsageError, "AWS_DEFAULT_REGION"),
        (ParamValidationError(report="Invalid bucket name"), False, ServiceError, "Invalid bucket name"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, Exception) else None,
)  # fmt: skip
def test_an_error_is_read_as_what_it_is_and_shows_no_query(
    error: Exception, passing: bool, explained: type[BatchlabError], words: str
) -> None:
    assert aws.is_passing(error) is passing
    ours = aws.explained(error, "status.json in s3://bucket")
    assert type(ours) is explained
    assert "status.json in s3://bucket" in str(ours)
    assert words.lower() in str(ours).lower()
    assert "canary" not in str(ours)
