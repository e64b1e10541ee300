"""Files made of parts: a draft beside the target, into which every process of a job writes.

The draft outlives its processes, so that the next run goes on with it; each holds a shared lock on it while it
lives. A part's ETag is its CRC-32 and length, read back from the disk, so a torn draft is noticed.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.crc32 import crc32 as crc32_of
from batchlab_processor.storage.base import WriteOptions, Written
from batchlab_processor.storage.draft import (
    fsync_directory,
    is_at,
    link,
    lock,
    parts_path,
    read_metadata,
    sweep,
    write_metadata,
)
from batchlab_processor.storage.local_files import (
    changed,
    in_our_words,
    make_directories,
    path_of,
    remove_directories,
    validator_of,
)
from batchlab_processor.storage.names import WORD, exists_already
from batchlab_processor.storage.parts import CannotCopy, no_such_upload, wrong_part

_ID = re.compile(r"([0-9a-f]{16})-([0-9]+)")  # the draft's token, and its inode where no attributes are kept


class FileParts:
    """One file being made."""

    def __init__(self, url: str, upload_id: str, options: WriteOptions, part_bytes: int) -> None:
        found = _ID.fullmatch(upload_id)
        if found is None:
            raise ItemError(Kind.VALIDATION, f"{upload_id!r} is no id of an unfinished file.")
        self.id = upload_id
        self._url = url
        self._target = path_of(url)
        self._path = parts_path(self._target, found[1])
        self._inode = int(found[2])
        self._options = options
        self._part_bytes = part_bytes
        self._made: list[Path] = []  # directories that are there for this file only
        self._etags: dict[int, str] = {}  # as this process wrote or read them
        self._lock = threading.Lock()
        self._close: weakref.finalize[[int], FileParts] | None = None
        self._opened = -1

    @classmethod
    def begin(cls, url: str, options: WriteOptions, part_bytes: int) -> FileParts:
        target = path_of(url)
        if target.endswith("/"):
            raise ItemError(Kind.VALIDATION, f"{shown(url)} is a directory; add a name: {shown(url)}name.")
        if not options.overwrite and options.replaces is None and os.path.lexists(target):
            raise exists_already(url)
        token = secrets.token_hex(8)
        made: list[Path] = []
        with in_our_words(url):
            try:
                made = make_directories(Path(target).parent)
                sweep(str(Path(target).parent))
                flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
                file = os.open(parts_path(target, token), flags, 0o666)
            except (NotADirectoryError, FileNotFoundError) as error:
                remove_directories(made)
                raise ItemError(
                    Kind.VALIDATION, f"{shown(url)} lies below a file, not a directory."
                ) from error
            except BaseException:
                remove_directories(made)
                raise
            try:
                upload_id = f"{token}-{os.fstat(file).st_ino}"
                write_metadata(file, {**options.metadata, WORD: upload_id})
                parts = cls(url, upload_id, options, part_bytes)
                parts._made = made
                parts._file()
            finally:
                os.close(file)
        return parts

    def send(self, number: int, body: memoryview, crc32: int | None = None) -> str:
        if len(body) > self._part_bytes or number < 1:
            raise ValueError(f"part {number} of {len(body):,} bytes; parts have {self._part_bytes:,}")
        begin, done = (number - 1) * self._part_bytes, 0
        with in_our_words(self._url):
            file = self._file()
            while done < len(body):
                done += os.pwrite(file, body[done:], begin + done)
            if done < self._part_bytes:  # the last one: what was there behind it is no more
                os.ftruncate(file, begin + done)
        self._etags[number] = etag = _etag(crc32_of(body) if crc32 is None else crc32, len(body))
        return etag

    def copy(self, number: int, source: str, start: int, end: int, validator: str) -> tuple[str, int | None]:
        raise CannotCopy(Kind.VALIDATION, f"{shown(self._url)} is a file: nobody copies into it but we.")

    def sent(self) -> dict[int, str]:
        with in_our_words(self._url):
            file = self._file()
            count = -(-os.fstat(file).st_size // self._part_bytes)
            found = {number: self._read_back(file, number) for number in range(1, count + 1)}
        self._etags = {number: etag for number, etag in found.items() if etag}
        return dict(self._etags)

    def complete(self, etags: Sequence[str], size_bytes: int) -> Written:
        if (done := self.completed()) is not None:
            self.abort()
            return done
        with in_our_words(self._url):
            file = self._file()
            self._check(file, etags, size_bytes)
            os.ftruncate(file, size_bytes)
            os.fsync(file)
            self._publish()
            fsync_directory(Path(self._target).parent)
            status = os.fstat(file)
        self._made = []
        self.abort()
        return Written(self._url, status.st_size, validator_of(status))

    def completed(self) -> Written | None:
        try:
            file = os.open(self._target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status, metadata = os.fstat(file), read_metadata(file)
        finally:
            os.close(file)
        if status.st_ino != self._inode or (metadata is not None and metadata.get(WORD) != self.id):
            return None
        return Written(self._url, status.st_size, validator_of(status))

    def abort(self) -> None:
        with in_our_words(self._url), self._lock:
            self._path.unlink(missing_ok=True)
            if self._close is not None:
                self._close()
            self._close, self._opened = None, -1
        remove_directories(self._made)

    def _file(self) -> int:
        """The draft, open and locked."""
        with self._lock:
            if self._opened < 0:
                try:
                    file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
                except FileNotFoundError:
                    raise no_such_upload(self._url) from None
                lock(file, wait=True, shared=True)
                if not is_at(file, self._path):  # a sweeper came between open and lock
                    os.close(file)
                    raise no_such_upload(self._url)
                self._opened = file
                self._close = weakref.finalize(self, os.close, file)
            return self._opened

    def _read_back(self, file: int, number: int) -> str:
        """The ETag of what is on the disk; "" where nothing was ever written."""
        begin = (number - 1) * self._part_bytes
        if _is_hole(file, begin, begin + self._part_bytes):
            return ""
        crc, at = 0, begin
        while piece := os.pread(file, min(1024 * 1024, begin + self._part_bytes - at), at):
            crc, at = crc32_of(piece, crc), at + len(piece)
        return _etag(crc, at - begin)

    def _check(self, file: int, etags: Sequence[str], size_bytes: int) -> None:
        """Raises corrupt unless the parts are those of `etags`, and together as long as the file shall be."""
        for number, etag in enumerate(etags, 1):
            length = min(self._part_bytes, size_bytes - (number - 1) * self._part_bytes)
            known = self._etags.get(number) or self._read_back(file, number)
            if known != etag or etag.partition("-")[2] != str(length):
                raise wrong_part(self._url, number)
        if size_bytes > len(etags) * self._part_bytes:
            raise wrong_part(self._url, len(etags) + 1)

    def _publish(self) -> None:
        options = self._options
        if options.replaces is not None and validator_of(Path(self._target).stat()) != options.replaces:
            raise changed(self._url)
        if options.overwrite or options.replaces is not None:
            self._path.replace(self._target)
            return
        try:
            link(self._path, self._target)
        except FileExistsError as error:
            raise exists_already(self._url) from error


def _etag(crc32: int, length: int) -> str:
    return f"{crc32:08x}-{length}"


def _is_hole(file: int, begin: int, end: int) -> bool:
    """Whether no byte of it was ever written; False where the file system does not tell."""
    try:
        return os.lseek(file, begin, os.SEEK_DATA) >= end
    except (OSError, AttributeError) as error:
        return getattr(error, "errno", 0) == errno.ENXIO  # a hole to the end of the file
