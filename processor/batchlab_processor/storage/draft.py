"""A file that nobody sees before it is whole, and that the next writer removes when its own was killed.

The draft lies beside its target, under a name of ours, locked by its writer for as long as it lives. So a
draft that can be locked belongs to a dead writer; on one machine that needs no clock and no process ids.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

_ATTRIBUTE = "user.batchlab."
_NAME = re.compile(rb"\.batchlab-[0-9a-f]{16}\.part")
# What file systems without hard links answer to link(): FAT and exFAT EPERM, some FUSE ENOSYS or EOPNOTSUPP
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


def is_draft(name: bytes) -> bool:
    """Whether a file of this name is a draft, of whomever."""
    return _NAME.fullmatch(name) is not None


class Draft:
    """An empty file in the directory of `target`. Raises OSError from every method."""

    def __init__(self, target: str) -> None:
        folder = Path(target).parent
        while True:
            self._path = folder / f".batchlab-{secrets.token_hex(8)}.part"
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o666)  # the umask takes from it, as for any new file
            _lock(self._file, wait=True)
            if _is_at(self._file, self._path):  # else a sweeper came between open and lock
                return
            os.close(self._file)

    def write(self, data: bytes | memoryview) -> int:
        with memoryview(data).cast("B") as left:
            done = 0
            while done < len(left):
                done += os.write(self._file, left[done:])
            return done

    def describe(self, metadata: Mapping[str, str]) -> None:
        """Writes extended attributes where the file system keeps them; elsewhere nothing."""
        for name, value in metadata.items():
            if not hasattr(os, "setxattr"):  # macOS
                return
            with contextlib.suppress(OSError):
                os.setxattr(self._file, f"{_ATTRIBUTE}{name}", value.encode())

    def publish(self, target: str, *, overwrite: bool) -> os.stat_result:
        """Makes the file visible at `target`; raises FileExistsError when one is there and must not."""
        os.fsync(self._file)
        if overwrite:
            self._path.replace(target)
        else:
            _link(self._path, target)
        _fsync_directory(Path(target).parent)
        return os.fstat(self._file)

    def discard(self) -> None:
        """Afterwards nothing of the draft is left; what was published stays."""
        if self._file < 0:
            return
        try:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(self._file)
            self._file = -1


def read_metadata(file: int) -> dict[str, str] | None:
    """What `Draft.describe` wrote; None where the file system keeps none."""
    if not hasattr(os, "listxattr"):
        return None
    try:
        names = [name for name in os.listxattr(file) if name.startswith(_ATTRIBUTE)]
        return {
            name.removeprefix(_ATTRIBUTE): os.getxattr(file, name).decode(errors="replace") for name in names
        }
    except OSError:
        return None


def sweep(folder: str) -> int:
    """Removes the drafts of dead writers from `folder`, and says how many."""
    removed = 0
    try:
        drafts = [path for path in Path(folder).iterdir() if is_draft(os.fsencode(path.name))]
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for path in drafts:
        try:
            file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # gone meanwhile, or another user's
            continue
        try:
            if _lock(file):
                path.unlink(missing_ok=True)
                removed += 1
        finally:
            os.close(file)
    return removed


def _lock(file: int, *, wait: bool = False) -> bool:
    """Whether the lock is ours now. False too where there are no locks: then nothing is ever swept."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _link(path: Path, target: str) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Two writers at the same moment are not told apart here, but the file is whole in any case.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        path.rename(target)


def _fsync_directory(folder: Path) -> None:
    """The name survives a power cut too. Some file systems cannot: then it is as durable as they are."""
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(file)
    except OSError:
        pass
    finally:
        os.close(file)
