"""Stores by the scheme of their URL. `open_store` is the way in; the promises stand in `batchlab.store`."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from batchlab.errors import UsageError
from batchlab.redact import shown
from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.stores.body import check_name


def open_store(url: str, *, settings: Settings | None = None) -> Store:
    """The store under `url`: file:///dir, s3://bucket/prefix, r2://bucket/prefix or memory://name.

    Raises UsageError for another scheme or a URL without a place. Makes no request yet.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _no_store(url) from None
    path = unquote(parts.path)
    if parts.query or parts.fragment or "@" in parts.netloc or "\0" in path:
        raise _no_store(url, "A store has no user, query or fragment; write ? as %3F and # as %23. ")
    if parts.scheme == "file" and path.startswith("/") and parts.netloc in ("", "localhost"):
        from batchlab.stores.file import FileStore

        return FileStore(path)
    if parts.scheme in ("s3", "r2") and parts.netloc:
        from batchlab import aws
        from batchlab.stores.s3 import S3Store

        prefix = path.strip("/")
        if prefix:
            check_name(prefix)
        client = aws.s3_client(parts.scheme, settings or Settings(), attempts=1, read_timeout_seconds=20)
        return S3Store(client, parts.netloc, prefix, scheme=parts.scheme)
    if parts.scheme == "memory":
        from batchlab.stores.memory import MemoryStore

        return MemoryStore.named(parts.netloc + parts.path)
    raise _no_store(url)


def _no_store(url: str, why: str = "") -> UsageError:
    return UsageError(
        f"{shown(url) or 'The empty text'} is no store. {why}"
        "Use file:///a/directory, s3://bucket/prefix or r2://bucket/prefix in --store or BATCHLAB_STORE."
    )
