"""Stores by the scheme of their URL. `open_store` is the way in; the promises stand in `batchlab.store`."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from batchlab.errors import UsageError
from batchlab.settings import Settings
from batchlab.store import Store


def open_store(url: str, *, settings: Settings | None = None) -> Store:
    """The store under `url`: file:///dir, s3://bucket/prefix, r2://bucket/prefix or memory://name.

    Raises UsageError for another scheme or a URL without a place. Makes no request yet.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme == "file" and path.startswith("/") and parts.netloc in ("", "localhost"):
        from batchlab.stores.file import FileStore

        return FileStore(path)
    if parts.scheme in ("s3", "r2") and parts.netloc:
        from batchlab import aws
        from batchlab.stores.s3 import S3Store

        client = aws.s3_client(parts.scheme, settings or Settings())
        return S3Store(client, parts.netloc, path.strip("/"), scheme=parts.scheme)
    if parts.scheme == "memory":
        from batchlab.stores.memory import MemoryStore

        return MemoryStore.named(parts.netloc + parts.path)
    raise UsageError(
        f"{url or 'The empty text'} is no store. Use file:///a/directory, s3://bucket/prefix or r2://bucket/prefix "
        "in --store or BATCHLAB_STORE."
    )
