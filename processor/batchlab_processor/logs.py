"""The log, on stderr: JSON lines in containers, plain lines for people. Nothing passes it without `scrub`.

Whatever writes a record (we, botocore, urllib3, an uncaught exception, a warning) ends in the one handler
that `set_up` installs, and that handler scrubs the finished text: message, arguments, traceback and causes.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from batchlab.redact import scrub
from batchlab.settings import Settings
from batchlab.words import printable

logger = logging.getLogger("batchlab")

# They log every request at DEBUG and INFO, URLs and headers included, and are no help to our readers.
_CHATTY = (
    "asyncio",
    "boto3",
    "botocore",
    "pyvips",
    "google",
    "httpcore",
    "httpx",
    "s3transfer",
    "smart_open",
    "urllib3",
)


class ItemLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds job, key and attempt to every record; a call's own `extra` is kept.

    `extra={"told": True}` says that the display tells the same: plain logs leave the record out.
    """

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def item_logger(job: str, key: str | None, attempt: int | None) -> ItemLogger:
    """A logger for one attempt at one item; without `key` and `attempt`, for the job."""
    named = {"job": job, "key": key, "attempt": attempt}
    return ItemLogger(logger, {name: value for name, value in named.items() if value is not None})


def configure(settings: Settings, *, stream: TextIO | None = None) -> bool:
    """Logs as the settings say, and answers whether in JSON: asked for, or in AWS Batch, and on no terminal."""
    json_lines = (settings.log_format == "json" or settings.in_batch) and not (stream or sys.stderr).isatty()
    if settings.log_format == "plain":
        json_lines = False
    set_up(settings.log_level, json_lines=json_lines, stream=stream)
    for warning in settings.warnings:
        logger.warning("%s", warning)
    return json_lines


def set_up(
    level: str = "info",
    *,
    json_lines: bool = False,
    job: str = "",
    run: str = "",
    stream: TextIO | None = None,
) -> None:
    """From here on the process logs to stderr (or `stream`), scrubbed; calling it again replaces the handler.

    `level` is debug, info, warning or error. `job` and `run` stand in records that name none. Also uncaught
    exceptions, in threads too, and Python's warnings come out this way.
    """
    handler = _Handler(stream)
    handler.setFormatter(_JsonLines(job, run) if json_lines else _PlainLines(job))
    if not json_lines:
        handler.addFilter(lambda record: not getattr(record, "told", False))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # libvips warns of a profile or a tile and cannot say whose; what a photo lacks is told with its name.
    logging.getLogger("pyvips").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is at that moment: the bars put themselves in its place."""

    def __init__(self, stream: TextIO | None) -> None:
        logging.Handler.__init__(self)
        self._stream = stream

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # StreamHandler keeps the stream of the start
        return self._stream or sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is logging's
        """Silent: the inherited one prints the record's arguments as they are."""


class _JsonLines(logging.Formatter):
    """{"time", "level", "job", "run", "key", "attempt", "logger", "message", "exception"}: what is known of it."""

    def __init__(self, job: str, run: str) -> None:
        super().__init__()
        self._known = {"job": job, "run": run}

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "job": getattr(record, "job", None) or self._known["job"],
            "run": getattr(record, "run", None) or self._known["run"],
            "key": getattr(record, "key", None),
            "attempt": getattr(record, "attempt", None),
            "logger": record.name,
            "message": _message(record),
            "exception": _exception(record),
        }
        shown = {name: scrub(value) if isinstance(value, str) else value for name, value in fields.items()}
        return json.dumps(
            {name: value for name, value in shown.items() if value not in (None, "")}, default=str
        )


class _PlainLines(logging.Formatter):
    """The form of the display's lines: "2025-01-19T10:02:15Z [job] WARNING: key - message"; tracebacks below."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self._job = job

    def format(self, record: logging.LogRecord) -> str:
        job = getattr(record, "job", None) or self._job
        key = getattr(record, "key", None)
        named = f"[{job}] " if job else ""
        item = f"{key} - " if key is not None else ""
        text = f"{_time(record):%Y-%m-%dT%H:%M:%SZ} {named}{record.levelname}: {item}{_message(record)}"
        if exception := _exception(record):
            text += f"\n{exception}"
        return "\n".join(printable(line) for line in scrub(text).splitlines())


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  a record that cannot be put together must not end the work it tells of
        return str(record.msg)


def _exception(record: logging.LogRecord) -> str:
    if record.exc_info:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text or ""


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("Ended by an error that nobody foresaw.", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
