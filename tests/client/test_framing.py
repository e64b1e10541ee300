"""Where an answer begins and ends, from a socket that sends exactly these bytes and then waits."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import pytest

from batchlab.authority import Authority
from batchlab.connections import Patience
from batchlab.framing import FramedResponse, read_head, request_head
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
        b"Transfer-Encoding: , chunked,\r\n",
        b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n",
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
        b"Content-Length: " + b"9" * 4_000 + b"\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
    ],
)
def test_an_answer_whose_end_nobody_can_tell_is_a_network_failure_at_once(head: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + CHUNKS) as url, pytest.raises(ItemError) as raised:
        read(url)
    assert raised.value.kind is Kind.NETWORK


@pytest.mark.parametrize("size", [b"-3", b"+3", b"0x3", b"0_3", b" 3", b"", b"3 3", b"\xa03"])
def test_a_chunk_whose_size_is_no_size_is_a_network_failure(size: bytes) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npict\r\n" + size + b"\r\nure\r\n0\r\n\r\n"
    )
    with saying(answer) as url, pytest.raises(ItemError) as raised:
        read(url)
    assert raised.value.kind is Kind.NETWORK


def test_chunks_that_are_cut_off_within_a_size_are_not_whole() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\npicture\r\n0"
    with saying(answer, hangs_up=True) as url, pytest.raises(ItemError) as raised:
        read(url)
    assert raised.value.kind is Kind.NETWORK


def test_sizes_of_chunks_may_have_zeros_blanks_and_extensions() -> None:
    chunks = b"0004;name=value\r\npict\r\n3 \r\nure\r\n000\r\nX-Trailer: y\r\n\r\n"
    with saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) as url:
        assert read(url) == b"200 picture"


class Recorded:
    """What http.client asks of a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._answer))


@pytest.mark.parametrize(
    ("answer", "is_last"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", True),
        (
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: x, Close\r\nContent-Length: 7\r\n\r\n",
            True,
        ),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n", True),
    ],
)
def test_a_connection_is_used_again_only_where_the_next_answer_cannot_be_mistaken(
    answer: bytes, is_last: bool
) -> None:
    response = FramedResponse(cast(socket.socket, Recorded(answer)), method="GET")
    response.begin()
    assert response.will_close is is_last
    response.close()


def test_a_server_that_never_comes_to_its_answer_is_left_when_patience_ends() -> None:
    def serve(listener: socket.socket) -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.recv(10_000)
            while True:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
        authority = Authority.granted(sources=[url], allow_local=True)
        guard = Guard.of(authority, patience=Patience(total_seconds=0.5))
        with guard, pytest.raises(ItemError) as raised:
            guard.request("GET", url)
    thread.join(5)
    assert raised.value.kind is Kind.TIMEOUT
    assert not thread.is_alive()


def test_a_head_that_is_cut_off_is_no_answer() -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Le", hangs_up=True) as url,
        pytest.raises(ItemError) as raised,
    ):
        read(url)
    assert raised.value.kind is Kind.NETWORK


@pytest.mark.parametrize(
    "head",
    [
        b" folded before the first field\r\nContent-Length: 7\r\n",
        b"this line is no field\r\nContent-Length: 7\r\n",
        b": no name\r\nContent-Length: 7\r\n",
        b"Content-Length : 7\r\n",
        b"Transfer-Encoding:\r\nContent-Length: 7\r\n",
        b"\xa0Content-Length: 3\r\nContent-Length: 7\r\n",
        b"content-length:7\r\n",
        b"Content-Length:\r\n 7\r\n",
        b"X-Note: a\rContent-Length: 3\r\nContent-Length: 7\r\n",
        b"\r\r\nContent-Length: 7\r\n",
    ],
)
def test_a_line_that_is_no_field_ends_no_head_and_hides_no_field(head: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\npicture") as url:
        assert read(url) == b"200 picture"


def test_a_field_that_goes_on_is_one_field() -> None:
    head = read_head(io.BytesIO(b"X-Note: one\r\n\ttwo\r\n  three \r\nX-note: four\r\n\r\n"))
    assert head.get("x-note") == "one two three"
    assert head.get_all("X-NOTE") == ["one two three", "four"]
    assert head.items() == [("X-Note", "one two three"), ("X-note", "four")]
    assert head.get("absent") is None
    assert head.get("absent", "") == ""


@pytest.mark.parametrize("head", [b"X: y\r\n" * 101, b"X: " + b"y" * 70_000 + b"\r\n"])
def test_a_head_without_end_is_a_network_failure(head: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\n" + head) as url, pytest.raises(ItemError) as raised:
        read(url)
    assert raised.value.kind is Kind.NETWORK


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        ("GET", "/a b", {}),
        ("GET", "/a\r\nHost: b", {}),
        ("GET", "", {}),
        ("GET /b", "/a", {}),
        ("GET", "/a", {"X-Note": "a\r\nHost: b"}),
        ("GET", "/a", {"X-Note": "a\nb"}),
        ("GET", "/a", {"X-Note: b\r\nHost": "c"}),
        ("GET", "/a", {"": "c"}),
        ("GET", "/a", {"X-Note": "\u4e2d"}),
    ],
)
def test_a_request_that_could_be_read_as_two_is_never_sent(
    method: str, target: str, fields: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"none may hold|can't encode"):
        request_head(method, target, fields)


def test_a_request_head_is_its_line_and_its_fields() -> None:
    assert request_head("GET", "/a?b=c%20d", {"Host": "x", "X-Note": "f\u00fcr\tuns"}) == (
        b"GET /a?b=c%20d HTTP/1.1\r\nHost: x\r\nX-Note: f\xfcr\tuns\r\n\r\n"
    )
