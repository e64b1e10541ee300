from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stream_unzip import IncorrectAESPasswordError, stream_unzip

from batchlab_processor.jobs.zip_export import archive as module
from batchlab_processor.jobs.zip_export.archive import archive, archive_bytes
from batchlab_processor.jobs.zip_export.payload import Blocks, Payload, in_memory
from batchlab_processor.jobs.zip_export.photo import Member
from batchlab_processor.jobs.zip_export.receive import crc32

DATE = datetime(2026, 6, 6, 14, 30, 8, tzinfo=UTC)
PHOTOS = {
    "001.jpg": b"\xff\xd8\xff" + os.urandom(300_000),
    "ceremony/Zoë & Jürgen.jpg": os.urandom(65_536),
    "ceremony/002 😀.png": os.urandom(1),
    "read me.txt": b"many words, " * 20_000,
}

# stream-zip derives keys as the format says (PBKDF2 with HMAC-SHA1); pycryptodome wants that said out loud
_aes = pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")


def members(photos: dict[str, bytes], blocks: Blocks | None = None) -> Iterable[tuple[Member, Payload]]:
    blocks = blocks or Blocks()
    for name, content in photos.items():
        yield (
            Member(name=name, date=DATE, size_bytes=len(content), crc32=crc32(content, 0)),
            in_memory(blocks, content),
        )


def made(photos: dict[str, bytes], *, compress_text: bool = False, password: str | None = None) -> bytes:
    return b"".join(archive(members(photos), compress_text=compress_text, password=password))


def unpacked(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: apt-get install unzip libarchive-tools 7zip")


@pytest.mark.parametrize("compress_text", [False, True])
def test_python_reads_every_member_name_and_date(compress_text: bool) -> None:
    with zipfile.ZipFile(io.BytesIO(made(PHOTOS, compress_text=compress_text))) as opened:
        assert opened.testzip() is None
        assert {info.filename: opened.read(info) for info in opened.infolist()} == PHOTOS
        assert {info.date_time for info in opened.infolist()} == {(2026, 6, 6, 14, 30, 8)}


@pytest.mark.parametrize("compress_text", [False, True])
def test_a_reader_of_streams_reads_every_member(compress_text: bool) -> None:
    stream = stream_unzip([made(PHOTOS, compress_text=compress_text)])
    assert {name.decode(): b"".join(chunks) for name, _, chunks in stream} == PHOTOS


@pytest.mark.parametrize(
    "command",
    [
        ["unzip", "-q", "{zip}", "-d", "{to}"],
        ["bsdtar", "-xf", "{zip}", "-C", "{to}"],
        ["sh", "-c", "cat {zip} | bsdtar -xf - -C {to}"],
        ["7zz", "x", "-y", "-o{to}", "{zip}"],
    ],
    ids=["unzip", "bsdtar", "bsdtar from a pipe", "7zip"],
)
@pytest.mark.parametrize("compress_text", [False, True])
def test_other_programs_read_every_member(tmp_path: Path, command: list[str], compress_text: bool) -> None:
    need("bsdtar" if command[0] == "sh" else command[0])
    zip_path, to = tmp_path / "a.zip", tmp_path / "to"
    to.mkdir()
    zip_path.write_bytes(made(PHOTOS, compress_text=compress_text))
    line = [part.format(zip=zip_path, to=to) for part in command]
    subprocess.run(
        line, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    )
    assert unpacked(to) == PHOTOS
    assert all(path.stat().st_mtime == DATE.timestamp() for path in to.rglob("*.jpg"))


def test_unzip_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    need("unzip")
    (tmp_path / "a.zip").write_bytes(made(PHOTOS))
    said = subprocess.run(
        ["unzip", "-t", tmp_path / "a.zip"], check=True, capture_output=True, text=True
    ).stdout
    assert "No errors detected" in said


def test_stored_members_say_size_and_crc_before_their_bytes() -> None:
    content = made({"a.jpg": b"abc"})
    _, _, flags, method, _, crc, compressed, size = struct.unpack("<IHHHIIII", content[:26])
    assert not flags & 0b1000  # no data descriptor: readers of streams cannot find the end of a stored member
    assert (method, crc, compressed, size) == (0, crc32(b"abc", 0), 3, 3)


def test_only_text_is_deflated_and_only_when_asked() -> None:
    def methods(*, compress_text: bool) -> dict[str, int]:
        with zipfile.ZipFile(io.BytesIO(made(PHOTOS, compress_text=compress_text))) as opened:
            return {info.filename: info.compress_type for info in opened.infolist()}

    assert set(methods(compress_text=False).values()) == {zipfile.ZIP_STORED}
    asked = methods(compress_text=True)
    assert asked.pop("read me.txt") == zipfile.ZIP_DEFLATED
    assert set(asked.values()) == {zipfile.ZIP_STORED}


def test_the_same_members_make_the_same_bytes() -> None:
    assert made(PHOTOS, compress_text=True) == made(PHOTOS, compress_text=True)


@_aes
@pytest.mark.parametrize("compress_text", [False, True])
@pytest.mark.parametrize("password", [None, "secret"])
def test_an_archive_is_never_longer_than_foreseen(compress_text: bool, password: str | None) -> None:
    hard = {f"{n}.txt": os.urandom(size) for n, size in enumerate((0, 1, 1000, 70_000, 300_000))}
    for photos in (PHOTOS, hard):
        foreseen = archive_bytes((name, len(content)) for name, content in photos.items())
        real = len(made(photos, compress_text=compress_text, password=password))
        assert real <= foreseen
        assert compress_text or foreseen <= real * 1.1 + 5000


@_aes
@pytest.mark.parametrize("password", ["söcret", "秘密 €"])
def test_a_password_in_any_letters_counts_in_utf_8_as_readers_type_it(password: str) -> None:
    content = made(PHOTOS, password=password)
    for _, _, chunks in stream_unzip([content], password=password.encode()):
        list(chunks)


@_aes
def test_a_password_protects_every_member_with_aes() -> None:
    content = made(PHOTOS, password="secret")
    assert PHOTOS["001.jpg"][:100] not in content
    stream = stream_unzip([content], password=b"secret")
    assert {name.decode(): b"".join(chunks) for name, _, chunks in stream} == PHOTOS
    with pytest.raises(IncorrectAESPasswordError):
        [list(chunks) for _, _, chunks in stream_unzip([content], password=b"wrong")]


def test_small_archives_carry_no_zip64_and_large_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    end_of_zip64 = b"PK\x06\x06"
    assert end_of_zip64 not in made({"a.jpg": b"abc"})
    monkeypatch.setattr(module, "_SMALL_BYTES", 1000)
    content = made({f"{n}.jpg": bytes(200) for n in range(10)})
    assert end_of_zip64 in content
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        versions = [info.extract_version for info in opened.infolist()]
    assert versions == sorted(versions)
    assert set(versions) == {20, 45}


@pytest.mark.slow
def test_more_members_than_classic_archives_hold() -> None:
    count = 65_537
    photos = {f"{n}.jpg": b"x" for n in range(count)}
    with zipfile.ZipFile(io.BytesIO(made(photos))) as opened:
        assert len(opened.namelist()) == count
        assert opened.read("65536.jpg") == b"x"


def test_memory_is_given_back_when_a_member_is_written_and_when_nobody_reads_on() -> None:
    released: list[str] = []

    class Watched:
        def __init__(self, name: str, payload: Payload) -> None:
            self.name, self.payload = name, payload

        def chunks(self) -> Iterable[bytes]:
            return self.payload.chunks()

        def release(self) -> None:
            released.append(self.name)

    def watched() -> Iterable[tuple[Member, Payload]]:
        for member, payload in members(PHOTOS):
            yield member, Watched(member.name, payload)  # type: ignore[misc]

    whole = archive(watched(), compress_text=False, password=None)
    for chunk in whole:
        if b"ceremony/002" in chunk:
            break
    assert released[:2] == ["001.jpg", "ceremony/Zoë & Jürgen.jpg"]
    whole.close()
    assert "ceremony/002 😀.png" in released
