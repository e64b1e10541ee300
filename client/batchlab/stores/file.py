"""A store in a directory of this machine, safe between processes.

create: a temporary file, then os.link, which fails when the name is taken and never shows half a file.
replace: a lock on the directory's lock file, the version compared, then rename.
Files are readable by their owner alone, because job documents carry signed URLs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from batchlab.errors import BatchlabError, Denied, ServiceError
from batchlab.store import JSON, AlreadyExists, Stored, VersionConflict
from batchlab.stores.body import check_name, decode_lines, digest_version, encode, encode_lines, stored

_STALE_SECONDS = 86_400  # a temporary file a day old belongs to nobody any more
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class FileStore:
    """Its own files begin with a dot: .tmp/ holds what is being written, each .lock serves its directory."""

    def __init__(self, directory: str | Path) -> None:
        self._root = Path(directory).absolute()
        self._temporary = self._root / ".tmp"
        self.url = "file://" + quote(str(self._root))
        self._sweep()

    def read(self, name: str) -> Stored | None:
        data = self._read(name)
        return None if data is None else stored(data, name)

    def create(self, name: str, body: JSON) -> str:
        return self._create(name, encode(body)[0])

    def replace(self, name: str, body: JSON, version: str) -> str:
        data = encode(body)[0]
        with self._errors(name), self._locked(name):
            before = self._read(name)
            if before is None or digest_version(before) != version:
                raise VersionConflict(f"{name} changed meanwhile.")
            self._rename(name, data)
        return digest_version(data)

    def put(self, name: str, body: JSON) -> str:
        data = encode(body)[0]
        with self._errors(name), self._locked(name):
            self._rename(name, data)
        return digest_version(data)

    def delete(self, name: str) -> None:
        path = self._path(name)
        with self._errors(name):
            if path.exists():
                with self._locked(name):  # else a replace that has just looked would write it again
                    path.unlink(missing_ok=True)

    def names(self, prefix: str, *, after: str = "") -> Iterator[str]:
        base = prefix.rpartition("/")[0]
        if base:
            check_name(base)
        with self._errors(prefix):
            yield from (
                name for name in self._walk(base, prefix, after.encode()) if name.encode() > after.encode()
            )

    def append(self, name: str, lines: list[JSON]) -> None:
        self._create(name, encode_lines(lines)[0])

    def lines(self, name: str) -> list[JSON]:
        data = self._read(name)
        return [] if data is None else decode_lines(data, name)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)

    def _read(self, name: str) -> bytes | None:
        with self._errors(name):
            try:
                return self._path(name).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def _create(self, name: str, data: bytes) -> str:
        path = self._path(name)
        with self._errors(name), self._written(data) as temporary:
            _make_directory(path.parent)
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise AlreadyExists(f"{name} exists already.") from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._create_without_link(name, path, temporary)
            _sync(path.parent)
        return digest_version(data)

    def _create_without_link(self, name: str, path: Path, temporary: Path) -> None:
        """For file systems without hard links, such as exFAT: every other change takes the same lock."""
        with self._locked(name):
            if path.exists():
                raise AlreadyExists(f"{name} exists already.")
            temporary.replace(path)

    def _rename(self, name: str, data: bytes) -> None:
        path = self._path(name)
        with self._written(data) as temporary:
            _make_directory(path.parent)
            temporary.replace(path)
            _sync(path.parent)

    @contextlib.contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        """A temporary file with `data`, on the disk; gone afterwards."""
        _make_directory(self._temporary)
        path = self._temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with open(path, "xb", opener=_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        path = self._path(name)
        _make_directory(path.parent)
        with open(path.parent / ".lock", "ab", opener=_private) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:  # said aloud, because a child forked meanwhile holds the same lock open
                fcntl.flock(file, fcntl.LOCK_UN)

    def _walk(self, base: str, prefix: str, after: bytes) -> Iterator[str]:
        """Names below `base` that begin with `prefix`, in byte order: "a-b" comes before "a/b"."""
        try:
            entries = [(entry.name + "/" * entry.is_dir(), entry) for entry in os.scandir(self._root / base)]
        except (FileNotFoundError, NotADirectoryError):
            return
        for label, entry in sorted(entries, key=lambda pair: os.fsencode(pair[0])):
            name = f"{base}/{label}" if base else label
            if entry.name.startswith("."):
                continue
            if not label.endswith("/"):
                if name.startswith(prefix):
                    yield name
            elif (name.startswith(prefix) or prefix.startswith(name)) and not _all_before(name, after):
                yield from self._walk(name[:-1], prefix, after)

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._temporary):
                if time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                    Path(entry).unlink()

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except BatchlabError:
            raise
        except PermissionError:
            raise Denied(f"No permission for {name} in {self.url}. Check who owns the directory.") from None
        except OSError as error:
            cure = _CURES.get(error.errno or 0, "")
            raise ServiceError(f"{name} in {self.url}: {error.strerror or error}.{cure}") from error


_CURES = {
    errno.ENOSPC: " Free some, then go on: batchlab retry latest",
    errno.EDQUOT: " Free some, then go on: batchlab retry latest",
    errno.EROFS: " Name another place with --store or BATCHLAB_STORE.",
}


def _all_before(folder: str, after: bytes) -> bool:
    """Whether every name below `folder` sorts before or at `after`."""
    return after[: len(folder.encode())] > folder.encode()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _make_directory(directory: Path) -> None:
    """Afterwards the directory exists, and a power cut does not take it away."""
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _sync(directory.parent)


def _sync(directory: Path) -> None:
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
