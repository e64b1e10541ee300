"""A file of this machine as an answer: whole, or the part that Range asks for (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class FileChanged(OSError):
    """The file became another one before it was sent; the connection is cut, because its length was promised."""


@dataclass(frozen=True)
class FilePart:
    """Bytes `start` to `start + length` of a file; iterate over it to read them, and to open the file at all."""

    path: Path
    start: int
    length: int
    version: tuple[int, int, int]  # inode, size, time of change: of the file that was looked at

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            if _version(os.fstat(file.fileno())) != self.version:
                raise FileChanged(f"{self.path.name} has changed.")
            file.seek(self.start)
            left = self.length
            while left:
                chunk = file.read(min(_CHUNK_BYTES, left))
                if not chunk:
                    raise FileChanged(f"{self.path.name} has become shorter.")
                left -= len(chunk)
                yield chunk


def file_answer(
    path: Path, method: str, asked: Mapping[str, str]
) -> tuple[int, dict[str, str], FilePart | None]:
    """(status, headers, what to send). `asked`: the request's headers, names in lower case.

    Raises FileNotFoundError when there is no such file.
    """
    found = path.stat()
    size, tag = found.st_size, f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    modified = formatdate(found.st_mtime, usegmt=True)
    headers = {"ETag": tag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
    if tag in re.split(r"\s*,\s*", asked.get("if-none-match", "")):
        return 304, headers, None
    start, length, status = 0, size, 200
    text = asked.get("range", "")
    if method == "GET" and text and asked.get("if-range", tag) in (tag, modified):
        part = _part(text, size)
        if part == (0, 0):
            return 416, {**headers, "Content-Range": f"bytes */{size}", "Content-Length": "0"}, None
        if part is not None:
            start, length = part
            status = 206
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    headers["Content-Length"] = str(length)
    return status, headers, FilePart(path, start, length, _version(found)) if method == "GET" else None


def _part(text: str, size: int) -> tuple[int, int] | None:
    """(start, length) of the one range that `text` names; (0, 0): there is nothing; None: send the whole file."""
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return None  # several ranges, or another unit: whoever asks takes the whole as well
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else (0, 0)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, end - start + 1) if start < size else (0, 0)


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return (found.st_ino, found.st_size, found.st_mtime_ns)
