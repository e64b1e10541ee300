"""What all stores share: how a name must look, and how a body is written with its nonce."""

from __future__ import annotations

import hashlib
import json
import secrets

from batchlab.errors import ServiceError, UsageError
from batchlab.store import JSON, Stored

NONCE = "nonce"


def check_name(name: str) -> str:
    """`name`, when it stays inside the store and means one document; else UsageError."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(
        ord(letter) < 32 or letter == "\\" for letter in name
    ):
        raise UsageError(f"{name!r} is no name of a document.")
    return name


def encode(body: JSON) -> tuple[bytes, str]:
    """The bytes of a body with a fresh nonce, and that nonce."""
    nonce = secrets.token_hex(8)
    text = json.dumps({**body, NONCE: nonce}, ensure_ascii=False, separators=(",", ":"))
    return text.encode(), nonce


def decode(data: bytes, name: str) -> tuple[JSON, str]:
    """The body without its nonce, and the nonce ("" when another program wrote it)."""
    try:
        body = json.loads(data)
    except ValueError as error:
        raise ServiceError(
            f"{name} in the store is not JSON ({error}); was it written by another program?"
        ) from None
    if not isinstance(body, dict):
        raise ServiceError(f"{name} in the store is no JSON object; was it written by another program?")
    return body, str(body.pop(NONCE, ""))


def digest_version(data: bytes) -> str:
    """The version of a body whose store has none: its digest, new with every nonce."""
    return hashlib.sha256(data).hexdigest()


def stored(data: bytes, name: str, version: str | None = None) -> Stored:
    return Stored(decode(data, name)[0], version or digest_version(data))


def encode_lines(lines: list[JSON]) -> bytes:
    return b"".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for line in lines
    )


def decode_lines(data: bytes, name: str) -> list[JSON]:
    """Segments are written whole, so a line that is no JSON was written by another program: ServiceError."""
    try:
        return [json.loads(line) for line in data.splitlines()]
    except ValueError as error:
        raise ServiceError(f"{name} in the store holds a line that is not JSON ({error}).") from None
