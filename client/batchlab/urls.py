"""URLs in documents: their form only. What a job may touch is decided by the authority, not here.

Messages never repeat more of a URL than `redact.shown` leaves of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, cast
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, Strict
from pydantic.fields import FieldInfo

from batchlab.nearest import did_you_mean
from batchlab.redact import shown

SOURCE_SCHEMES = ("http", "https", "s3", "r2", "gs", "file", "memory")
PREFIX_SCHEMES = ("s3", "r2", "gs", "file", "memory")  # those that can be listed and written
WEB_SCHEMES = ("http", "https")
_LONGEST = 8_192  # characters; the longest signed URLs have about 2,000
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_HOST = re.compile(r"""[^\s\\/?#@<>"'{}|^`%\[\]]+\Z""")
_EXAMPLES = {"s3": "s3://bucket/name", "r2": "r2://bucket/name", "gs": "gs://bucket/name"}


def url_problem(url: str, schemes: tuple[str, ...] = SOURCE_SCHEMES) -> str | None:
    """What is wrong with `url` and what was expected, or None."""
    space = _SPACE.search(url)
    if space:
        what = "a space. Write it as %20" if space[0] == " " else f"the character {space[0]!a}. Take it out"
        return f"{_displayed(url)} holds {what}."
    if len(url) > _LONGEST:
        return f"the URL is {len(url):,} characters long, at most {_LONGEST:,}."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"{_displayed(url)} is no URL: its host or port cannot be read."
    if not parts.scheme or "://" not in url[: len(parts.scheme) + 3]:
        return f"expected a URL that begins with one of {_spelled(schemes)}; this text does not."
    if parts.scheme not in schemes:
        guess = did_you_mean(parts.scheme, schemes)
        return f"the scheme {parts.scheme[:20]}:// is not one of {_spelled(schemes)}.{guess}"
    return _host_problem(url, parts, port)


def _host_problem(url: str, parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme == "memory":
        return None
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            return f"{_displayed(url)} is not absolute: write three slashes, as in file:///home/ana/photos."
        return None
    host = parts.hostname or ""
    if not host:
        example = _EXAMPLES.get(parts.scheme, f"{parts.scheme}://host/path")
        return f"{_displayed(url)} names no {'bucket' if parts.scheme in _EXAMPLES else 'host'}; expected {example}."
    if ":" not in host and not _HOST.match(host):
        return f"{_displayed(url)} has a host that cannot be."
    if parts.scheme in _EXAMPLES and (port is not None or "@" in parts.netloc):
        return f"{_displayed(url)}: expected {_EXAMPLES[parts.scheme]}, without user and port."
    return None


def _displayed(url: str) -> str:
    """A URL for a message. One that cannot be taken apart may hide a password anywhere before an "@"."""
    if "://" not in url:
        return "the text"
    if "@" in url:
        return "the URL"
    text = shown(url)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 100 else text[:97] + "..."


def _spelled(schemes: tuple[str, ...]) -> str:
    return ", ".join(f"{scheme}://" for scheme in schemes)


def _checked(schemes: tuple[str, ...]) -> Callable[[str], str]:
    def check(url: str) -> str:
        problem = url_problem(url, schemes)
        if problem:
            raise ValueError(problem)
        return url

    return check


def _output(url: str) -> str:
    """The prefix without slashes at its end, so that both spellings are one."""
    if "?" in url or "#" in url:
        raise ValueError("the URL of an output has no query (?) and no fragment (#).")
    stripped = url.rstrip("/")
    return url if stripped.endswith(":") else stripped


def _of(schemes: tuple[str, ...]) -> FieldInfo:
    return cast("FieldInfo", Field(json_schema_extra={"pattern": f"^({'|'.join(schemes)})://"}))


SourceUrl = Annotated[str, Strict(), AfterValidator(_checked(SOURCE_SCHEMES)), _of(SOURCE_SCHEMES)]
PrefixUrl = Annotated[str, Strict(), AfterValidator(_checked(PREFIX_SCHEMES)), _of(PREFIX_SCHEMES)]
OutputUrl = Annotated[PrefixUrl, AfterValidator(_output)]  # without slashes at its end
WebUrl = Annotated[str, Strict(), AfterValidator(_checked(WEB_SCHEMES)), _of(WEB_SCHEMES)]
