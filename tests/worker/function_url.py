"""A Lambda function URL of auth type AWS_IAM: lets in who has signed exactly this request, and asks the function.

The signature is made again by botocore, AWS's own implementation, from the request as it came. Source: AWS General
Reference, "Signature Version 4"; AWS Lambda Developer Guide, "Invoking Lambda function URLs" (events of version 2.0).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

JSON = dict[str, Any]

LARGEST_BODY = 6 * 1024 * 1024  # Source: AWS Lambda quotas, invocation payload
TOLERANCE = timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class Refused(Exception):
    """The request is not let in; says why, for the tests, which AWS does not."""


@dataclass
class FunctionUrl:
    """What the URL knows and has seen."""

    url: str
    keys: dict[str, str]  # access key -> secret key
    region: str = "us-east-1"
    function: Callable[[JSON], JSON] | None = None
    events: list[JSON] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def admit(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """Raises Refused unless this very request was signed by a key that is known, less than 5 minutes from now."""
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None:
            raise Refused("no signature")
        if (found["region"], found["service"]) != (self.region, "lambda"):
            raise Refused(f"scope {found['region']}/{found['service']}")
        secret = self.keys.get(found["key"])
        if secret is None:
            raise Refused("unknown key")
        signed = found["headers"].split(";")
        if signed != sorted(signed) or not {"host", "x-amz-date"} <= set(signed):
            raise Refused("host and x-amz-date are not both signed")
        if headers.get("host") != self.url.removeprefix("http://"):
            raise Refused("another host")
        try:
            at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except (KeyError, ValueError):
            raise Refused("no date") from None
        if abs(datetime.now(UTC) - at) > TOLERANCE or found["day"] != headers["x-amz-date"][:8]:
            raise Refused("another time")
        named = headers.get("x-amz-content-sha256")
        if named is not None and named != hashlib.sha256(body).hexdigest():
            raise Refused("another body")
        if any(name not in headers for name in signed):
            raise Refused("a signed header is missing")
        expected = self._signature(
            method, target, {name: headers[name] for name in signed}, body, secret, headers["x-amz-date"]
        )
        if not hmac.compare_digest(expected, found["signature"]):
            raise Refused("another signature")

    def _signature(
        self, method: str, target: str, headers: dict[str, str], body: bytes, secret: str, at: str
    ) -> str:
        signer = SigV4Auth(Credentials("any", secret), "lambda", self.region)
        request = AWSRequest(method, self.url + target, headers=headers, data=body)
        request.context["timestamp"] = at
        return str(
            signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        )

    def event(self, method: str, target: str, headers: dict[str, str], body: bytes) -> JSON:
        """The request as the function sees it."""
        path, _, query = target.partition("?")
        text = headers.get("content-type", "").startswith(("application/json", "text/"))
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "lab",
                "domainName": headers["host"],
                "domainPrefix": "lab",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": "00000000-0000-4000-8000-000000000000",
                "routeKey": "$default",
                "stage": "$default",
                "time": f"{datetime.now(UTC):%d/%b/%Y:%H:%M:%S +0000}",
                "timeEpoch": int(datetime.now(UTC).timestamp() * 1000),
            },
            "isBase64Encoded": bool(body) and not text,
            **({"body": body.decode() if text else base64.b64encode(body).decode()} if body else {}),
        }


@contextmanager
def function_url(keys: dict[str, str]) -> Iterator[FunctionUrl]:
    """At a free port of 127.0.0.1; until `function` is set, whoever is let in is answered 502."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            if len(body) > LARGEST_BODY:
                self._send(413, b'{"Message":"Request must be smaller than 6291456 bytes"}')
                return
            try:
                made.admit(self.command, self.path, headers, body)
            except Refused as refused:
                made.refusals.append(str(refused))
                self._send(403, b'{"message":"The request signature we calculated does not match"}')
                return
            event = made.event(self.command, self.path, headers, body)
            made.events.append(event)
            if made.function is None:
                self._send(502, b"Internal Server Error")
                return
            answer = made.function(event)
            text: str = answer.get("body") or ""
            content = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
            self._send(answer["statusCode"], content, answer.get("headers") or {})

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {"content-type": "application/json"}).items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", "0" if status == 304 else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if status == 304 else body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        made = FunctionUrl(f"http://127.0.0.1:{server.server_address[1]}", keys)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
