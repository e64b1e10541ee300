"""The log of a process that serves, on stderr: a line for each event, JSON when asked for, secrets cut out."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchlab.redact import scrub
from batchlab.settings import Settings
from batchlab.words import printable

_CHATTY = ("asyncio", "boto3", "botocore", "httpcore", "httpx", "urllib3", "uvicorn")
_TOKEN = re.compile(r"(?<=/[sd]/)[^/]+")  # what follows is a customer's secret

logger = logging.getLogger("batchlab")


def set_up(settings: Settings) -> None:
    """From here on the process logs to stderr, and nothing passes without `scrub`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.log_format == "json" else _Plain())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for warning in settings.warnings:
        logger.warning("%s", warning)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record):%Y-%m-%dT%H:%M:%SZ} {record.levelname}: {_message(record, self)}"
        return "\n".join(printable(line) for line in text.splitlines())


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"time": time, "level": record.levelname, "message": _message(record, self)})


def _message(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + formatter.formatException(record.exc_info)
    return scrub(text)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class AccessLog:
    """A line for each request: method, path without its token, status and milliseconds; never the query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            milliseconds = (time.monotonic() - begun) * 1000
            logger.info(
                "%s %s %s %.0f ms", scope["method"], masked(scope["path"]), status or "-", milliseconds
            )


def masked(path: str) -> str:
    """`path` on one line, without the token that opens a customer's page or download, wherever it stands."""
    return printable(_TOKEN.sub("...", path))
