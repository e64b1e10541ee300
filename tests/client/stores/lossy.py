"""A proxy before an S3 server that loses answers: the server has done its work, and nobody hears of it."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Lossy:
    """`fault(method, path, applied)` is called for each request: a status to answer, "drop", or None."""

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Callable[[str, str], int | str | None]] = field(default_factory=list)  # used up one by one
    after: Callable[[], None] | None = None  # runs when an answer was dropped, before the next request

    def next_fault(self, method: str, path: str) -> int | str | None:
        self.requests.append((method, path))
        if self.faults:
            fault = self.faults[0](method, path)
            if fault is not None:
                self.faults.pop(0)
            return fault
        return None


@contextmanager
def lossy(server_url: str) -> Iterator[Lossy]:
    state = Lossy()
    target = urlsplit(server_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = state.next_fault(self.command, self.path)
            if isinstance(fault, int):
                self.answer(fault, {"Content-Type": "application/xml"}, b"<Error><Code>Fault</Code></Error>")
                return
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
            with contextlib.closing(connection):
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                received = response.read()
            if fault == "drop":
                if state.after is not None:
                    state.after()
                self.close_connection = True
                return
            skipped = ("transfer-encoding", "connection", "content-length")
            kept = {name: value for name, value in response.getheaders() if name.lower() not in skipped}
            if fault == "cut":
                self.answer(response.status, kept, received, sent=len(received) // 2)
                return
            self.answer(response.status, kept, received)

        def answer(self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:sent])
            if sent is not None:
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def on(method: str, fault: int | str) -> Callable[[str, str], int | str | None]:
    """`fault` for the next request with this method."""
    return lambda requested, _: fault if requested == method else None
