"""Between URLs and the names that buckets and directories use: encoded once, decoded once, nothing normalised."""

from __future__ import annotations

from urllib.parse import quote, unquote

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown

WORD = "batchlab-write"  # metadata: the writer's own word, which tells our object from another's
_SAFE = "/!$&'()*+,;=:@~-._"  # what stays as it is in a path: RFC 3986 pchar and "/"


def quoted(name: str | bytes) -> str:
    """`name` as it stands in a URL's path."""
    return quote(name, safe=_SAFE)


def url_of(scheme: str, bucket: str, key: str) -> str:
    return f"{scheme}://{bucket}/{quoted(key)}"


def split_url(url: str) -> tuple[str, str]:
    """(bucket, key) of s3://bucket/key and its kin; the key is decoded and may be empty."""
    bucket, _, key = url.partition("://")[2].partition("/")
    return bucket, unquote(key, errors="surrogateescape")


def split_object_url(url: str) -> tuple[str, str]:
    """(bucket, key); raises ItemError(validation) when there is no key."""
    bucket, key = split_url(url)
    if not key:
        raise ItemError(
            Kind.VALIDATION, f"{shown(url)} names a bucket; add the object's name: {shown(url)}/name."
        )
    return bucket, key


def exists_already(url: str) -> ItemError:
    """What a writer raises when it must not replace what is there."""
    return ItemError(
        Kind.VALIDATION, f"{shown(url)} exists already. Choose another name, or pass --overwrite."
    )
