"""tests.worker.function_url: who is let in, and who is not. What it believes, the tests of the whole way believe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.worker.function_url import FunctionUrl, function_url

BODY = b'{"type": "self-test"}'


@pytest.fixture
def url() -> Iterator[FunctionUrl]:
    with function_url({"AKIDLAB": "lab-secret"}) as made:
        made.function = lambda event: {"statusCode": 200, "body": json.dumps(event), "headers": {}}
        yield made


def signed(
    url: FunctionUrl, *, secret: str = "lab-secret", scope: str = "lambda", target: str = "/v1/jobs"
) -> dict[str, str]:
    """The headers of a POST as botocore signs it now."""
    request = AWSRequest("POST", url.url + target, headers={"idempotency-key": "one"}, data=BODY)
    SigV4Auth(Credentials("AKIDLAB", secret), scope, "us-east-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def post(
    url: FunctionUrl, headers: dict[str, str], body: bytes = BODY, target: str = "/v1/jobs"
) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.post(
            url.url + target, content=body, headers={"content-type": "application/json", **headers}
        )


def test_a_signed_request_reaches_the_function_as_lambda_shows_it(url: FunctionUrl) -> None:
    answer = post(
        url, signed(url, target="/v1/jobs?tag=event%3D17&limit=2"), target="/v1/jobs?tag=event%3D17&limit=2"
    )
    event: dict[str, Any] = answer.json()
    assert (event["rawPath"], event["rawQueryString"], event["body"]) == (
        "/v1/jobs",
        "tag=event%3D17&limit=2",
        BODY.decode(),
    )
    assert event["headers"]["idempotency-key"] == "one"
    assert event["requestContext"]["http"]["method"] == "POST"


def test_whatever_is_changed_on_the_way_is_refused(url: FunctionUrl) -> None:
    good = signed(url)
    last = "0" if good["authorization"][-1] != "0" else "1"
    for reason, answer in {
        "no signature": post(url, {}),
        "another signature": post(url, {**good, "authorization": good["authorization"][:-1] + last}),
        "another body": post(url, {**good, "x-amz-content-sha256": "0" * 64}),
        "another host": post(url, {**good, "host": "elsewhere.example"}),
        "unknown key": post(
            url, {**good, "authorization": good["authorization"].replace("AKIDLAB", "AKIDNO")}
        ),
        "scope us-east-1/s3": post(url, signed(url, scope="s3")),
    }.items():
        assert (reason, answer.status_code, url.refusals[0]) == (reason, 403, reason)
        url.refusals.pop(0)
    changed = [
        post(url, good, BODY.replace(b"self-test", b"zip-export")),
        post(url, good, target="/v1/jobs?more=1"),
        post(url, {**good, "idempotency-key": "two"}),
        post(url, signed(url, secret="another")),
    ]
    assert [answer.status_code for answer in changed] == [403] * 4
    assert set(url.refusals) == {"another signature"}
    assert not url.events


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_is_good_for_five_minutes(
    url: FunctionUrl, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: moved.replace(tzinfo=None))
    assert post(url, signed(url)).status_code == 403
    assert url.refusals == ["another time"]


def test_a_body_that_lambda_does_not_take_is_refused(url: FunctionUrl) -> None:
    assert post(url, {}, b"x" * (6 * 1024 * 1024 + 1)).status_code == 413
