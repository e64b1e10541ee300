"""A receiver takes what was signed with its secret in the last five minutes, and nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.status import State
from batchlab.webhooks import keys, sign, unwrap

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()
ID = "msg_01jx3w7n2k8v5q9r4t6y1z0abc_g1_succeeded_1"
BODY = json.dumps(
    {
        "type": "job.succeeded",
        "timestamp": "2026-06-06T12:00:00Z",
        "data": {"id": "01jx3w7n2k8v5q9r4t6y1z0abc", "type": "zip-export", "state": "succeeded", "later": 1},
        "later": {"a": 1},
    }
).encode()


def now() -> datetime:
    return datetime.now(UTC)


def headers(body: bytes = BODY, at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    at = at or now()
    return {
        "Webhook-Id": ID,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": sign(body, ID, at, secret),
    }


def test_a_genuine_event_is_a_typed_value_with_the_id_of_its_header() -> None:
    event = unwrap(BODY, headers(), SECRET)
    assert event.id == ID and event.type == "job.succeeded"
    assert event.data.state is State.SUCCEEDED and event.data.generation == 1
    assert event.timestamp == datetime(2026, 6, 6, 12, tzinfo=UTC)
    assert unwrap(BODY.decode(), headers(), SECRET) == event


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), OTHER, OTHER.rstrip("=")])
def test_the_library_takes_ours_and_we_take_the_librarys(secret: str) -> None:
    at = now()
    assert Webhook(secret).verify(BODY, headers(at=at, secret=secret))["type"] == "job.succeeded"
    theirs = Webhook(secret).sign(ID, at, BODY.decode())
    assert sign(BODY, ID, at, secret) == theirs
    assert unwrap(BODY, {**headers(), "Webhook-Signature": theirs}, secret).id == ID


def test_while_a_secret_is_changed_both_sign_and_both_are_taken() -> None:
    both = headers(secret=f"{SECRET} {OTHER}")
    for secret in (SECRET, OTHER, f"{OTHER} {SECRET}"):
        assert unwrap(BODY, both, secret).id == ID
    assert Webhook(OTHER).verify(BODY, both)
    assert unwrap(BODY, headers(), f"{OTHER} {SECRET}").id == ID


def test_a_signature_of_another_version_is_passed_over() -> None:
    given = headers()
    given["Webhook-Signature"] = f"v1a,{'A' * 88} v2,zzz nonsense {given['Webhook-Signature']}"
    assert unwrap(BODY, given, SECRET).id == ID


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Id": "msg_other"},
        {"Webhook-Timestamp": "a second later"},
        {"Webhook-Signature": "v1," + base64.b64encode(b"0" * 32).decode()},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,\xff\u20ac"},
        {"Webhook-Signature": " "},
        {"Webhook-Timestamp": "yesterday"},
        {"Webhook-Timestamp": "9" * 30},
        {"Webhook-Timestamp": "nan"},
        {"Webhook-Id": ""},
        {"Webhook-Timestamp": ""},
        {"Webhook-Signature": ""},
    ],
    ids=str,
)
def test_whatever_was_changed_in_the_headers_is_noticed(change: dict[str, str]) -> None:
    genuine = headers()
    if change.get("Webhook-Timestamp") == "a second later":
        change = {"Webhook-Timestamp": str(int(genuine["Webhook-Timestamp"]) + 1)}
    with pytest.raises(Denied):
        unwrap(BODY, {**genuine, **change}, SECRET)


def test_a_changed_body_or_another_secret_is_noticed_and_the_error_shows_no_secret() -> None:
    for body, secret in (
        (BODY.replace(b"succeeded", b"partial"), SECRET),
        (BODY + b" ", SECRET),
        (BODY, OTHER),
    ):
        with pytest.raises(Denied) as raised:
            unwrap(body, headers(), secret)
        assert "BATCHLAB_WEBHOOK_SECRET" in raised.value.message
        assert secret.removeprefix("whsec_") not in raised.value.message


@pytest.mark.parametrize("minutes", [-60, -6, 6, 60])
def test_more_than_five_minutes_either_way_is_refused_here_and_by_the_library(minutes: int) -> None:
    at = now() + timedelta(minutes=minutes)
    with pytest.raises(Denied, match="old" if minutes < 0 else "in the future"):
        unwrap(BODY, headers(at=at), SECRET)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, headers(at=at))
    assert unwrap(BODY, headers(at=at), SECRET, now=at + timedelta(minutes=4)).id == ID


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", BODY.replace(b"job.succeeded", b"job.merged")])
def test_a_genuine_message_that_cannot_be_read_is_no_forgery(body: bytes) -> None:
    with pytest.raises(ServiceError, match="newer version"):
        unwrap(body, headers(body), SECRET)


@pytest.mark.parametrize("secret", ["", " ", "whsec_", "geheim", "whsec_c2hvcnQ=", "my secret!", "x" * 400])
def test_a_secret_that_is_none_is_refused_with_how_to_make_one(secret: str) -> None:
    with pytest.raises(UsageError, match="openssl rand -base64 32"):
        keys(secret)


def test_receivers_need_no_extra() -> None:
    code = "import sys, batchlab.webhooks; print({'standardwebhooks', 'fastapi', 'boto3', 'httpx'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
