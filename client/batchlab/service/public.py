"""What anybody on the internet may ask: a customer's page, its status, and its files. Whoever has the token has them.

Framework-free, and without a side effect: /s and /d read nothing but `pages/<token>/` (docs/customer-page.md).
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from batchlab.errors import BatchlabError
from batchlab.page import Pages, is_token
from batchlab.page.html import notice
from batchlab.page.marks import Notice
from batchlab.service.files import FilePart
from batchlab.service.handing_out import Artifact, NotHere, hand_out
from batchlab.settings import Settings

logger = logging.getLogger("batchlab")

_ROUTE = re.compile(r"/(?P<door>[sd])/(?P<token>[^/]*)(?:/(?P<rest>[^/]+))?")
_NOBODY = (
    "-" * 22
)  # looked up in place of what cannot be a token, so that nobody can tell by the time it takes
_POLICY = re.compile(rb'<meta http-equiv="Content-Security-Policy" content="([^"]*)"')
_HTML, _JSON = "text/html; charset=utf-8", "application/json"
_ON_ALL = {
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


@dataclass(frozen=True)
class PublicRequest:
    """`path` as it was sent, percent-encoded, without the query; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PublicAnswer:
    """`body` is what to send, in pieces when it is a FilePart; empty for HEAD."""

    status: int
    headers: Mapping[str, str]
    body: bytes | FilePart = b""


def answer(request: PublicRequest, pages: Pages, settings: Settings, now: datetime) -> PublicAnswer:
    """The answer to any request; never raises for what a stranger sends or for a storage that is away."""
    if request.method not in ("GET", "HEAD"):
        return _whole(request, 405, b"", _HTML, {"Allow": "GET, HEAD"})
    try:
        return _route(request, pages, settings, now)
    except (BatchlabError, OSError, ValueError, KeyError, TypeError) as error:
        # Its own words may carry the token; the storage's say what to mend.
        said = error.message if isinstance(error, BatchlabError) else type(error).__name__
        logger.error("A customer's page could not be served: %s", said)
        return _notice(request, 503, "server", settings, {"Retry-After": "60"})


def _route(request: PublicRequest, pages: Pages, settings: Settings, now: datetime) -> PublicAnswer:
    if request.path == "/healthz":
        return _whole(request, 200, b"ok\n", "text/plain; charset=utf-8")
    found = _ROUTE.fullmatch(request.path)
    token, rest = (found["token"], found["rest"]) if found else ("", None)
    if found is None:
        return _notice(request, 404, "not_found", settings)
    if not is_token(token):
        token = _NOBODY
    if found["door"] == "d":
        return _download(request, pages, settings, now, token, rest)
    if rest in (None, "status.json"):
        return _page_or_status(request, pages, settings, now, token, rest)
    return _notice(request, 404, "not_found", settings)


def _page_or_status(
    request: PublicRequest, pages: Pages, settings: Settings, now: datetime, token: str, rest: str | None
) -> PublicAnswer:
    body = pages.get(f"{token}/{rest or 'index.html'}")
    if body is None:
        return _notice(request, 404, "not_found", settings)
    status = _json(body if rest else pages.get(f"{token}/status.json"))
    gone = status.get("state") == "expired" or _passed(status.get("expires_at"), now)
    if rest is None:
        return _gone(request, pages, token) if gone else _written(request, 200, body)
    if gone:
        return _whole(request, 410, b'{"version": 1, "state": "expired"}', _JSON)
    return _tagged(request, 200, body, _JSON)


def _download(
    request: PublicRequest, pages: Pages, settings: Settings, now: datetime, token: str, which: str | None
) -> PublicAnswer:
    found = pages.get(f"{token}/link.json")
    link = {} if found is None else _json(found)
    if found is not None and (not link.get("artifacts") or _passed(link.get("expires_at"), now)):
        return _gone(request, pages, token)
    if which is None and (found is None or len(link["artifacts"]) > 1):  # nothing yet, or a choice
        page = pages.get(f"{token}/index.html")
        return _notice(request, 404, "not_found", settings) if page is None else _written(request, 200, page)
    if found is None:
        return _notice(request, 404, "not_found", settings)
    artifacts = [
        Artifact(entry["number"], entry["name"], entry["url"], entry["content_type"])
        for entry in link["artifacts"]
    ]
    wanted = _wanted(artifacts, which)
    if wanted is None:
        return _notice(request, 404, "not_found", settings)
    expires_at = datetime.fromisoformat(link["expires_at"]) if link.get("expires_at") else None
    try:
        status, headers, part = hand_out(wanted, expires_at, now, request.method, request.headers, settings)
    except FileNotFoundError:
        return _notice(request, 404, "not_found", settings)
    except NotHere as error:
        logger.error("A customer's file cannot be handed out: %s", error)
        return _notice(request, 501, "not_here", settings)
    return PublicAnswer(status, {**_ON_ALL, **headers}, part or b"")


def _wanted(artifacts: list[Artifact], which: str | None) -> Artifact | None:
    """By number, else by name; the only one without either."""
    if which is None:
        return artifacts[0]
    name = unquote(which)
    by_number = next((each for each in artifacts if str(each.number) == name), None)
    return by_number or next((each for each in artifacts if each.name == name), None)


def _gone(request: PublicRequest, pages: Pages, token: str) -> PublicAnswer:
    body = pages.get(f"{token}/gone.html")  # written with link.json
    return _written(request, 410, body or b"")


def _notice(
    request: PublicRequest,
    status: int,
    which: Notice,
    settings: Settings,
    headers: Mapping[str, str] | None = None,
) -> PublicAnswer:
    body = notice(which, settings.language, settings.contact)
    return _written(request, status, body, headers)


def _written(
    request: PublicRequest, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> PublicAnswer:
    """A page with the policy that stands in it: one that an older version wrote keeps its own hashes."""
    found = _POLICY.search(body)
    policy = found[1].decode() if found else "default-src 'none'"
    framed = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"}
    return _tagged(request, status, body, _HTML, {**framed, **(headers or {})})


def _tagged(
    request: PublicRequest,
    status: int,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str] | None = None,
) -> PublicAnswer:
    """With an ETag, and 304 without a body when the reader has it already. Kept by the reader's own cache only."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    more = {**(headers or {}), "ETag": tag, "Cache-Control": "private, no-cache"}
    known = re.split(r"\s*,\s*", request.headers.get("if-none-match", ""))
    if status == 200 and (tag in known or f"W/{tag}" in known):  # proxies that compress weaken it
        return PublicAnswer(304, {**_ON_ALL, **more})
    return _whole(request, status, body, content_type, more)


def _whole(
    request: PublicRequest,
    status: int,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str] | None = None,
) -> PublicAnswer:
    sized = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return PublicAnswer(
        status, {**_ON_ALL, **sized, **(headers or {})}, b"" if request.method == "HEAD" else body
    )


def _passed(at: Any, now: datetime) -> bool:
    """Whether the moment is over; with less than a second left no link can be signed."""
    return at is not None and (datetime.fromisoformat(at) - now).total_seconds() < 1


def _json(body: bytes | None) -> dict[str, Any]:
    read = {} if body is None else json.loads(body)
    if not isinstance(read, dict):
        raise ValueError("no JSON object")
    return read
