"""A file that nobody sees before it is whole, and that the next writer removes when its own was killed.

The draft lies beside its target, under a name of ours, locked by its writer for as long as it lives. So a
draft that can be locked belongs to a dead writer; on one machine that needs no clock and no process ids.
A draft of parts waits for the job's next run: it is removed for its own target, or when it is a week old.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

_ATTRIBUTE = "user.batchlab."
_NAME = re.compile(rb"\.batchlab-[0-9a-f]{16}(?:\.part|\.[0-9a-f]{16}\.parts)")
_OLD_SECONDS = 7 * 24 * 3600  # a draft of parts that nobody wrote to for so long is nobody's
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
            lock(self._file, wait=True)
            if is_at(self._file, self._path):  # else a sweeper came between open and lock
                return
            os.close(self._file)

    def write(self, data: bytes | memoryview) -> int:
        with memoryview(data).cast("B") as left:
            done = 0
            while done < len(left):
                done += os.write(self._file, left[done:])
            return done

    def describe(self, metadata: Mapping[str, str]) -> None:
        write_metadata(self._file, metadata)

    def publish(self, target: str, *, overwrite: bool) -> os.stat_result:
        """Makes the file visible at `target`; raises FileExistsError when one is there and must not."""
        os.fsync(self._file)
        if overwrite:
            self._path.replace(target)
        else:
            link(self._path, target)
        fsync_directory(Path(target).parent)
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


def parts_path(target: str, token: str) -> Path:
    """Where the draft of parts of `target` lies; `token`: 16 hex digits that are its own."""
    return Path(target).parent / f".batchlab-{token}.{_mark(target)}.parts"


def write_metadata(file: int, metadata: Mapping[str, str]) -> None:
    """Writes extended attributes where the file system keeps them; elsewhere nothing."""
    for name, value in metadata.items():
        if not hasattr(os, "setxattr"):  # macOS
            return
        with contextlib.suppress(OSError):
            os.setxattr(file, f"{_ATTRIBUTE}{name}", value.encode())


def read_metadata(file: int) -> dict[str, str] | None:
    """What `write_metadata` wrote; None where the file system keeps none."""
    if not hasattr(os, "listxattr"):
        return None
    try:
        names = [name for name in os.listxattr(file) if name.startswith(_ATTRIBUTE)]
        return {
            name.removeprefix(_ATTRIBUTE): os.getxattr(file, name).decode(errors="replace") for name in names
        }
    except OSError:
        return None


def sweep(folder: str, target: str = "") -> int:
    """Removes the drafts of dead writers from `folder`, and says how many.

    Drafts of parts are removed when they are those of `target`, or old.
    """
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
            if _is_waste(file, path, target) and lock(file):
                path.unlink(missing_ok=True)
                removed += 1
        finally:
            os.close(file)
    return removed


def _is_waste(file: int, path: Path, target: str) -> bool:
    if path.suffix != ".parts" or (target and path.name.endswith(f".{_mark(target)}.parts")):
        return True
    return time.time() - os.fstat(file).st_mtime > _OLD_SECONDS


def _mark(target: str) -> str:
    """What tells the drafts of this target from those of its neighbours."""
    return hashlib.sha256(os.fsencode(Path(target).name)).hexdigest()[:16]


def lock(file: int, *, wait: bool = False, shared: bool = False) -> bool:
    """Whether the lock is ours now. False too where there are no locks: then nothing is ever swept."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def link(path: Path, target: str) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Two writers at the same moment are not told apart here, but the file is whole in any case.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        path.rename(target)


def fsync_directory(folder: Path) -> None:
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
