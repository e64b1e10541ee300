"""A receiver of webhooks on loopback that answers as a test wants, and remembers what came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from batchlab.settings import Settings
from tests.client.notify.ended_jobs import SECRET


@dataclass(frozen=True)
class Came:
    """One request."""

    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass
class Receiver:
    """The running server. `answers` are given one after the other, the last one for ever."""

    port: int
    answers: list[Callable[[Handler], None]]
    came: list[Came] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)  # for answers that wait

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?tenant=7"

    def settings(self, **fields: object) -> Settings:
        """Settings under which it may be told."""
        hosts = (f"127.0.0.1:{self.port}",)
        known = {"webhook_hosts": hosts, "webhook_secret": SECRET, "allow_local": True, **fields}
        return Settings(**known)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    timeout = 30
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        turn = len(self.receiver.came)
        self.receiver.came.append(Came({name.lower(): value for name, value in self.headers.items()}, body))
        self.receiver.arrived.release()
        answers = self.receiver.answers
        with suppress(OSError):  # the sender may have hung up
            answers[min(turn, len(answers) - 1)](self)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def status(code: int, headers: dict[str, str] | None = None) -> Callable[[Handler], None]:
    """Answers with this status and no body."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def dribbling_headers(handler: Handler) -> None:
    """A header now and then, until the test is over: never an answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.receiver.released.wait(0.02):
        handler.wfile.write(b"X-Slow: 1\r\n")
        handler.wfile.flush()


def dribbling_body(handler: Handler) -> None:
    """200 at once, and then a body that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while not handler.receiver.released.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def waits(handler: Handler) -> None:
    """No answer until the test says so."""
    handler.receiver.released.wait()
    status(204)(handler)


@contextmanager
def receiving(*answers: Callable[[Handler], None]) -> Iterator[Receiver]:
    """A receiver on a free port; 204 unless told otherwise."""

    class Bound(Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1], list(answers) or [status(204)])
    Bound.receiver = receiver
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
