"""From any exception to an ItemError: what the engine does with what a job type or a library raised."""

from __future__ import annotations

import errno
import socket
import ssl

from batchlab.kinds import ItemError, Kind

__all__ = ["ItemError", "Kind", "classify"]


def classify(error: BaseException) -> ItemError:
    """The ItemError that says the same; what nobody foresaw is a `bug` and names its type."""
    if isinstance(error, ItemError):
        return error
    if type(error).__module__.partition(".")[0] in ("botocore", "boto3", "s3transfer"):
        from batchlab_processor.storage.s3 import kind_of

        return kind_of(error)
    for types, kind in _BUILT_IN:
        if isinstance(error, types):
            return ItemError(kind, _text(error))
    if isinstance(error, MemoryError):
        return ItemError(Kind.TOO_LARGE, "Out of memory. Use fewer workers or a smaller limits.ahead_bytes.")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ItemError(Kind.TOO_LARGE, "No space left on the disk. Free some and retry.")
    return ItemError(Kind.BUG, _text(error))


_BUILT_IN: tuple[tuple[tuple[type[BaseException], ...], Kind], ...] = (
    ((TimeoutError,), Kind.TIMEOUT),
    ((ConnectionError, socket.gaierror, ssl.SSLError), Kind.NETWORK),
)


def _text(error: BaseException) -> str:
    said = str(error).strip()
    name = type(error).__name__
    return f"{name}: {said}" if said else name
