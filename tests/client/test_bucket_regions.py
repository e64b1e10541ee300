"""batchlab.bucket_regions: links are signed for the region that the bucket lies in, wherever we are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from batchlab import aws, bucket_regions
from batchlab.bucket_regions import region_of
from batchlab.service.handing_out import Artifact, hand_out
from batchlab.settings import Settings

NOW = datetime(2026, 6, 6, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_home_in_oregon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("DEFAULT_REGION", "us-west-2")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(aws, "_clients", {})
    monkeypatch.setattr(bucket_regions, "_known", {})


@pytest.fixture
def frankfurt() -> Iterator[str]:
    """A bucket there."""
    with mock_aws():
        client = boto3.client("s3", region_name="eu-central-1")
        place = {"LocationConstraint": "eu-central-1"}
        client.create_bucket(Bucket="album", CreateBucketConfiguration=place)  # type: ignore[arg-type]
        yield "album"


def link(bucket: str, method: str = "GET") -> str:
    artifact = Artifact(1, "a.zip", f"s3://{bucket}/a.zip", "application/zip")
    status, headers, _ = hand_out(artifact, NOW + timedelta(hours=1), NOW, method, {}, Settings())
    assert status == 302
    return headers["Location"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_names_the_region_of_its_bucket_in_host_and_signature(frankfurt: str, method: str) -> None:
    signed = link(frankfurt, method)
    assert signed.startswith("https://album.s3.eu-central-1.amazonaws.com/a.zip?")
    assert "%2Feu-central-1%2Fs3%2Faws4_request" in signed


def test_a_bucket_is_asked_once(frankfurt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link(frankfurt)
    monkeypatch.setattr(bucket_regions, "_asked", lambda *_: pytest.fail("asked again"))
    assert "eu-central-1" in link(frankfurt)


def test_a_refusal_names_the_region_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function of the pages may read what was delivered, and not list the bucket."""
    client = boto3.client("s3")
    with Stubber(client) as stub:
        stub.add_client_error("head_bucket", "403", http_status_code=403, response_meta=region("ap-south-1"))
        monkeypatch.setattr(aws, "s3_client", lambda *_, **__: client)
        assert region_of("s3", "album", Settings()) == "ap-south-1"


@pytest.mark.parametrize("said", ["", "evil.example/"])
def test_without_a_region_in_the_answer_the_configured_one_signs(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(bucket_regions, "_known", {})
    client = boto3.client("s3")
    with Stubber(client) as stub, monkeypatch.context() as patch:
        stub.add_client_error("head_bucket", "404", http_status_code=404, response_meta=region(said))
        patch.setattr(aws, "s3_client", lambda *_, **__: client)
        assert region_of("s3", "album", Settings()) == ""
    monkeypatch.setattr(bucket_regions, "_asked", lambda *_: "")
    assert link("album").startswith("https://album.s3.us-west-2.amazonaws.com/")


def test_other_services_than_amazons_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_regions, "_asked", lambda *_: pytest.fail("asked"))
    assert region_of("r2", "album", Settings()) == ""
    assert region_of("s3", "album", Settings(s3_endpoint="http://127.0.0.1:9000")) == ""


def region(name: str) -> dict[str, Any]:
    return {"HTTPHeaders": {"x-amz-bucket-region": name}}
