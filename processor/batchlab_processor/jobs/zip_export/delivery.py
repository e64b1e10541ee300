"""Whether the object at the target is this job's own.

A target is written once: an archive that stands there is somebody's. But a run may be killed after its archive
became visible and before the job knew it, and a retry makes a better archive of the same job. So each run keeps,
before it commits, by what its archive can be known: `jobs/<id>/delivery.json` with the length and the digest of
the end, where the central directory holds every member's name and CRC-32.
"""

from __future__ import annotations

import hashlib

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.job import Context
from batchlab_processor.storage.names import exists_already

TAIL_BYTES = 64 * 1024
_UNSEEN = (Kind.MISSING, Kind.AUTH)  # not there, or we may only write there


class Seal:
    """Length and end of the archive, as it goes by."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._tail = b""

    def update(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        self._tail = (self._tail + chunk if len(chunk) < TAIL_BYTES else chunk)[-TAIL_BYTES:]

    def digest(self) -> str:
        """SHA-256, in hex, of the last TAIL_BYTES bytes."""
        return hashlib.sha256(self._tail).hexdigest()


def archive_name(ctx: Context) -> str:
    """What the archive is called."""
    name: str = ctx.params.name
    return name


def target(ctx: Context) -> str:
    """Where the archive is delivered."""
    return ctx.target(archive_name(ctx))


def check_free(ctx: Context) -> None:
    """Raises ItemError(validation) when the target is taken, before anything is downloaded."""
    url = target(ctx)
    if ctx.overwrite() or not _exists(ctx, url) or is_ours(ctx, url):
        return
    raise exists_already(url)


def announce(ctx: Context, url: str, seal: Seal) -> None:
    """Keeps what this job is about to make visible at `url`."""
    ctx.store.put(
        _name(ctx), {"url": shown(url), "size_bytes": seal.size_bytes, "tail_sha256": seal.digest()}
    )


def is_ours(ctx: Context, url: str) -> bool:
    """Whether this job itself delivered what is at `url` now."""
    if f"/{ctx.document.id}/g{ctx.generation}/" in url:
        return True  # a submitted job's own folder: nobody else delivers there
    kept = ctx.store.read(_name(ctx))
    if kept is None or kept.body["url"] != shown(url):
        return False
    size_bytes = kept.body["size_bytes"]
    try:
        if ctx.storage.probe(url, delivered=True).size_bytes != size_bytes:
            return False
        with ctx.storage.open(url, start=max(0, size_bytes - TAIL_BYTES), delivered=True) as reader:
            tail = reader.read()
    except ItemError as error:
        if error.kind in _UNSEEN:
            return False
        raise
    return bool(hashlib.sha256(tail).hexdigest() == kept.body["tail_sha256"])


def _exists(ctx: Context, url: str) -> bool:
    """False when we may not look: then the write itself says it."""
    try:
        ctx.storage.probe(url, delivered=True)
    except ItemError as error:
        if error.kind in _UNSEEN:
            return False
        raise
    return True


def _name(ctx: Context) -> str:
    return f"jobs/{ctx.document.id}/delivery.json"
