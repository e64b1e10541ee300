"""The archive as a stream of bytes, from members that arrive one by one (stream-zip writes the format)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from batchlab_processor.jobs.zip_export.contents import is_text
from batchlab_processor.jobs.zip_export.payload import CHUNK_BYTES, Payload
from batchlab_processor.jobs.zip_export.photo import Member

if TYPE_CHECKING:
    from stream_zip import MemberFile

CONTENT_TYPE = "application/zip"
_MODE = 0o100644  # a plain file that everybody may read
_DEFLATE_LEVEL = 6
_SMALL_BYTES = 0xFFFF_FFFF  # classic ZIP counts bytes in 32 bits
_SMALL_MEMBERS = 0xFFFF  # and members in 16
_TAIL_BYTES = 22 + 20 + 56  # end of central directory, and its Zip64 forms


def member_bytes(name: str, size_bytes: int) -> int:
    """At most so many bytes does a member take, its line in the central directory included."""
    deflated = size_bytes + (size_bytes >> 11) + 64  # zlib's own bound is tighter
    headers = 30 + 46 + 2 * (len(name.encode()) + 28 + 9 + 11)  # extra fields: Zip64, UNIX date, AES
    return deflated + headers + 24 + 28  # data descriptor; AES salt, check and digest


def archive_bytes(members: Iterable[tuple[str, int]]) -> int:
    """At most so many bytes does an archive of (name, size in bytes) take."""
    return sum(member_bytes(name, size_bytes) for name, size_bytes in members) + _TAIL_BYTES


def archive(
    members: Iterable[tuple[Member, Payload]], *, compress_text: bool, password: str | None
) -> Generator[bytes]:
    """The bytes of a ZIP of these members, in their order; each payload is released when it is written.

    Stored members carry size and CRC-32 in their local header: readers of streams need them there. Classic
    headers as long as everything fits, Zip64 from there on.
    """
    from stream_zip import stream_zip  # takes 50 ms with its ciphers, and most archives are not made by it

    files = _members(members, compress_text=compress_text)
    yield from stream_zip(files, chunk_size=CHUNK_BYTES, password=_in_utf8(password))


def _in_utf8(password: str | None) -> str | None:
    """A text whose Latin-1, which stream-zip takes a password's bytes from, is what 7-Zip and bsdtar expect."""
    return password.encode("utf-8").decode("latin-1") if password is not None else None


def _members(members: Iterable[tuple[Member, Payload]], *, compress_text: bool) -> Iterator[MemberFile]:
    from stream_zip import NO_COMPRESSION_32, NO_COMPRESSION_64, ZIP_AUTO

    end_bytes = _TAIL_BYTES
    for count, (member, payload) in enumerate(members, start=1):
        end_bytes += member_bytes(member.name, member.size_bytes)
        assert member.crc32 is not None  # a stored member's header holds it
        small = end_bytes <= _SMALL_BYTES and count <= _SMALL_MEMBERS
        if compress_text and is_text(member.name):
            method = ZIP_AUTO(member.size_bytes, level=_DEFLATE_LEVEL)
        elif small:
            method = NO_COMPRESSION_32(member.size_bytes, member.crc32)
        else:
            method = NO_COMPRESSION_64(member.size_bytes, member.crc32)
        try:
            yield member.name, member.date, _MODE, method, payload.chunks()
        finally:
            payload.release()
