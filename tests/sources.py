"""A web server full of bad photos: every way a source can go wrong, chosen by the path of the URL.

    with hostile_source() as source:
        source.url("/photo/17.jpg?size=1000")     a good photo; its bytes are photo("17.jpg", 1000)
        source.count("/photo/17.jpg")             requests seen for this path, whatever the method

| path | what it does |
|---|---|
| /photo/NAME | good: ranges, strong ETag, Last-Modified, HEAD, If-Match; `type=text/plain` changes the type |
| /chunked/NAME | good, but chunked: no length, no ranges (`cut=1`: the last chunk never comes) |
| /no-length/NAME | good, HTTP/1.0 style: the end of the connection is the end of the body (`cut=1`: a rude one) |
| /no-ranges/NAME | good, but always 200 with the whole body |
| /weak/NAME | good, with a weak ETag; If-Match gets 412 |
| /bare/NAME | good, without ETag and Last-Modified |
| /get-only/NAME | presigned for GET: HEAD gets 403 |
| /hash/NAME | good, with Content-MD5 and x-goog-hash of the whole body (`wrong=1`: of other bytes) |
| /gzip/NAME | gzip although nobody asked (`cut=1`: truncated, `junk=1`: bytes after its end) |
| /short/NAME | Content-Length of all, half of the bytes, then the connection closes |
| /short-no-length/NAME | half of the bytes, no length at all (only a comparison with a probe can tell) |
| /cut/NAME | a reset in the middle of the body (over TLS: without close_notify); `times=n`: then good |
| /longer/NAME | 10 bytes more than Content-Length says |
| /wrong-range/NAME | 206 with another Content-Range than was asked for |
| /changed/NAME | other bytes and another ETag from request 1 + `after` (default 1) on |
| /changed-quietly/NAME | the same, but If-Match is ignored |
| /html/NAME | 200 with an HTML page, text/html |
| /html-as-jpeg/NAME | the same, labelled image/jpeg |
| /empty/NAME | 200, no bytes, also for ranges; /empty-416/NAME: 416 with `bytes */0` for ranges |
| /slow/NAME | one byte every `interval` seconds (0.05); /slow-headers/NAME: one header a time, for ever |
| /stuck/NAME | accepts the request and never answers |
| /status/CODE/NAME | this status, always; `retry_after=`, `body=` |
| /flaky/CODE/TIMES/NAME | this status TIMES times, then good; `retry_after=` |
| /expired/NAME | 403 with S3's words "Request has expired" |
| /redirect?to=URL&code=302 | a redirect to anywhere |
| /redirects/N | N redirects, then a good photo; /loop: a redirect to itself |
| /stale/NAME | good, keeps the connection, but closes it silently after the answer |
| /garbage/NAME | no HTTP at all |
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

MODIFIED = "Tue, 10 Jun 2025 14:30:00 GMT"
DEFAULT_BYTES = 4000


def photo(name: str, size: int = DEFAULT_BYTES, version: int = 0) -> bytes:
    """The bytes of the photo `name`: a JPEG's first bytes, then noise that depends on name and version."""
    seed = hashlib.sha256(f"{name}/{version}".encode()).digest()
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
    noise = hashlib.shake_128(seed).digest(max(0, size - len(head)))
    return (head + noise)[:size]


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    method: str
    path: str  # without the query
    target: str  # with it
    headers: dict[str, str]  # names in lower case


@dataclass
class Source:
    """The running server."""

    port: int
    scheme: str
    host: str = "127.0.0.1"
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    trust: ssl.SSLContext | None = None  # a client context that trusts this server
    authority_pem: bytes = b""  # the certificate authority, for SSL_CERT_FILE
    behaviours: dict[str, Callable[[_Handler], None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def url(self, path: str) -> str:
        return self.origin + path

    def count(self, path: str) -> int:
        """Requests for exactly this path (without query) so far."""
        with self._lock:
            return sum(seen.path == path for seen in self.requests)

    def add(self, name: str, behaviour: Callable[[_Handler], None]) -> None:
        """Answers /name/... with a behaviour of the test's own."""
        self.behaviours[name] = behaviour

    def counts(self) -> Counter[str]:
        with self._lock:
            return Counter(seen.path for seen in self.requests)

    def _note(self, seen: Seen) -> int:
        with self._lock:
            self.requests.append(seen)
            return sum(other.path == seen.path for other in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    server: _Server

    # What a behaviour reads.
    name: str  # last segment of the path
    rest: list[str]  # segments after the first
    turn: int  # how many requests this path has seen, this one included

    def setup(self) -> None:
        with self.server.source._lock:
            self.server.source.connections += 1
        super().setup()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        segments = [part for part in parts.path.split("/") if part]
        self.name = segments[-1] if segments else ""
        self.rest = segments[1:]
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.turn = self.server.source._note(Seen(self.command, parts.path, self.path, headers))
        length = int(self.headers.get("Content-Length") or 0)
        self.received = self.rfile.read(length) if length else b""
        behaviour = self.server.source.behaviours.get(segments[0] if segments else "")
        if behaviour is None:
            self.answer(404, b"no such photo", "text/plain")
        else:
            behaviour(self)

    do_HEAD = do_GET
    do_POST = do_GET
    do_PUT = do_GET

    # Ways to answer.
    def size(self) -> int:
        return int(self.query.get("size", DEFAULT_BYTES))

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status, HTTPStatus(status).phrase if status in set(HTTPStatus) else "Odd")
        for name, value in headers.items():
            self.send_header(name, value.encode().decode("latin-1"))  # any text, as UTF-8
        self.end_headers()

    def send(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer(self, status: int, body: bytes, content_type: str, **headers: str) -> None:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.head(status, {"Content-Type": content_type, "Content-Length": str(len(body))} | named)
        self.send(body)

    def whole(self, body: bytes, **headers: str) -> None:
        self.answer(200, body, self.query.get("type", "image/jpeg"), **headers)

    def ranged(self, body: bytes, headers: dict[str, str], *, shift: int = 0) -> None:
        """200 or, when a range is asked for, 206 or 416. `shift` lies about where the bytes are."""
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes="):
            self.head(200, {"Content-Length": str(len(body)), "Accept-Ranges": "bytes"} | headers)
            self.send(body)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(int(last) if first and last else len(body) - 1, len(body) - 1)
        if start >= len(body):
            self.answer(416, b"", "text/plain", Content_Range=f"bytes */{len(body)}")
            return
        piece = body[start : end + 1]
        told = {"Content-Range": f"bytes {start + shift}-{end + shift}/{len(body)}"}
        self.head(206, {"Content-Length": str(len(piece))} | told | headers)
        self.send(piece)

    def good(self, body: bytes | None = None, etag: str | None = None, *, heed: bool = True) -> None:
        body = photo(self.name, self.size()) if body is None else body
        etag = etag or f'"{hashlib.md5(body).hexdigest()}"'
        wanted = self.headers.get("If-Match")
        if heed and wanted is not None and wanted != etag:
            self.answer(412, b"", "text/plain")
            return
        content_type = self.query.get("type", "image/jpeg")
        self.ranged(body, {"ETag": etag, "Last-Modified": MODIFIED, "Content-Type": content_type})

    def hang_up(self) -> None:
        """Ends the connection now, rudely: a reset, and no TLS good-bye."""
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            raw = self.connection
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            time.sleep(0.05)  # lets the bytes sent so far arrive before the reset discards them
            if isinstance(raw, ssl.SSLSocket):
                socket.socket(fileno=raw.detach()).close()
            else:
                raw.close()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        return


# The behaviours, by the first segment of the path.
def _chunked(to: _Handler) -> None:
    body = photo(to.name, to.size())
    to.head(200, {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"})
    for at in range(0, len(body), 1000):
        piece = body[at : at + 1000]
        to.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        if "cut" in to.query and at >= len(body) // 2:
            to.close_connection = True
            return
    to.send(b"0\r\n\r\n")


def _no_length(to: _Handler, share: float = 1.0) -> None:
    body = photo(to.name, to.size())
    to.head(200, {"Content-Type": "image/jpeg", "Connection": "close"})
    to.send(body[: int(len(body) * share)])
    to.close_connection = True
    if "cut" in to.query:
        to.hang_up()


def _bare(to: _Handler) -> None:
    to.ranged(photo(to.name, to.size()), {"Content-Type": "image/jpeg"})


def _get_only(to: _Handler) -> None:
    if to.command == "HEAD":
        to.answer(403, b"", "application/xml")
    else:
        to.good()


def _hash(to: _Handler) -> None:
    body = photo(to.name, to.size())
    digest = base64.b64encode(hashlib.md5(b"other" if "wrong" in to.query else body).digest()).decode()
    headers = {"Content-Type": "image/jpeg", "x-goog-hash": f"crc32c=AAAAAA==,md5={digest}"}
    if not to.headers.get("Range"):
        headers["Content-MD5"] = digest
    to.ranged(body, headers)


def _gzip(to: _Handler) -> None:
    body = gzip.compress(photo(to.name, to.size()), mtime=0)
    body = body[: len(body) // 2] if "cut" in to.query else body
    body = body + b"\x00junk" if "junk" in to.query else body
    to.whole(body, Content_Encoding="gzip")


def _short(to: _Handler) -> None:
    body = photo(to.name, to.size())
    to.head(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
    to.send(body[: len(body) // 2])
    to.close_connection = True


def _cut(to: _Handler) -> None:
    if to.turn > int(to.query.get("times", 10**9)):
        to.good()
        return
    body = photo(to.name, to.size())
    to.head(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
    to.send(body[: len(body) // 2])
    to.hang_up()


def _longer(to: _Handler) -> None:
    body = photo(to.name, to.size())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    to.wfile.write(head.encode() + body + b"0123456789")


def _wrong_range(to: _Handler) -> None:
    to.ranged(photo(to.name, to.size()), {"ETag": '"v"', "Content-Type": "image/jpeg"}, shift=1)


def _changed(to: _Handler, *, heed: bool = True) -> None:
    version = int(to.turn > int(to.query.get("after", 1)))
    to.good(photo(to.name, to.size(), version), etag=f'"version-{version}"', heed=heed)


def _html(to: _Handler, content_type: str = "text/html; charset=utf-8") -> None:
    page = b"\n<!DOCTYPE html><html><body>Please sign in to see this photo.</body></html>"
    to.answer(200, page, content_type)


def _empty_416(to: _Handler) -> None:
    to.ranged(b"", {"Content-Type": "image/jpeg"})


def _slow(to: _Handler) -> None:
    body = photo(to.name, to.size())
    to.head(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
    for at in range(len(body)):
        to.send(body[at : at + 1])
        if to.server.stopping.wait(float(to.query.get("interval", 0.05))):
            break


def _slow_headers(to: _Handler) -> None:
    to.wfile.write(b"HTTP/1.1 200 OK\r\n")
    count = 0
    while not to.server.stopping.wait(float(to.query.get("interval", 0.05))):
        to.wfile.write(b"X-%d: 1\r\n" % (count := count + 1))


def _stuck(to: _Handler) -> None:
    to.server.stopping.wait(60)
    to.close_connection = True


def _status(to: _Handler) -> None:
    headers = {"Retry_After": to.query["retry_after"]} if "retry_after" in to.query else {}
    to.answer(int(to.rest[0]), to.query.get("body", "no").encode(), "text/plain", **headers)


def _flaky(to: _Handler) -> None:
    if to.turn > int(to.rest[1]):
        to.good()
    else:
        _status(to)


def _expired(to: _Handler) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    to.answer(403, body, "application/xml")


def _redirect(to: _Handler) -> None:
    to.answer(int(to.query.get("code", 302)), b"", "text/plain", Location=to.query["to"])


def _redirects(to: _Handler) -> None:
    left = int(to.rest[0])
    to.answer(302, b"", "text/plain", Location=f"/redirects/{left - 1}" if left > 1 else "/photo/end.jpg")


def _loop(to: _Handler) -> None:
    to.answer(302, b"", "text/plain", Location=to.path)


def _stale(to: _Handler) -> None:
    to.good()
    to.close_connection = True  # without saying so: no Connection header was sent


def _garbage(to: _Handler) -> None:
    to.wfile.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
    to.close_connection = True


_BEHAVIOURS: dict[str, Callable[[_Handler], None]] = {
    "photo": _Handler.good,
    "chunked": _chunked,
    "no-length": _no_length,
    "no-ranges": lambda to: to.whole(photo(to.name, to.size()), ETag='"whole"'),
    "weak": lambda to: to.good(etag='W/"weak"'),
    "bare": _bare,
    "get-only": _get_only,
    "hash": _hash,
    "gzip": _gzip,
    "short": _short,
    "short-no-length": lambda to: _no_length(to, share=0.5),
    "cut": _cut,
    "longer": _longer,
    "wrong-range": _wrong_range,
    "changed": _changed,
    "changed-quietly": lambda to: _changed(to, heed=False),
    "html": _html,
    "html-as-jpeg": lambda to: _html(to, "image/jpeg"),
    "empty": lambda to: to.whole(b""),
    "empty-416": _empty_416,
    "slow": _slow,
    "slow-headers": _slow_headers,
    "stuck": _stuck,
    "status": _status,
    "flaky": _flaky,
    "expired": _expired,
    "redirect": _redirect,
    "redirects": _redirects,
    "loop": _loop,
    "stale": _stale,
    "garbage": _garbage,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    source: Source
    stopping: threading.Event
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake happens in the connection's own thread, so a client that hangs stops nobody else.
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)
            if encrypted.fileno() >= 0:  # not hung up on: say good-bye, but wait for none
                with suppress(OSError):
                    encrypted.settimeout(0.2)
                    encrypted.unwrap()

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # clients that go away are the point of these tests


def redirect_path(to: str, code: int = 302) -> str:
    """The path that redirects to `to`."""
    return f"/redirect?to={quote(to, safe='')}&code={code}"


@contextmanager
def hostile_source(*, tls: bool = False, host: str = "127.0.0.1") -> Iterator[Source]:
    """Serves on a free port of loopback until the block ends. With `tls`, `source.trust` trusts it."""
    server = _Server((host, 0), _Handler)
    source = Source(port=server.server_address[1], scheme="https" if tls else "http", host=host)
    source.behaviours = dict(_BEHAVIOURS)
    server.source, server.stopping = source, threading.Event()
    if tls:
        import trustme

        authority = trustme.CA()
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "::1", "localhost", "photos.example").configure_cert(server.tls)
        source.trust = ssl.create_default_context()
        authority.configure_trust(source.trust)
        source.authority_pem = authority.cert_pem.bytes()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
