"""One try at a webhook: what it says, whom it reaches, and how the answer is taken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from batchlab.connections import Patience
from batchlab.kinds import ItemError
from batchlab.named import NamedEntries
from batchlab.notify.end import End, read_end
from batchlab.notify.failures import Later, Never
from batchlab.notify.webhook import PATIENCE, payload, post, signing_secret, webhook_guard
from batchlab.settings import Settings
from batchlab.targets import WebhookTarget
from tests.client.notify.ended_jobs import JOB_ID, NOON, SECRET, Clocked, ended
from tests.client.notify.receivers import (
    Receiver,
    dribbling_body,
    dribbling_headers,
    receiving,
    status,
    waits,
)

QUICK = Patience(connect_seconds=2, total_seconds=0.5, stall_seconds=0.5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def send(receiver: Receiver, patience: Patience = PATIENCE, body: bytes = b"{}") -> None:
    with webhook_guard(receiver.settings(), patience) as guard:
        post(guard, receiver.url, body, "msg_1", SECRET, NOON)


def an_end(**job: object) -> End:
    records = ended(Clocked(), [], **job)  # type: ignore[arg-type]
    return read_end(
        records,
        records.document(),
        records.status(),
        "partial",
        Settings(public_base_url="https://shop.example"),
    )


def test_the_payload_is_thin_and_holds_no_address_of_a_source() -> None:
    body = payload(an_end(missing={"a": "missing"}, tags={"event": "7"}))
    said = json.loads(body)
    assert said["type"] == "job.partial" and said["timestamp"] == "2026-06-06T12:00:00Z"
    page = said["data"].pop("page")
    assert page.startswith("https://shop.example/s/")
    assert said["data"] == {
        "id": JOB_ID,
        "type": "zip-export",
        "title": "Anna & Ben, 6 June",
        "state": "partial",
        "generation": 1,
        "counts": {
            "total": 3,
            "done": 2,
            "failed": 1,
            "skipped": 0,
            "in_flight": 0,
            "total_bytes": None,
            "done_bytes": 8_000_000,
        },
        "tags": {"event": "7"},
        "expires_at": "2026-06-13T12:00:00Z",
        "message": "2 of 3 photos done; 1 is missing.",
    }
    assert b"photos.example" not in body and b"s3://" not in body and len(body) < 1000


def test_it_is_signed_so_that_the_library_takes_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook_guard(receiver.settings()) as guard:
        now = NOON.now(NOON.tzinfo)
        post(guard, receiver.url, payload(an_end()), "msg_1", SECRET, now)
    [came] = receiver.came
    assert Webhook(SECRET).verify(came.body, came.headers)["type"] == "job.partial"
    assert came.headers["content-type"] == "application/json"
    assert came.headers["user-agent"].startswith("batchlab/")


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_taken(code: int) -> None:
    with receiving(status(code)) as receiver:
        send(receiver)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, code: int) -> None:
    moved = status(code, {"Location": receiver.url})
    with receiving(moved) as asked, pytest.raises(Later, match="redirects are not followed"):
        send(asked)
    assert receiver.came == []


@pytest.mark.parametrize("code", [400, 401, 404, 408, 429, 500, 502, 503])
def test_any_other_answer_is_tried_again(code: int) -> None:
    with receiving(status(code)) as receiver, pytest.raises(Later, match=str(code)):
        send(receiver)


def test_410_is_never_tried_again() -> None:
    with receiving(status(410)) as receiver, pytest.raises(Never, match="410"):
        send(receiver)


@pytest.mark.parametrize(
    ("wish", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (format_datetime(NOON + timedelta(hours=1), usegmt=True), timedelta(hours=1)),
        ("soon", None),
        ("-5", timedelta(seconds=-5)),
        ("9" * 400, None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Fri, 31 Dec 2026 23:59:59 +99999999999999999", None),
    ],
)
def test_retry_after_is_heard_as_seconds_and_as_a_date(wish: str, wait: timedelta | None) -> None:
    with receiving(status(503, {"Retry-After": wish})) as receiver, pytest.raises(Later) as raised:
        send(receiver)
    assert raised.value.wait == wait


@pytest.mark.parametrize("answer", [dribbling_headers, waits])
def test_a_slow_receiver_is_left_when_patience_is_over(answer: object) -> None:
    with receiving(answer) as receiver:  # type: ignore[arg-type]
        began = time.monotonic()
        with pytest.raises(Later, match="took too long"):
            send(receiver, QUICK)
        assert time.monotonic() - began < 10


def test_a_body_that_dribbles_behind_a_2xx_changes_nothing() -> None:
    with receiving(dribbling_body) as receiver:
        send(receiver, QUICK)


def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    with receiving() as receiver:
        pass
    with pytest.raises(Later):
        send(receiver)


# -- whom it reaches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "fd00:ec2::254"]
)
def test_a_listed_host_with_a_private_address_is_refused(address: str) -> None:
    settings = Settings(webhook_hosts=("shop.example",), webhook_secret=SECRET)
    guard = webhook_guard(settings, resolve=lambda host, port: ["93.184.215.14", address])
    with guard, pytest.raises(Never, match="inside the network"):
        post(guard, "https://shop.example/hooks", b"{}", "msg_1", SECRET, NOON)


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254"])
def test_allow_local_lets_in_this_machine_and_nothing_else_of_the_network(address: str) -> None:
    settings = Settings(webhook_hosts=("shop.example",), webhook_secret=SECRET, allow_local=True)
    guard = webhook_guard(settings, resolve=lambda host, port: [address])
    with guard, pytest.raises(Never, match="inside the network"):
        post(guard, "https://shop.example/hooks", b"{}", "msg_1", SECRET, NOON)


@pytest.mark.parametrize(
    ("url", "settings", "cure"),
    [
        ("https://other.example/x", Settings(), "Add other.example to BATCHLAB_WEBHOOK_HOSTS"),
        ("https://shop.example:8443/x", Settings(), "Add shop.example:8443 to BATCHLAB_WEBHOOK_HOSTS"),
        ("http://shop.example/x", Settings(), "use https://"),
        ("http://shop.example/x", Settings(allow_local=True, webhook_hosts=("*",)), "use https://"),
        ("https://user:pw@shop.example/x", Settings(), "user name or password"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_looked_up(
    url: str, settings: Settings, cure: str
) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    hosts = settings.webhook_hosts or ("shop.example",)
    known = Settings(webhook_hosts=hosts, allow_local=settings.allow_local)
    with webhook_guard(known, resolve=resolve) as guard, pytest.raises(Never, match=cure):
        post(guard, url, b"{}", "msg_1", SECRET, NOON)


# -- secrets -------------------------------------------------------------------------------------------------


def test_a_target_is_signed_with_its_own_secret_else_with_that_of_the_settings() -> None:
    settings = Settings(
        webhook_secret=SECRET, named=NamedEntries({"webhook_secrets": {"shop": "whsec_other"}})
    )
    own = WebhookTarget(webhook="https://shop.example/", secret_ref="shop")
    assert signing_secret(own, settings) == "whsec_other"
    assert signing_secret(WebhookTarget(webhook="https://shop.example/"), settings) == SECRET
    for target, cure in (
        (WebhookTarget(webhook="https://shop.example/"), "Set BATCHLAB_WEBHOOK_SECRET"),
        (own, "BATCHLAB_CONFIG"),
    ):
        with pytest.raises(ItemError, match=cure):
            signing_secret(target, Settings())
