"""Reading over TLS: everything that was sent, and never an end that was none."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from tests.sources import Source, hostile_source, photo

SIZE = 3_000_001  # many records, and several times what is received at once


def no_good_bye(to: Any) -> None:
    """A body without a length whose connection is closed, politely for TCP, and not at all for TLS."""
    to.close_connection = True
    to.head(200, {"Content-Type": "image/jpeg", "Connection": "close"})
    to.send(photo(to.name, to.size()))
    to.wfile.flush()
    socket.socket(fileno=to.connection.detach()).close()


@pytest.fixture(scope="module")
def secure() -> Iterator[Source]:
    with hostile_source(tls=True) as source:
        source.add("no-good-bye", no_good_bye)
        yield source


def fetch(source: Source, path: str) -> bytes:
    authority = Authority.granted(sources=[source.url("/")], allow_local=True)
    with Guard.of(authority, tls=source.trust) as guard, guard.request("GET", source.url(path)) as answer:
        return answer.read(10**7)


@pytest.mark.parametrize("kind", ["photo", "chunked", "no-length"])
def test_a_body_of_many_records_comes_whole(secure: Source, kind: str) -> None:
    assert fetch(secure, f"/{kind}/a.jpg?size={SIZE}") == photo("a.jpg", SIZE)


@pytest.mark.parametrize(
    "path",
    ["no-good-bye/a.jpg?", "no-length/a.jpg?cut=1&", "cut/a.jpg?", "short/a.jpg?", "chunked/a.jpg?cut=1&"],
)
def test_an_end_without_good_bye_is_a_cut_although_much_had_come(secure: Source, path: str) -> None:
    with pytest.raises(ItemError) as raised:
        fetch(secure, f"/{path}size={SIZE}")
    assert raised.value.kind is Kind.NETWORK


def test_a_cut_is_one_although_it_came_together_with_the_last_bytes(secure: Source) -> None:
    authority = Authority.granted(sources=[secure.url("/")], allow_local=True)
    url = secure.url("/no-good-bye/a.jpg?size=100000")
    with Guard.of(authority, tls=secure.trust) as guard, guard.request("GET", url) as answer:
        time.sleep(0.5)  # by now all of it waits here, and the end, too
        with pytest.raises(ItemError) as raised:
            answer.read(10**7)
    assert raised.value.kind is Kind.NETWORK


def test_photos_one_after_the_other_come_over_one_connection(secure: Source) -> None:
    before = secure.connections
    authority = Authority.granted(sources=[secure.url("/")], allow_local=True)
    with Guard.of(authority, tls=secure.trust) as guard:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            with guard.request("GET", secure.url(f"/photo/{name}?size={SIZE}")) as answer:
                assert answer.read(10**7) == photo(name, SIZE)
    assert secure.connections == before + 1
