"""No URL reaches inside the network: not by its spelling, its name, a redirect or a second answer."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from batchlab.authority import Authority
from batchlab.connections import GuardedConnection, Patience
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from batchlab.locations import locate
from tests.hostile_urls import HOSTS
from tests.sources import Source, hostile_source, photo, redirect_path

QUICK = Patience(connect_seconds=2, total_seconds=5, stall_seconds=0.3)


def anything(url: str) -> str:
    """An authority that has nothing against any host: what is left is the guard's own."""
    return locate(url).url


@pytest.fixture
def canary() -> Iterator[Source]:
    """A server on loopback that must not be reached."""
    with hostile_source() as source:
        yield source


@pytest.fixture
def source() -> Iterator[Source]:
    with hostile_source() as running:
        yield running


@pytest.fixture
def secure() -> Iterator[Source]:
    with hostile_source(tls=True) as running:
        yield running


def local(source: Source, **options: Any) -> Guard:
    authority = Authority.granted(sources=[source.url("/")], allow_local=True)
    return Guard.of(authority, **{"patience": QUICK, "tls": source.trust, **options})


def fetch(guard: Guard, url: str, **options: Any) -> bytes:
    with guard, guard.request("GET", url, **options) as answer:
        assert answer.status == 200
        return answer.read(10**6)


def refused(guard: Guard, url: str, **options: Any) -> ItemError:
    with guard, pytest.raises(ItemError) as raised:
        guard.request("GET", url, **options).close()
    return raised.value


# -- spellings of this machine and of the network around it --------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HOSTS, ids=ascii)
def test_no_spelling_of_a_host_reaches_inside(canary: Source, scheme: str, host: str) -> None:
    for url in (f"{scheme}://{host}:{canary.port}/photo/a.jpg", f"{scheme}://{host}/photo/a.jpg"):
        assert refused(Guard(anything, patience=QUICK), url).kind is Kind.BLOCKED_URL
    assert canary.connections == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_reaches_inside(source: Source, canary: Source, code: int) -> None:
    authority = Authority(http_hosts=(f"127.0.0.1:{source.port}", "*"), allow_local=True)
    for host in (f"127.0.0.1:{canary.port}", f"localhost:{canary.port}", f"[::1]:{canary.port}", *HOSTS):
        error = refused(
            Guard.of(authority, patience=QUICK), source.url(redirect_path(f"http://{host}/photo/a.jpg", code))
        )
        assert error.kind is Kind.BLOCKED_URL
    for target in (
        "file:///etc/passwd",
        "s3://bucket/key",
        "gopher://127.0.0.1/",
        "javascript:1",
        f"//127.0.0.1:{canary.port}/",
    ):
        assert (
            refused(Guard.of(authority, patience=QUICK), source.url(redirect_path(target, code))).kind
            is Kind.BLOCKED_URL
        )
    assert canary.connections == 0


def test_a_redirect_to_a_host_that_is_not_listed_is_not_even_looked_up(source: Source) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"]

    error = refused(
        local(source, resolve=resolver), source.url(redirect_path("https://elsewhere.example/a.jpg"))
    )
    assert error.kind is Kind.BLOCKED_URL and "Add elsewhere.example to BATCHLAB_HTTP_HOSTS" in error.message
    assert asked == []


@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.1"], ["127.0.0.1"], ["169.254.169.254"], ["::1"], ["fd00:ec2::254"], ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "2606:4700::1111", "::ffff:10.0.0.1"], ["nonsense"],
    ],
    ids=str,
)  # fmt: skip
def test_every_answer_of_the_resolver_must_be_public(canary: Source, answers: list[str]) -> None:
    guard = Guard(anything, resolve=lambda host, port: answers, patience=QUICK)
    assert refused(guard, f"https://gallery.example:{canary.port}/").kind is Kind.BLOCKED_URL
    assert canary.connections == 0


@pytest.mark.parametrize(
    "answer", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "fd00:ec2::254", "fe80::1", "0.0.0.0", "::"]
)
def test_allow_local_lets_this_machine_through_and_no_other(answer: str) -> None:
    authority = Authority(http_hosts=("gallery.example",), allow_local=True)
    guard = Guard.of(authority, resolve=lambda host, port: [answer], patience=QUICK)
    assert refused(guard, "https://gallery.example/").kind is Kind.BLOCKED_URL


def test_loopback_is_refused_with_the_setting_that_lets_it_through(canary: Source) -> None:
    guard = Guard.of(Authority(http_hosts=("127.0.0.1:*",)), patience=QUICK)
    assert "--allow-local" in refused(guard, f"https://127.0.0.1:{canary.port}/").message
    assert canary.connections == 0


# -- a name that leads elsewhere the second time -------------------------------------------------------------


class Rebinding(BaseResolver):  # type: ignore[misc]
    """Answers with the next of its addresses, the last for ever."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        answer = self.addresses[min(self.asked, len(self.addresses) - 1)]
        self.asked += 1
        reply = request.reply()
        reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(answer), ttl=0))
        return reply


@pytest.fixture
def rebinding() -> Iterator[tuple[Rebinding, Callable[[str, int], list[str]]]]:
    names = Rebinding("93.184.215.14", "127.0.0.1")
    server = DNSServer(
        names, address="127.0.0.1", port=0, logger=DNSLogger("-request,-reply,-truncated,-error")
    )
    port = server.server.server_address[1]
    server.start_thread()

    def ask(host: str, _: int) -> list[str]:
        reply = DNSRecord.parse(DNSRecord.question(host).send("127.0.0.1", port, timeout=5))
        return [str(answer.rdata) for answer in reply.rr]

    yield names, ask
    server.stop()
    server.server.server_close()


def test_a_rebinding_name_is_resolved_once_and_connected_to_what_was_checked(
    canary: Source,
    rebinding: tuple[Rebinding, Callable[[str, int], list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, ask = rebinding
    tried: list[tuple[str, str]] = []

    def no_way_out(self: GuardedConnection, watch: object) -> None:
        tried.append((str(self.address), self.place.host))
        raise ConnectionRefusedError("no way out of this test")

    monkeypatch.setattr(GuardedConnection, "open", no_way_out)
    url = f"https://rebinding.example:{canary.port}/photo/a.jpg"
    assert refused(Guard(anything, resolve=ask), url).kind is Kind.NETWORK
    assert (tried, names.asked) == ([("93.184.215.14", "rebinding.example")], 1)
    assert refused(Guard(anything, resolve=ask), url).kind is Kind.BLOCKED_URL
    assert len(tried) == 1 and canary.connections == 0


def test_the_name_is_resolved_again_at_each_redirect(source: Source) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if host == "first.example" else ["10.0.0.1"]

    authority = Authority(http_hosts=("first.example:*", "second.example:*"), allow_local=True)
    guard = Guard.of(authority, resolve=resolver, patience=QUICK)
    there = redirect_path(f"http://second.example:{source.port}/photo/a.jpg")
    assert refused(guard, f"http://first.example:{source.port}{there}").kind is Kind.BLOCKED_URL
    assert asked == ["first.example", "second.example"]


def test_a_name_that_does_not_exist_is_a_network_failure() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert refused(Guard(anything, resolve=unknown), "https://no.example/").kind is Kind.NETWORK
    assert refused(Guard(anything, resolve=lambda host, port: []), "https://no.example/").kind is Kind.NETWORK


def test_the_next_address_is_tried_when_one_does_not_answer(source: Source) -> None:
    authority = Authority(http_hosts=("two.example:*",), allow_local=True)
    guard = Guard.of(authority, resolve=lambda host, port: ["127.0.0.3", "127.0.0.1"], patience=QUICK)
    assert fetch(guard, f"http://two.example:{source.port}/photo/a.jpg") == photo("a.jpg")


# -- TLS and the environment ---------------------------------------------------------------------------------


def named(source: Source, name: str, **options: Any) -> tuple[Guard, str]:
    authority = Authority(http_hosts=(f"{name}:*",), allow_local=True)
    guard = Guard.of(authority, **{"resolve": lambda host, port: ["127.0.0.1"], "patience": QUICK, **options})
    return guard, f"https://{name}:{source.port}/photo/a.jpg"


def test_host_header_and_certificate_keep_the_name_though_the_address_is_pinned(secure: Source) -> None:
    guard, url = named(secure, "photos.example", tls=secure.trust)
    assert fetch(guard, url) == photo("a.jpg")
    assert secure.requests[0].headers["host"] == f"photos.example:{secure.port}"


def test_a_certificate_of_another_name_is_refused(secure: Source) -> None:
    guard, url = named(secure, "other.example", tls=secure.trust)
    error = refused(guard, url)
    assert error.kind is Kind.NETWORK and "certificate" in error.message and secure.requests == []


def test_an_unknown_certificate_authority_is_refused(secure: Source) -> None:
    guard, url = named(secure, "photos.example", tls=ssl.create_default_context())
    assert "certificate" in refused(guard, url).message and secure.requests == []


def test_ssl_cert_file_is_honoured(secure: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "authority.pem").write_bytes(secure.authority_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    guard, url = named(secure, "photos.example")
    assert fetch(guard, url) == photo("a.jpg")


def test_https_does_not_redirect_to_plain_http(secure: Source, canary: Source) -> None:
    authority = Authority.granted(sources=[secure.url("/"), canary.url("/")], allow_local=True)
    guard = Guard.of(authority, tls=secure.trust, patience=QUICK)
    error = refused(guard, secure.url(redirect_path(canary.url("/photo/a.jpg"))))
    assert error.kind is Kind.BLOCKED_URL and "plain http" in error.message and canary.connections == 0


def test_proxies_of_the_environment_are_not_used(
    source: Source, canary: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, canary.origin)
        monkeypatch.setenv(name.upper(), canary.origin)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch(local(source), source.url("/photo/a.jpg")) == photo("a.jpg")
    assert canary.connections == 0


# -- patience and limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/slow/a?interval=0.05", "/slow-headers/a?interval=0.1", "/stuck/a"])
def test_a_source_that_dawdles_is_a_timeout_wherever_it_does(source: Source, path: str) -> None:
    patience = Patience(total_seconds=60, stall_seconds=0.3)
    with pytest.raises(ItemError, match="fewer than 1024 bytes a second") as raised:
        fetch(local(source, patience=patience), source.url(path))
    assert raised.value.kind is Kind.TIMEOUT


def test_a_request_ends_at_its_deadline_however_lively_the_source(source: Source) -> None:
    patience = Patience(total_seconds=0.5, stall_seconds=30, bytes_per_second=1)
    with pytest.raises(ItemError, match=r"not finished after 0\.5 s") as raised:
        fetch(local(source, patience=patience), source.url("/slow/a.jpg?size=4000&interval=0.01"))
    assert raised.value.kind is Kind.TIMEOUT


def test_a_reader_that_is_slow_itself_does_not_blame_the_source(source: Source) -> None:
    with local(source) as guard, guard.request("GET", source.url("/photo/a.jpg?size=3000000")) as answer:
        first = answer.read(1000)
        time.sleep(0.7)
        assert first + answer.read(10**7) == photo("a.jpg", 3_000_000)


def test_a_body_over_the_limit_is_too_large(source: Source) -> None:
    for path in ("/photo/a.jpg?size=5000", "/chunked/a.jpg?size=5000"):
        with pytest.raises(ItemError, match="larger than 4,999 bytes") as raised:
            fetch(local(source), source.url(path), limit_bytes=4999)
        assert raised.value.kind is Kind.TOO_LARGE
        assert len(fetch(local(source), source.url(path), limit_bytes=5000)) == 5000


def test_a_refused_connection_is_a_network_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    authority = Authority.granted(sources=[f"http://127.0.0.1:{port}/"], allow_local=True)
    assert refused(Guard.of(authority, patience=QUICK), f"http://127.0.0.1:{port}/").kind is Kind.NETWORK


# -- connections ---------------------------------------------------------------------------------------------


def test_many_threads_share_a_guard(source: Source) -> None:
    wrong: list[object] = []
    with local(source) as guard:

        def work(worker: int) -> None:
            for number in range(20):
                name = f"{worker}-{number}.jpg"
                try:
                    with guard.request("GET", source.url(f"/photo/{name}?size=20000")) as answer:
                        if answer.read(10**6) != photo(name, 20_000):
                            wrong.append(name)
                except ItemError as error:
                    wrong.append(error)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == [] and source.connections <= 8


def test_an_answer_left_early_gives_no_connection_back(source: Source) -> None:
    with local(source) as guard:
        with guard.request("GET", source.url("/photo/a.jpg?size=3000000")) as answer:
            answer.read(10)
        with guard.request("GET", source.url("/photo/b.jpg")) as answer:
            assert answer.read(10**6) == photo("b.jpg")
    assert source.connections == 2


def test_an_answer_that_nobody_asked_for_is_taken_by_nobody(source: Source) -> None:
    def twice(to: Any) -> None:
        to.good()
        time.sleep(0.1)
        to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    source.add("twice", twice)
    with local(source) as guard:
        with guard.request("GET", source.url("/twice/a.jpg")) as answer:
            assert answer.read(10**6) == photo("a.jpg")
        time.sleep(0.3)
        with guard.request("GET", source.url("/photo/b.jpg")) as answer:
            assert answer.read(10**6) == photo("b.jpg")


def test_a_post_is_not_sent_twice_over_a_connection_that_died(source: Source) -> None:
    def dies(to: Any) -> None:
        to.hang_up()

    source.add("dies", dies)
    with local(source) as guard:
        with guard.request("GET", source.url("/photo/a.jpg")) as answer:
            answer.read(10**6)
        with pytest.raises(ItemError) as raised:
            guard.request("POST", source.url("/dies/a"), body=b"{}")
        assert raised.value.kind is Kind.NETWORK
        assert source.count("/dies/a") == 1
        with pytest.raises(ItemError):
            guard.request("GET", source.url("/dies/b"))
        assert source.count("/dies/b") == 1  # it was a fresh connection: once is enough
