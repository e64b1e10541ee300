"""A store in this process's memory, for tests of job types."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar

from batchlab.store import JSON, AlreadyExists, Stored, VersionConflict
from batchlab.stores.body import check_name, decode_lines, digest_version, encode, encode_lines, stored


class MemoryStore:
    """Forgotten with the process; `named` gives the same store for the same name."""

    _by_name: ClassVar[dict[str, MemoryStore]] = {}

    def __init__(self, name: str = "test") -> None:
        self.url = f"memory://{name}"
        self._data: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @classmethod
    def named(cls, name: str) -> MemoryStore:
        return cls._by_name.setdefault(name, cls(name))

    def read(self, name: str) -> Stored | None:
        data = self._data.get(check_name(name))
        return None if data is None else stored(data, name)

    def create(self, name: str, body: JSON) -> str:
        return self._create(name, encode(body)[0])

    def replace(self, name: str, body: JSON, version: str) -> str:
        data = encode(body)[0]
        with self._lock:
            before = self._data.get(check_name(name))
            if before is None or digest_version(before) != version:
                raise VersionConflict(f"{name} changed meanwhile.")
            self._data[name] = data
        return digest_version(data)

    def put(self, name: str, body: JSON) -> str:
        data = encode(body)[0]
        with self._lock:
            self._data[check_name(name)] = data
        return digest_version(data)

    def delete(self, name: str) -> None:
        with self._lock:
            self._data.pop(check_name(name), None)

    def names(self, prefix: str, *, after: str = "") -> Iterator[str]:
        with self._lock:
            found = [name for name in self._data if name.startswith(prefix)]
        ordered = sorted(found, key=str.encode)
        yield from (name for name in ordered if name.encode() > after.encode())

    def append(self, name: str, lines: list[JSON]) -> None:
        self._create(name, encode_lines(lines)[0])

    def lines(self, name: str) -> list[JSON]:
        data = self._data.get(check_name(name))
        return [] if data is None else decode_lines(data, name)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def _create(self, name: str, data: bytes) -> str:
        with self._lock:
            if check_name(name) in self._data:
                raise AlreadyExists(f"{name} exists already.")
            self._data[name] = data
        return digest_version(data)
