"""HTTP/1.1 connections to checked addresses, with patience that ends: http.client reads bodies, because its
`readinto` moves bytes with the least work.

Every read from the network passes `_Watched`, headers and chunk sizes included, so a source that sends one
byte now and then cannot hold a worker, wherever in its answer it dawdles.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from batchlab.addresses import Address
from batchlab.framing import FramedResponse, request_head
from batchlab.locations import Location
from batchlab.tls import TlsSocket

IDLE_SECONDS = 20.0  # common servers keep an idle connection for 60 s or more, load balancers for less
IDLE_CONNECTIONS = 64  # kept in all; more than any job has workers
_WITH_BODY = ("POST", "PUT", "PATCH")  # their length is told even where there is none


@dataclass(frozen=True)
class Patience:
    """How long a source may take."""

    connect_seconds: float = 10.0  # TCP and TLS together, for one address
    total_seconds: float = 3600.0  # one request, its redirects and its body; 4 GiB at 1.2 MB/s
    stall_seconds: float = 30.0  # the time over which the minimum rate is looked at
    bytes_per_second: float = 1024.0  # fewer over stall_seconds of waiting is a timeout


class Watch:
    """The patience of one request. Time in which nobody reads does not count against the source's rate."""

    def __init__(self, patience: Patience, now: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self.received = 0  # bytes from the network, headers included
        self._now = now
        self._deadline = now() + patience.total_seconds
        self._waited = 0.0  # seconds in this window
        self._bytes = 0  # in this window
        self._began = 0.0

    def left(self) -> float:
        """Seconds until the deadline; raises TimeoutError when there are none."""
        self._began = self._now()
        if self._began >= self._deadline:
            raise TimeoutError(f"not finished after {self.patience.total_seconds:g} s")
        return self._deadline - self._began

    def before(self) -> float:
        """Seconds that the next read may wait; raises TimeoutError when patience is at its end."""
        return max(0.001, min(self.left(), self.patience.stall_seconds - self._waited))

    def after(self, size: int) -> None:
        """Counts what a read brought; raises TimeoutError when it was too little for too long."""
        self._waited += self._now() - self._began
        self._bytes += size
        self.received += size
        if self._waited >= self.patience.stall_seconds:
            if self._bytes < self.patience.bytes_per_second * self._waited:
                raise TimeoutError(self._slow())
            self._waited, self._bytes = 0.0, 0

    def _slow(self) -> str:
        return f"fewer than {self.patience.bytes_per_second:g} bytes a second over {self._waited:.3g} s"


class _Watched(io.RawIOBase):
    """A socket's bytes, read under a Watch."""

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        # The socket's own file keeps it open until it is read, even if http.client closes the connection.
        self._holder = sock.makefile("rb", buffering=0)
        self._sock, self._watch = sock, watch
        self._timeout = 0.0  # seconds, as the socket has it
        self.dry = False  # True: gives nothing, so that only what is buffered is seen

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        while not self.dry:
            timeout = self._watch.before()
            # A system call now and then only: a read may overrun its window by a tenth.
            if not 0.9 * self._timeout <= timeout <= self._timeout:
                self._sock.settimeout(timeout)
                self._timeout = timeout
            try:
                size = self._sock.recv_into(buffer)
            except TimeoutError:
                size = -1
            self._watch.after(max(0, size))
            if size >= 0:
                return size
        return None

    def more(self) -> int | None:
        """1 when the server has sent another byte, 0 when it hung up, None when it waits."""
        self._sock.settimeout(0)
        try:
            return self._sock.recv_into(bytearray(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return 0

    def close(self) -> None:
        self._holder.close()
        super().close()


class _Incoming(io.BufferedReader):
    """One answer's bytes. When it is closed it knows whether the server sent more than the answer."""

    surplus = False
    waiting = False  # the server waits for the next request

    def __init__(self, watched: _Watched) -> None:
        super().__init__(watched)
        self._watched = watched

    def close(self) -> None:
        if not self.closed:
            self._watched.dry = True
            more = 1 if self.peek(1) else self._watched.more()
            self.surplus, self.waiting = bool(more), more is None
        super().close()


class _Makefile:
    """What http.client asks of a socket when it reads an answer."""

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        self.incoming = _Incoming(_Watched(sock, watch))

    def makefile(self, mode: str) -> _Incoming:
        return self.incoming


class GuardedConnection:
    """A connection to `address`, which somebody has checked; the name stays in Host, SNI and certificate.

    Over TLS one that `mostly_reads` reads at less cost, and sends at more.
    """

    def __init__(
        self, place: Location, address: Address, tls: ssl.SSLContext | None, *, mostly_reads: bool = False
    ) -> None:
        self.place = place
        self.address = address
        self.tls = tls
        self.mostly_reads = mostly_reads
        self.fresh = True  # no request was made on it yet
        self.idle_since = 0.0
        self.sock: socket.socket | None = None  # None: not open
        self._incoming: _Incoming | None = None

    def open(self, watch: Watch) -> None:
        """Connects; raises OSError, TimeoutError among them."""
        seconds = min(watch.patience.connect_seconds, watch.left())
        family = socket.AF_INET6 if self.address.version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect((str(self.address), self.place.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                # Some builds of Python (Debian's 3.11.2) take any end of a connection for a good-bye.
                self.tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            if self.tls is not None and self.mostly_reads:
                sock = cast(socket.socket, TlsSocket(sock, self.tls, self.place.host))
            elif self.tls is not None:
                sock = self.tls.wrap_socket(
                    sock, server_hostname=self.place.host, suppress_ragged_eofs=False
                )  # an end without good-bye may be a cut
        except BaseException:
            sock.close()
            raise
        self.sock = sock

    def exchange(
        self,
        method: str,
        place: Location,
        headers: Mapping[str, str],
        body: bytes | memoryview | None,
        watch: Watch,
    ) -> FramedResponse:
        """Sends one request and reads the head of its answer; raises OSError and http.client.HTTPException.

        ValueError for a request that could be read as another. A body goes out from the memory it is in, without
        a copy; leave it alone until the answer is here.
        """
        assert self.sock is not None
        self.fresh = False
        self.sock.settimeout(min(watch.patience.stall_seconds, watch.left()))
        made = _Makefile(self.sock, watch)
        self._incoming = made.incoming
        self.sock.sendall(request_head(method, place.target, self._fields(method, place, headers, body)))
        if body:
            # Who refuses may answer and hang up before all is sent; the answer says more than the broken pipe.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._send_body(self.sock, memoryview(body), watch)
        response = FramedResponse(cast(socket.socket, made), method=method)
        try:
            response.begin()
        except BaseException:
            response.close()
            raise
        if response.will_close:
            self.close()
        return response

    def close(self) -> None:
        """Hangs up; an answer that is being read can still be read."""
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _fields(
        self, method: str, place: Location, headers: Mapping[str, str], body: bytes | memoryview | None
    ) -> dict[str, str]:
        fields = {"Host": place.origin.partition("://")[2]}
        if body is not None or method in _WITH_BODY:
            fields["Content-Length"] = str(len(body or b""))
        if not any(name.lower() == "accept-encoding" for name in headers):
            fields["Accept-Encoding"] = "identity"
        return {**fields, **headers}

    def _send_body(self, sock: socket.socket, body: memoryview, watch: Watch) -> None:
        sent = 0
        while sent < len(body):
            watch.left()
            # Not sendall, which over plain http allows all bytes together no more time than the first.
            sent += sock.send(body[sent:])

    @property
    def surplus(self) -> bool:
        """Whether the server was seen to send more than its answer; true only after that was read."""
        return self._incoming is not None and self._incoming.surplus

    def reusable(self) -> bool:
        """Whether the answer was read to its end and the server waits for the next request."""
        return self.sock is not None and self._incoming is not None and self._incoming.waiting

    def quiet(self) -> bool:
        """Whether the server has sent nothing since: a hang-up or a stray answer makes it unfit."""
        assert self.sock is not None
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            return not poll.poll(0)
        return not select.select([self.sock], [], [], 0)[0]


class Pool:
    """Idle connections by origin (scheme, host and port). Each leads to an address that was checked for it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._idle: dict[str, list[GuardedConnection]] = {}

    def take(self, place: Location) -> GuardedConnection | None:
        """An idle connection that seems alive, the one used last; unfit ones are closed."""
        while True:
            with self._lock:
                idle = self._idle.get(place.origin)
                if not idle:
                    return None
                connection = idle.pop()
            if self._now() - connection.idle_since < IDLE_SECONDS and connection.quiet():
                return connection
            connection.close()

    def give(self, connection: GuardedConnection) -> None:
        """Keeps a reusable connection, closing the one that idled longest when there are too many."""
        connection.idle_since = self._now()
        with self._lock:
            self._idle.setdefault(connection.place.origin, []).append(connection)
            every = [idle for same in self._idle.values() for idle in same]
            oldest = min(every, key=lambda idle: idle.idle_since) if len(every) > IDLE_CONNECTIONS else None
            if oldest is not None:
                self._idle[oldest.place.origin].remove(oldest)
            self._idle = {origin: same for origin, same in self._idle.items() if same}
        if oldest is not None:
            oldest.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for same in idle.values():
            for connection in same:
                with suppress(OSError):
                    connection.close()
