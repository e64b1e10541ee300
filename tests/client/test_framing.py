"""Where an answer begins and ends, from a socket that sends exactly these bytes and then waits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from batchlab.authority import Authority
from batchlab.connections import Patience
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind

CHUNKS = b"4\r\npict\r\n3\r\nure\r\n0\r\n\r\n"


@contextmanager
def saying(answer: bytes, *, hangs_up: bool = False) -> Iterator[str]:
    """The URL of a server that answers its one request with `answer`."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.recv(10_000)
            connection.sendall(answer)
            if not hangs_up:
                connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
    thread.join(5)


def read(url: str) -> bytes:
    authority = Authority.granted(sources=[url], allow_local=True)
    patience = Patience(total_seconds=5, stall_seconds=0.5)
    with Guard.of(authority, patience=patience) as guard, guard.request("GET", url) as answer:
        return b"%d " % answer.status + answer.read(1000)


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: Chunked \r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ],
)
def test_chunks_are_read_as_chunks_however_they_are_announced(head: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + CHUNKS) as url:
        assert read(url) == b"200 picture"


@pytest.mark.parametrize("lengths", [b"7, 7", b"7\r\nContent-Length: 7"])
def test_a_length_that_is_told_twice_is_that_length(lengths: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: " + lengths + b"\r\n\r\npicture") as url:
        assert read(url) == b"200 picture"


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_what_a_server_says_before_its_answer_is_not_its_answer(status: bytes) -> None:
    hints = b"HTTP/1.1 " + status + b"\r\nLink: </style.css>; rel=preload\r\n\r\n"
    with saying(hints * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture") as url:
        assert read(url) == b"200 picture"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 7\r\nContent-Length: 4\r\n",
        b"Content-Length: 4, 7\r\n",
        b"Content-Length: lots\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_an_answer_whose_end_nobody_can_tell_is_a_network_failure_at_once(head: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + CHUNKS) as url, pytest.raises(ItemError) as raised:
        read(url)
    assert raised.value.kind is Kind.NETWORK


def test_a_head_that_is_cut_off_is_no_answer() -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Le", hangs_up=True) as url,
        pytest.raises(ItemError) as raised,
    ):
        read(url)
    assert raised.value.kind is Kind.NETWORK
