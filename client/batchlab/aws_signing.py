"""Signatures of S3 requests (AWS Signature Version 4, in the headers), as botocore makes them and without it.

botocore.auth alone costs 0.1 CPU-seconds to import, boto3 0.6: too much before the first of a few parts.
Tests compare every signature with botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"  # TLS guards the body already; hashing it would cost 0.7 CPU-s per GB


@dataclass(frozen=True)
class Keys:
    """What a request is signed with."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def encoded_path(key: str) -> str:
    """A key as it stands in a URL's path, exactly as S3 reads it for the signature."""
    return quote(key, safe="/-_.~", errors="surrogateescape")


def encoded_query(query: Mapping[str, str]) -> str:
    """A query in the order and the spelling that the signature covers."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(
    keys: Keys,
    region: str,
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    payload_sha256: str = UNSIGNED,
    now: datetime | None = None,
) -> dict[str, str]:
    """`headers` with those added that sign the request; all of them are covered, names in lower case.

    `path` and `query` are encoded by `encoded_path` and `encoded_query`, `host` is as the Host header has it.
    """
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    sent = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    sent |= {"host": host, "x-amz-content-sha256": payload_sha256, "x-amz-date": time}
    if keys.session_token:
        sent["x-amz-security-token"] = keys.session_token
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
    request = "\n".join((method, path, query, lines, names, payload_sha256))
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = hmac.new(
        _signing_key(keys.secret_key, time[:8], region),
        f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}".encode(),
        hashlib.sha256,
    ).hexdigest()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for text in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return key
