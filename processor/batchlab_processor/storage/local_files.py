"""What a file:// URL names, and what the answers of the file system mean for an item."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown


def path_of(url: str) -> str:
    """The path that a file:// URL names, byte for byte; raises ItemError(validation) for another machine's."""
    host, _, path = url.partition("://")[2].partition("/")
    if host not in ("", "localhost"):
        raise ItemError(Kind.VALIDATION, f"{shown(url)} needs three slashes: file:///directory/name.")
    decoded = unquote_to_bytes("/" + path)
    if b"\0" in decoded:
        raise ItemError(Kind.VALIDATION, f"{shown(url)} holds a NUL, which no file name can.")
    return os.fsdecode(decoded)


def as_item_error(error: Exception, url: str) -> ItemError:
    """What an error of the file system means for an item."""
    place = shown(url)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return ItemError(Kind.MISSING, f"{place} is not there.")
    if isinstance(error, IsADirectoryError):
        return ItemError(Kind.VALIDATION, f"{place} is a directory; name a file in it.")
    if isinstance(error, PermissionError):
        return ItemError(Kind.AUTH, f"{place}: permission denied. Change its rights, or run as its owner.")
    if isinstance(error, OSError):
        number = error.errno
        if number in (errno.ENOSPC, errno.EDQUOT):
            return ItemError(Kind.TOO_LARGE, f"{place}: no space is left on its disk. Free some, then retry.")
        if number == errno.EFBIG:
            return ItemError(Kind.TOO_LARGE, f"{place} is larger than its file system allows.")
        if number == errno.EROFS:
            return ItemError(Kind.AUTH, f"{place}: its file system is read-only. Choose another place.")
        if number in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            return ItemError(Kind.VALIDATION, f"{place} cannot be a file's name: {os.strerror(number)}.")
        return ItemError(Kind.API_ERROR, f"{place}: {error.strerror or error}.")
    return ItemError(Kind.BUG, f"{place}: {type(error).__name__}: {error}")


@contextmanager
def in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise as_item_error(error, url) from error


def validator_of(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def changed(url: str) -> ItemError:
    return ItemError(Kind.CHANGED, f"{shown(url)} is not the file it was.")


def make_directories(folder: Path) -> list[Path]:
    """Afterwards `folder` exists; the directories that this made, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made = []
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another writer was quicker
            each.mkdir()
            made.append(each)
    return made


def remove_directories(made: list[Path]) -> None:
    """Takes back what `make_directories` made, unless somebody put something there meanwhile."""
    for directory in reversed(made):
        with contextlib.suppress(OSError):
            directory.rmdir()
