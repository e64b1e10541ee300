"""file:///path: files of this machine. A file appears whole or not at all; nothing of a dead writer stays."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Listed, Probed, Reader, WriteOptions, Writer, Written
from batchlab_processor.storage.draft import Draft, is_draft, read_metadata, sweep
from batchlab_processor.storage.local_files import (
    as_item_error,
    changed,
    in_our_words,
    make_directories,
    path_of,
    remove_directories,
    validator_of,
)
from batchlab_processor.storage.names import exists_already, quoted
from batchlab_processor.storage.parts import Parts
from batchlab_processor.storage.streams import HEAD_BYTES, StreamReader, cut


class LocalScheme:
    """Files, by URL. Symbolic links to files are followed, those to directories are not listed into."""

    def __init__(self) -> None:
        self._swept: set[str] = set()
        self._lock = threading.Lock()

    def probe(self, url: str) -> Probed:
        with _opened(url) as (file, status):
            probed = _probed(url, status, os.pread(file, HEAD_BYTES, 0))
            return replace(probed, metadata=read_metadata(file))

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Reader]:
        with _opened(url) as (file, status):
            seen = validator_of(status)
            if validator not in (None, seen):
                raise changed(url)
            first, last = cut(start, end, status.st_size)
            os.lseek(file, first, os.SEEK_SET)

            def unchanged() -> None:
                if validator_of(os.fstat(file)) != seen:
                    raise changed(url)

            yield StreamReader(
                _probed(url, status, b""),
                last - first,
                _Descriptor(file),
                as_item_error=lambda error: as_item_error(error, url),
                at_end=unchanged,
                short=Kind.CHANGED,
            )

    @contextmanager
    def write(self, url: str, options: WriteOptions) -> Iterator[Writer]:
        target = path_of(url)
        if target.endswith("/"):
            raise ItemError(Kind.VALIDATION, f"{shown(url)} is a directory; add a name: {shown(url)}name.")
        folder = Path(target).parent
        made: list[Path] = []
        with in_our_words(url):
            try:
                made = make_directories(folder)
                self._sweep_once(str(folder))
                writer = _LocalWriter(url, target, options)
            except (NotADirectoryError, FileNotFoundError) as error:
                remove_directories(made)
                raise ItemError(
                    Kind.VALIDATION, f"{shown(url)} lies below a file, not a directory."
                ) from error
            except BaseException:
                remove_directories(made)
                raise
        try:
            yield writer
        finally:
            with in_our_words(url):
                writer.draft.discard()
            if not writer.committed:
                remove_directories(made)

    def list(self, prefix: str) -> Iterator[Listed]:
        path = path_of(prefix)
        folder, _, begin = path.rpartition("/")
        try:
            yield from _files(os.fsencode(folder + "/"), os.fsencode(begin))
        except OSError as error:
            raise as_item_error(error, prefix) from error

    def delete(self, url: str) -> None:
        try:
            Path(path_of(url)).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise as_item_error(error, url) from error

    def takes_parts(self, url: str) -> bool:
        return True

    def begin_parts(self, url: str, options: WriteOptions, part_bytes: int) -> Parts:
        from batchlab_processor.storage.parts_file import FileParts

        return FileParts.begin(url, options, part_bytes)

    def resume_parts(self, url: str, upload_id: str, options: WriteOptions, part_bytes: int) -> Parts:
        from batchlab_processor.storage.parts_file import FileParts

        return FileParts(url, upload_id, options, part_bytes)

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        return url

    def abort_uploads(self, url: str) -> int:
        """Removes what dead writers left in the directory of `url`; parts only of `url` itself."""
        target = path_of(url)
        try:
            return sweep(str(Path(target).parent), target)
        except OSError as error:
            raise as_item_error(error, url) from error

    def _sweep_once(self, folder: str) -> None:
        """Once in a process: a directory may hold many files, and each write would read it all."""
        with self._lock:
            if folder in self._swept:
                return
            self._swept.add(folder)
        sweep(folder)


class _LocalWriter:
    def __init__(self, url: str, target: str, options: WriteOptions) -> None:
        self.draft = Draft(target)
        self.committed = False
        self._url = url
        self._target = target
        self._options = options

    def write(self, data: bytes | memoryview) -> int:
        with in_our_words(self._url):
            return self.draft.write(data)

    def commit(self) -> Written:
        options = self._options
        with in_our_words(self._url):
            if options.metadata:
                self.draft.describe(options.metadata)
            if options.replaces is not None and validator_of(Path(self._target).stat()) != options.replaces:
                raise changed(self._url)
            overwrite = options.overwrite or options.replaces is not None
            try:
                status = self.draft.publish(self._target, overwrite=overwrite)
            except FileExistsError as error:
                raise exists_already(self._url) from error
        self.committed = True
        return Written(self._url, status.st_size, validator_of(status))


@contextmanager
def _opened(url: str) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file, open for reading; a pipe or device is refused, not waited for."""
    with in_our_words(url):
        file = os.open(path_of(url), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise as_item_error(IsADirectoryError(), url)
        if not stat.S_ISREG(status.st_mode):
            raise ItemError(Kind.VALIDATION, f"{shown(url)} is no file but a pipe or device.")
        yield file, status
    finally:
        os.close(file)


class _Descriptor:
    def __init__(self, file: int) -> None:
        self._file = file

    def readinto(self, buffer: memoryview, /) -> int:
        return os.readv(self._file, [buffer])


def _probed(url: str, status: os.stat_result, head: bytes) -> Probed:
    return Probed(
        url,
        size_bytes=status.st_size,
        validator=validator_of(status),
        modified=_modified(status),
        head=head,
        ranges=True,
    )


def _modified(status: os.stat_result) -> datetime:
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError):  # a file system may hold any number
        return datetime.fromtimestamp(0, UTC)


def _files(folder: bytes, begin: bytes = b"") -> Iterator[Listed]:
    """All files at and below `folder`, in byte order of their paths; an absent folder holds none."""
    try:
        with os.scandir(folder) as entries:
            # "a.jpg" comes before "a/1.jpg", as in a bucket: a directory sorts with its slash
            found = sorted(
                (entry.name + b"/" * entry.is_dir(follow_symlinks=False), entry)
                for entry in entries
                if entry.name.startswith(begin)
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, entry in found:
        if name.endswith(b"/"):
            yield from _files(folder + name)
        elif not is_draft(entry.name):
            try:
                status = entry.stat()
            except OSError:  # gone meanwhile, or a link that leads nowhere
                continue
            if stat.S_ISREG(status.st_mode):
                yield Listed("file://" + quoted(entry.path), status.st_size, _modified(status))
