"""memory://NAME/KEY: objects in this process, shared by name. For tests, ours and those of job types."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Listed, Probed, Reader, WriteOptions, Writer, Written
from batchlab_processor.storage.names import exists_already, split_url, url_of
from batchlab_processor.storage.parts import Parts
from batchlab_processor.storage.parts_memory import MemoryParts, unfinished
from batchlab_processor.storage.streams import HEAD_BYTES, MemoryReader, cut


@dataclass(frozen=True)
class _Object:
    data: bytes
    etag: str
    modified: datetime
    content_type: str
    metadata: Mapping[str, str]


_buckets: dict[str, dict[str, _Object]] = {}
_lock = threading.Lock()


def forget(name: str) -> None:
    """Afterwards memory://NAME/ is empty."""
    with _lock:
        _buckets.pop(name, None)


class MemoryScheme:
    """Every instance sees the same objects."""

    def probe(self, url: str) -> Probed:
        return _probed(url, _find(url))

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Reader]:
        found = _find(url)
        if validator is not None and validator != found.etag:
            raise ItemError(Kind.CHANGED, f"{shown(url)} is not the object it was.")
        first, last = cut(start, end, len(found.data))
        yield MemoryReader(_probed(url, found), found.data[first:last])

    @contextmanager
    def write(self, url: str, options: WriteOptions) -> Iterator[Writer]:
        yield _MemoryWriter(url, options)

    def list(self, prefix: str) -> Iterator[Listed]:
        name, begin = split_url(prefix)
        with _lock:
            found = sorted(_buckets.get(name, {}).items(), key=lambda each: each[0].encode())
        for key, stored in found:
            if key.startswith(begin):
                yield Listed(url_of("memory", name, key), len(stored.data), stored.modified)

    def delete(self, url: str) -> None:
        name, key = split_url(url)
        with _lock:
            _buckets.get(name, {}).pop(key, None)

    def takes_parts(self, url: str) -> bool:
        return True

    def begin_parts(self, url: str, options: WriteOptions, part_bytes: int) -> Parts:
        return MemoryParts.begin(self, url, options, part_bytes)

    def resume_parts(self, url: str, upload_id: str, options: WriteOptions, part_bytes: int) -> Parts:
        return MemoryParts(self, url, upload_id, options, part_bytes)

    def abort_uploads(self, url: str) -> int:
        mine = [upload_id for upload_id, of in unfinished().items() if of == url]
        for upload_id in mine:
            MemoryParts(self, url, upload_id, WriteOptions(), 0).abort()
        return len(mine)

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        return url


class _MemoryWriter:
    def __init__(self, url: str, options: WriteOptions) -> None:
        self._url = url
        self._options = options
        self._data = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        self._data += data
        return len(data)

    def commit(self) -> Written:
        data = bytes(self._data)
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        options = self._options
        stored = _Object(data, etag, datetime.now(UTC), options.content_type, dict(options.metadata))
        name, key = split_url(self._url)
        with _lock:
            bucket = _buckets.setdefault(name, {})
            if options.replaces is not None:
                if key not in bucket or bucket[key].etag != options.replaces:
                    raise ItemError(Kind.CHANGED, f"{shown(self._url)} is not the object it was.")
            elif key in bucket and not options.overwrite:
                raise exists_already(self._url)
            bucket[key] = stored
        return Written(self._url, len(data), etag)


def _find(url: str) -> _Object:
    name, key = split_url(url)
    with _lock:
        found = _buckets.get(name, {}).get(key)
    if found is None:
        raise ItemError(Kind.MISSING, f"{shown(url)} is not there.")
    return found


def _probed(url: str, stored: _Object) -> Probed:
    return Probed(
        url,
        size_bytes=len(stored.data),
        validator=stored.etag,
        modified=stored.modified,
        head=stored.data[:HEAD_BYTES],
        content_type=stored.content_type,
        crc32=zlib.crc32(stored.data),
        metadata=stored.metadata,
        ranges=True,
    )
