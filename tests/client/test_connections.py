"""What one connection promises about the bodies it sends."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.connections import Patience
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from tests.sources import Source, hostile_source, photo


def put(source: Source, path: str, body: memoryview, patience: Patience) -> bytes:
    authority = Authority.granted(sources=[source.url("/")], allow_local=True)
    with (
        Guard.of(authority, patience=patience, tls=source.trust) as guard,
        guard.request("PUT", source.url(path), body=body) as answer,
    ):
        return b"%d " % answer.status + answer.read(1000)


@pytest.mark.parametrize("tls", [False, True])
def test_a_body_of_many_megabytes_is_sent_from_the_memory_it_is_in(tls: bool) -> None:
    body = photo("body", 9_000_001)

    def equal(to: Any) -> None:
        to.answer(200, b"equal" if to.received == body else b"different", "text/plain")

    with hostile_source(tls=tls) as source:
        source.add("equal", equal)
        assert put(source, "/equal/a", memoryview(bytearray(body)), Patience()) == b"200 equal"


def test_a_refusal_is_heard_although_the_body_could_not_be_sent_whole() -> None:
    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:  # closed with bytes unread, so with a reset
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        source = Source(listener.getsockname()[1], "http")
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        assert put(source, "/a", memoryview(bytes(30_000_000)), Patience()) == b"403 no"
        thread.join()


def test_who_reads_a_body_and_says_nothing_is_a_timeout() -> None:
    with hostile_source() as source, pytest.raises(ItemError) as raised:
        put(source, "/stuck/a", memoryview(b"body"), Patience(stall_seconds=0.3))
    assert raised.value.kind is Kind.TIMEOUT
