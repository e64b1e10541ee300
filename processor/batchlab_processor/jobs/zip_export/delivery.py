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

    def __init__(self, size_bytes: int = 0) -> None:
        """`size_bytes`: so many went by before, unseen."""
        self.size_bytes = size_bytes
        self._tail = b""

    def update(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        self._tail = (self._tail + chunk if len(chunk) < TAIL_BYTES else chunk)[-TAIL_BYTES:]

    @property
    def tail_bytes(self) -> int:
        """How many bytes the digest is of, at most TAIL_BYTES."""
        return len(self._tail)

    def digest(self) -> str:
        """SHA-256, in hex, of the last `tail_bytes` bytes."""
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


def announce(ctx: Context, url: str, seal: Seal, volume: int = 0) -> None:
    """Keeps what this job is about to make visible at `url`."""
    body = {
        "url": shown(url),
        "size_bytes": seal.size_bytes,
        "tail_bytes": seal.tail_bytes,
        "tail_sha256": seal.digest(),
    }
    kept = ctx.store.read(_name(ctx, volume))  # what stands there until then is ours, too
    before = [] if kept is None else [each for each in kept.body["archives"] if each != body]
    ctx.store.put(_name(ctx, volume), {"archives": [*before, body]})


def is_ours(ctx: Context, url: str, volume: int = 0) -> bool:
    """Whether this job itself delivered what is at `url` now."""
    if f"/{ctx.document.id}/g{ctx.generation}/" in url:
        return True  # a submitted job's own folder: nobody else delivers there
    kept = ctx.store.read(_name(ctx, volume))
    archives = [] if kept is None else [each for each in kept.body["archives"] if each["url"] == shown(url)]
    if not archives:
        return False
    try:
        size_bytes = ctx.storage.probe(url, delivered=True).size_bytes
        for each in archives:
            if each["size_bytes"] != size_bytes:
                continue
            with ctx.storage.open(url, start=size_bytes - each["tail_bytes"], delivered=True) as reader:
                if hashlib.sha256(reader.read()).hexdigest() == each["tail_sha256"]:
                    return True
    except ItemError as error:
        if error.kind not in _UNSEEN:
            raise
    return False


def _exists(ctx: Context, url: str) -> bool:
    """False when we may not look: then the write itself says it."""
    try:
        ctx.storage.probe(url, delivered=True)
    except ItemError as error:
        if error.kind in _UNSEEN:
            return False
        raise
    return True


def _name(ctx: Context, volume: int) -> str:
    return f"jobs/{ctx.document.id}/delivery{f'-{volume + 1}' if volume else ''}.json"
