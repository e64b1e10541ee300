"""HTTP requests kept in files: a head and a body, together or apart."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from batchlab.errors import UsageError

_GAP = re.compile(rb"\r?\n\r?\n")


def read_request(file: str, headers_file: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body, its bytes untouched; `file` "-" is stdin.

    Raises UsageError when a file cannot be read, or holds no headers.
    """
    content = _read(file)
    if headers_file:
        return _headers(_read(headers_file), headers_file), content
    gap = _GAP.search(content)
    if gap is None:
        raise UsageError(
            f"{file}: there is no empty line between headers and body. Give the headers with --headers FILE."
        )
    return _headers(content[: gap.start()], file), content[gap.end() :]


def _headers(head: bytes, name: str) -> dict[str, str]:
    found = {}
    for line in head.decode("utf-8", "replace").splitlines():
        field, colon, value = line.partition(":")
        if colon and " " not in field.strip():  # a request line has spaces
            found[field.strip().lower()] = value.strip()
    if not found:
        raise UsageError(f"{name}: there are no headers in it, such as webhook-id: msg_...")
    return found


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}.") from None
