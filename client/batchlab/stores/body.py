"""What all stores share: how a name must look, and how a body is written with its nonce."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from batchlab.errors import Damaged, UsageError
from batchlab.store import JSON, Stored

NONCE = "_nonce"  # in every body and in the first line of every segment; stripped when read
_COUNT = "_lines"  # in the first line of a segment: how many follow

_SEGMENT_BYTES = 255  # the longest file name of ext4, APFS and XFS
_NAME_BYTES = 960  # S3 ends keys at 1,024 bytes; the store's prefix needs some of them


def check_name(name: str) -> str:
    """`name`, when it stays inside the store and means one document; else UsageError."""
    problem = _problem(name)
    if problem:
        raise UsageError(f"{name[:200]!r} is no name of a document: {problem}.")
    return name


def _problem(name: str) -> str:
    if any(ord(letter) < 32 or letter in "\x7f\\" or "\ud800" <= letter <= "\udfff" for letter in name):
        return "it holds a control character, a backslash or half a character"
    if len(name.encode()) > _NAME_BYTES:
        return f"it is longer than {_NAME_BYTES} bytes"
    for segment in name.split("/"):
        if not segment or segment.startswith("."):  # the dot: "..", and what the file store keeps for itself
            return "each part between slashes needs a letter or digit first"
        if len(segment.encode()) > _SEGMENT_BYTES:
            return f"a part between slashes is longer than {_SEGMENT_BYTES} bytes"
    return ""


def encode(body: JSON) -> tuple[bytes, str]:
    """The bytes of a body with a fresh nonce, and that nonce."""
    nonce = secrets.token_hex(8)
    return _json({**body, NONCE: nonce}), nonce


def decode(data: bytes, name: str) -> tuple[JSON, str]:
    """The body without its nonce, and the nonce ("" when another program wrote it)."""
    try:
        body = json.loads(data)
    except ValueError as error:
        raise Damaged(
            f"{name} in the store is not JSON ({error}); was it written by another program?"
        ) from None
    if not isinstance(body, dict):
        raise Damaged(f"{name} in the store is no JSON object; was it written by another program?")
    return body, str(body.pop(NONCE, ""))


def digest_version(data: bytes) -> str:
    """The version of a body whose store has none: its digest, new with every nonce."""
    return hashlib.sha256(data).hexdigest()


def stored(data: bytes, name: str, version: str | None = None) -> Stored:
    return Stored(decode(data, name)[0], version or digest_version(data))


def encode_lines(lines: list[JSON]) -> tuple[bytes, str]:
    """The bytes of a segment with a fresh nonce in its first line, and that nonce."""
    nonce = secrets.token_hex(8)
    return b"".join(_json(line) + b"\n" for line in [{NONCE: nonce, _COUNT: len(lines)}, *lines]), nonce


def decode_lines(data: bytes, name: str) -> list[JSON]:
    """The lines of a segment, without the first.

    Segments are written whole, so no kill leaves a torn one: a line that is not JSON, or one that is
    missing, is damage that somebody must look at. Raises Damaged.
    """
    lines: list[Any] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise Damaged(f"{name} in the store: line {number} is not JSON ({error}). {_DAMAGED}") from None
        if not isinstance(lines[-1], dict):
            raise Damaged(f"{name} in the store: line {number} is no JSON object. {_DAMAGED}")
    if not lines or NONCE not in lines[0]:
        raise Damaged(f"{name} in the store does not begin as a segment does. {_DAMAGED}")
    count = lines.pop(0).get(_COUNT)
    if count != len(lines):
        raise Damaged(f"{name} in the store has {len(lines)} lines and was written with {count}. {_DAMAGED}")
    return lines


_DAMAGED = "No kill can do that: restore the file, or delete it and lose what it said."


def nonce_of(data: bytes) -> str:
    """The nonce of a body or a segment; "" when there is none."""
    try:
        first = json.loads(data.split(b"\n", 1)[0])
    except ValueError:
        return ""
    return str(first.get(NONCE, "")) if isinstance(first, dict) else ""


def _json(value: JSON) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, in a file name say: only an escape can carry it
        return json.dumps(value, separators=(",", ":")).encode()
