"""A proxy before an S3 server that breaks what it is told to break, so that the client's patience is seen.

with faults_proxy(server) as proxy:
    proxy.break_when("UploadPart", every(5, Status(500)))
    proxy.break_when("CompleteMultipartUpload", first(1, LostAnswer()))
    ...                                   use proxy.server in place of server
    proxy.seen                            every request: operation, bytes, status
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.servers import S3Server


@dataclass(frozen=True)
class Status:
    """An answer of the proxy's own; the server never sees the request."""

    status: int
    code: str = "InternalError"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code>'
            f"<Message>as arranged</Message></Error>"
        ).encode()


@dataclass(frozen=True)
class Reset:
    """The connection breaks; the server never sees the request."""


@dataclass(frozen=True)
class LostAnswer:
    """The server does it, and the connection breaks before its answer."""


@dataclass(frozen=True)
class DoneButError:
    """The server does it, and the answer says `status`."""

    status: Status


@dataclass(frozen=True)
class Cut:
    """The server's answer breaks off after so many bytes of its body."""

    after_bytes: int


@dataclass(frozen=True)
class Altered:
    """The server's answer, with these headers in place of its own (names in lower case)."""

    headers: dict[str, str]


Fault = Status | Reset | LostAnswer | DoneButError | Cut | Altered
Rule = Callable[[int], Fault | None]  # of the how manieth request of its kind, from 1


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    operation: str
    path: str
    body_bytes: int
    status: int  # 0: broken off


class FaultsProxy:
    """What stands between client and server; `server` is how the client reaches it."""

    def __init__(self, server: S3Server) -> None:
        self.behind = server
        self.seen: list[Seen] = []
        self.most_at_once: Counter[str] = Counter()
        self.before: Callable[[str, int], None] = lambda operation, number: None
        self._rules: dict[str, Rule] = {}
        self._counts: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.server = replace(server, endpoint_url=f"http://127.0.0.1:{self._http.server_port}")

    def break_when(self, operation: str, rule: Rule) -> None:
        """From now on `rule` decides about this operation, counted anew."""
        self._counts[operation] = 0
        self._rules[operation] = rule

    def count(self, operation: str) -> int:
        return sum(1 for each in self.seen if each.operation == operation)

    def serve(self) -> None:
        self._http.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fault(self, operation: str) -> Fault | None:
        with self._lock:
            self._counts[operation] += 1
            number = self._counts[operation]
        self.before(operation, number)
        rule = self._rules.get(operation)
        return rule(number) if rule else None

    @contextmanager
    def under_way(self, operation: str) -> Iterator[None]:
        with self._lock:
            self._now[operation] += 1
            self.most_at_once[operation] = max(self.most_at_once[operation], self._now[operation])
        try:
            yield
        finally:
            with self._lock:
                self._now[operation] -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def handle_any(self) -> None:
                operation = operation_of(self.command, self.path)
                with proxy.under_way(operation):
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    self.seen = Seen(operation, self.path, len(body), 0)
                    self._answer(proxy.fault(operation), body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def _answer(self, fault: Fault | None, body: bytes) -> None:
                if isinstance(fault, Status):
                    self._send(fault.status, list(fault.headers.items()), fault.body)
                elif isinstance(fault, Reset):
                    self._break()
                else:
                    self._pass_on(fault, *self._forward(body))

            def _pass_on(
                self, fault: Fault | None, status: int, headers: list[tuple[str, str]], answer: bytes
            ) -> None:
                if isinstance(fault, LostAnswer):
                    self._break()
                elif isinstance(fault, DoneButError):
                    self._send(fault.status.status, [], fault.status.body)
                elif isinstance(fault, Altered):
                    others = [pair for pair in headers if pair[0].lower() not in fault.headers]
                    self._send(status, [*others, *fault.headers.items()], answer)
                elif isinstance(fault, Cut):
                    self._send(status, headers, answer[: fault.after_bytes], len(answer))
                    self._hang_up()
                else:
                    self._send(status, headers, answer)

            def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
                address = urlsplit(proxy.behind.endpoint_url)
                connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
                try:
                    connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():  # Host too: the signature covers it
                        if name.lower() not in ("expect", "connection"):
                            connection.putheader(name, value)
                    connection.endheaders(body or None)
                    answer = connection.getresponse()
                    skipped = ("transfer-encoding", "connection", "server", "date")
                    headers = [
                        (name, value) for name, value in answer.getheaders() if name.lower() not in skipped
                    ]
                    return answer.status, headers, answer.read()
                finally:
                    connection.close()

            def _send(
                self,
                status: int,
                headers: list[tuple[str, str]],
                body: bytes,
                length: int | None = None,
            ) -> None:
                proxy.seen.append(replace(self.seen, status=status))  # before the client can go on
                self.send_response(status)
                head = self.command == "HEAD"
                for name, value in headers:
                    if name.lower() != "content-length" or head:
                        self.send_header(name, value)
                if not head:
                    self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                if not head:
                    self.wfile.write(body)

            def _break(self) -> None:
                proxy.seen.append(self.seen)
                self._hang_up()

            def _hang_up(self) -> None:
                self.wfile.flush()
                with suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.shutdown(socket.SHUT_RD)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the requests are in `seen`."""

        return Handler


@contextmanager
def faults_proxy(server: S3Server) -> Iterator[FaultsProxy]:
    """A proxy on a port of its own, gone afterwards."""
    proxy = FaultsProxy(server)
    thread = threading.Thread(target=proxy.serve, name="faults-proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()


def every(period: int, fault: Fault) -> Rule:
    """Each request whose number divides by `period`."""
    return lambda number: None if number % period else fault


def first(count: int, fault: Fault) -> Rule:
    """The first `count` requests."""
    return lambda number: fault if number <= count else None


def always(fault: Fault) -> Rule:
    return lambda _: fault


def operation_of(method: str, path: str) -> str:
    """S3's name for a request."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "partNumber" in query:
        return "UploadPart"
    if "uploadId" in query:
        names = {"POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}
        return names.get(method, method)
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if "list-type" in query:
        return "ListObjectsV2"
    names = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return names.get(method, method)
