"""httpx over the guard: the same checks, and an ordinary client's manners."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from batchlab.authority import Authority
from batchlab.connections import Patience
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from batchlab.transport import GuardTransport, guarded_client
from tests.sources import hostile_source, photo, redirect_path

QUICK = Patience(connect_seconds=2, total_seconds=5, stall_seconds=0.3)


def test_requests_arrive_and_answers_come_back() -> None:
    def echo(to: Any) -> None:
        to.answer(
            201,
            gzip.compress(to.command.encode() + b" " + to.received),
            "text/plain",
            Content_Encoding="gzip",
        )

    with hostile_source() as source:
        source.add("echo", echo)
        authority = Authority.granted(sources=[source.url("/")], allow_local=True)
        with Guard.of(authority, patience=QUICK) as guard, guarded_client(guard) as client:
            for number in range(3):
                answer = client.post(
                    source.url("/echo/x"), json={"number": number}, headers={"X-Signature": "s"}
                )
                assert (answer.status_code, answer.text) == (201, f'POST {{"number":{number}}}')
            assert client.get(source.url("/photo/a.jpg")).content == photo("a.jpg")
            assert client.head(source.url("/photo/a.jpg")).status_code == 200
        assert source.connections == 1
        assert source.requests[0].headers["x-signature"] == "s"
        assert source.requests[0].headers["host"] == f"127.0.0.1:{source.port}"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://169.254.169.254/latest", "https://user:pw@photos.example/"]
)
def test_what_the_guard_refuses_is_an_item_error(url: str) -> None:
    with guarded_client(Guard(lambda url: url)) as client, pytest.raises(ItemError) as raised:
        client.get(url)
    assert raised.value.kind is Kind.BLOCKED_URL


def test_a_followed_redirect_is_checked_and_never_leaves_https() -> None:
    with hostile_source(tls=True) as secure, hostile_source() as plain:
        authority = Authority.granted(sources=[secure.url("/"), plain.url("/")], allow_local=True)
        with Guard.of(authority, tls=secure.trust, patience=QUICK) as guard:
            with guarded_client(guard, follow_redirects=True) as client:
                assert client.get(secure.url("/redirects/2")).content == photo("end.jpg")
                for target in (plain.url("/photo/a.jpg"), "https://10.0.0.1/", "https://elsewhere.example/"):
                    with pytest.raises(ItemError):
                        client.get(secure.url(redirect_path(target)))
            with guarded_client(guard) as client:
                assert client.get(secure.url("/redirects/2")).status_code == 302
        assert plain.connections == 0


def test_an_answer_is_small() -> None:
    with hostile_source() as source:
        authority = Authority.granted(sources=[source.url("/")], allow_local=True)
        with (
            Guard.of(authority, patience=QUICK) as guard,
            httpx.Client(transport=GuardTransport(guard, limit_bytes=100)) as client,
            pytest.raises(ItemError, match="larger than 100 bytes"),
        ):
            client.get(source.url("/photo/a.jpg"))
