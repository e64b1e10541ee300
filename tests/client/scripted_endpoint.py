"""An endpoint on a real socket that answers what a test scripted, and is strict about what it is sent."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str  # path and query, as on the wire
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True, strict_parsing=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body.decode("utf-8"))


@dataclass(frozen=True)
class Says:
    """One answer."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


HANG_UP = Says(status=0)  # the connection breaks in place of an answer
Script = Says | Callable[[Asked], Says]


@dataclass
class Endpoint:
    """Answers with `script`, one after the other; its last line again and again."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    script: deque[Script] = field(default_factory=deque)

    def answers(self, *script: Script) -> None:
        self.script = deque(script)

    def next_line(self, asked: Asked) -> Says:
        line = self.script.popleft() if len(self.script) > 1 else self.script[0]
        return line if isinstance(line, Says) else line(asked)


@contextlib.contextmanager
def scripted_endpoint() -> Iterator[Endpoint]:
    """An endpoint on 127.0.0.1; its threads end with it."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = self.headers.get("Content-Length")
            assert self.command != "POST" or length is not None, "a POST needs a length"
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(int(length or 0)))
            if asked.body:
                assert headers["content-type"] == "application/json"
                asked.body.decode("utf-8")
            with lock:
                endpoint.asked.append(asked)
                says = endpoint.next_line(asked)
            if says is HANG_UP:
                self.close_connection = True
                self.connection.close()
                return
            body = b"" if says.body is None else json.dumps(says.body, ensure_ascii=False).encode()
            self.send_response(says.status)
            for name, value in says.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def signature_fits(asked: Asked, secret_key: str, service: str, region: str) -> bool:
    """Whether the request is signed as AWS would check it, from what came and nothing else.

    Source: AWS IAM User Guide, "Create a signed AWS API request"; paths are encoded twice outside of S3.
    """
    scheme, _, rest = asked.headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    _, day, its_region, its_service, end = parts["Credential"].split("/")
    if (its_region, its_service, end) != (region, service, "aws4_request"):
        return False
    names = parts["SignedHeaders"].split(";")
    assert "host" in names
    assert "x-amz-date" in names
    query = "&".join(
        sorted(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in asked.query.items()
        )
        if urlsplit(asked.target).query
        else []
    )
    canonical = "\n".join(
        (
            asked.method,
            quote(quote(unquote(asked.path), safe="/-_.~"), safe="/-_.~"),
            query,
            "".join(f"{name}:{' '.join(asked.headers[name].split())}\n" for name in names),
            ";".join(names),
            hashlib.sha256(asked.body).hexdigest(),
        )
    )
    scope = "/".join((day, region, service, "aws4_request"))
    text = "\n".join(
        (scheme, asked.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"AWS4{secret_key}".encode()
    for step in (day, region, service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), parts["Signature"])
