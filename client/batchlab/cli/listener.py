"""A receiver of webhooks on this machine, for whoever develops one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from batchlab.errors import BatchlabError, UsageError
from batchlab.streams import say
from batchlab.webhooks import Event, unwrap
from batchlab.words import counted, printable

_LARGEST_BYTES = 1024 * 1024  # of a body; ours have about 600
_SECONDS = 20.0  # for one request


class Listener:
    """A context; inside it requests to 127.0.0.1 are answered: 204 for genuine ones, 401 for others."""

    def __init__(self, port: int, secret: str) -> None:
        """Raises UsageError when the port is taken."""
        self._received: queue.Queue[Event] = queue.Queue()
        received = self._received

        class Handler(_Handler):
            def opened(self, body: bytes) -> Event:
                return unwrap(body, dict(self.headers.items()), secret)

            def hand_on(self, event: Event) -> None:
                received.put(event)

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise UsageError(f"--port {port}: {error.strerror}. Choose another, or 0 for any.") from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhooks", daemon=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/"

    def events(self) -> Iterator[tuple[Event, bool]]:
        """Genuine events as they come, for ever, and whether their id came before."""
        seen: set[str] = set()
        while True:
            event = self._received.get()
            yield event, event.id in seen
            seen.add(event.id)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS

    def opened(self, body: bytes) -> Event:
        raise NotImplementedError

    def hand_on(self, event: Event) -> None:
        raise NotImplementedError

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST_BYTES:
            self._answer(413 if length.isdigit() else 411, "A webhook has a Content-Length of at most 1 MiB.")
            return
        try:
            event = self.opened(self.rfile.read(int(length)))
        except BatchlabError as error:
            say(f"batchlab: refused: {error.message}")
            self._answer(401, error.message)
            return
        try:
            self._answer(204)
        finally:  # not sooner: with the last of --count the process ends
            self.hand_on(event)

    def _answer(self, status: int, text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the name of the base class
        """Says nothing: what matters is said where it is known."""


def event_line(event: Event, *, again: bool = False) -> str:
    """An event in one line."""
    data = event.data
    missing = data.counts.total - data.counts.done
    parts = [
        f"{event.timestamp:%Y-%m-%d %H:%M:%S} {event.type} {data.id}",
        f"{counted(data.counts.done, data.type)}{f', {missing:,} missing' if missing else ''}",
    ]
    parts += [printable(data.title)] if data.title else []
    parts += [data.page] if data.page else []
    parts += ["(again)"] if again else []
    return "  ".join(parts)
