"""Random archives of the layout, lost photos among them, opened by what people open archives with."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from stream_unzip import stream_unzip

from batchlab_processor.jobs.zip_export import fillers
from batchlab_processor.jobs.zip_export.dates import member_date
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from batchlab_processor.jobs.zip_export.names import MISSING_NAME, NOTE_NAME, member_names
from tests.processor.jobs.zip_export.archives import DATE, archive, crcs, shape, sparse, whole

FEW = 8
MANY = int(os.environ.get("BATCHLAB_TEST_ARCHIVES", "200"))  # 2,000 by hand
_ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_WORDS = [
    "DSC_0001",
    "a",
    "Zoë & Jürgen",
    "😀",
    "写真",
    "_missing_3",
    "_missing_0",
    "photo",
    "x" * 230,
    "1",
    "١",
    "é",
]
_FOLDERS = ["", "", "", "ceremony/", "a/b/c/", "写真/", "y" * 200 + "/", "_missing_00001/"]


@dataclass(frozen=True)
class Seen:
    """What a reader says of a member; None: this reader does not say it."""

    size_bytes: int
    crc32: int
    instant: int | None = None  # seconds since 1970
    clock: tuple[int, ...] | None = None  # what hung on the wall


@dataclass(frozen=True)
class Example:
    """An archive and what is to be found in it."""

    content: bytes
    listed: Mapping[str, Seen]  # by what looks into the directory
    streamed: Mapping[str, Seen]  # by what reads from the beginning: the fillers, too


def example(seed: int) -> Example:
    dice = random.Random(seed)
    wanted = [
        dice.choice(_FOLDERS) + dice.choice(_WORDS) + dice.choice(["", ".jpg"])
        for _ in range(dice.randint(1, 25))
    ]
    contents = [content(dice) for _ in wanted]
    shapes = [
        Shape(name, len(each), date(dice)) for name, each in zip(member_names(wanted), contents, strict=True)
    ]
    lost = {n for n in range(len(shapes)) if dice.random() < dice.choice([0, 0.2, 0.8])}
    lost.discard(dice.randrange(len(shapes)))  # an archive of nothing is never delivered
    table = b"\xef\xbb\xbfname,id,kind,reason,attempts\r\n"
    extra = [(shape(MISSING_NAME, len(table)), table)] if lost else []
    layout = Layout(shapes)
    made = whole(layout, contents, lost, extra)
    there = len(shapes)
    if dice.random() < 0.3:  # without the fillers of the last photos
        there = 1 + max(set(range(len(shapes))) - lost)
        end = layout.data_span(there - 1)[1]
        made = made[:end] + layout.tail(crcs(contents, lost), extra, end=end)
    listed, streamed = {}, {}
    for member, (each, body) in enumerate(zip(shapes, contents, strict=True)):
        if member not in lost:
            listed[each.name] = streamed[each.name] = seen(each, body)
        elif member < there:
            header = layout.filler_header(member)[0 if member else fillers.ROOM_BYTES :]
            streamed[header[30 : 30 + len(each.name.encode())].decode()] = seen(each, bytes(len(body)))
    if 0 in lost:
        listed[NOTE_NAME] = streamed[NOTE_NAME] = seen(shapes[0], fillers.NOTE)
    tables = {each.name: seen(each, body) for each, body in extra}
    return Example(made, listed | tables, streamed | tables)


def content(dice: random.Random) -> bytes:
    kind = dice.randrange(6)
    if kind == 0:
        return b""
    if kind == 1:  # an archive in the archive, and loose signatures
        return archive({shape("inner.jpg", 5): b"inner"}) + b"PK\x07\x08PK\x03\x04PK\x05\x06" + bytes(18)
    return dice.randbytes(dice.choice([1, 30, 5_000, 70_000, 300_000]))


def date(dice: random.Random) -> datetime:
    zone = timezone(timedelta(minutes=15 * dice.randint(-48, 56)))
    at = datetime(1979, 6, 1, tzinfo=zone) + timedelta(seconds=dice.randrange(60 * 365 * 86_400))
    return member_date(at, None, DATE)


def seen(each: Shape, body: bytes) -> Seen:
    return Seen(len(body), zlib.crc32(body), int(each.date.timestamp()), each.date.timetuple()[:6])


# The readers


def python(path: Path, _: Path) -> dict[str, Seen]:
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return {
            info.filename: Seen(
                info.file_size,
                zlib.crc32(opened.read(info)),
                struct.unpack("<2sHBi", info.extra)[3],
                info.date_time,
            )
            for info in opened.infolist()
        }


def stream_unzips(path: Path, _: Path) -> dict[str, Seen]:
    with path.open("rb") as file:
        found = {}
        for name, _, chunks in stream_unzip(iter(lambda: file.read(65_536), b"")):
            body = b"".join(chunks)
            assert name.decode() not in found
            found[name.decode()] = Seen(len(body), zlib.crc32(body))
        return found


def program(*commands: str, says: str = "") -> Callable[[Path, Path], dict[str, Seen]]:
    """Shell commands that test an archive, and unpack it into the directory they run in."""

    def read(path: Path, to: Path) -> dict[str, Seen]:
        for command in commands:
            need(command.partition(" ")[0])
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {command}", "reader", path],
                cwd=to, env=_ENVIRONMENT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert not done.stderr
            assert says in done.stdout and "arning" not in done.stdout
        return {
            str(file.relative_to(to)): Seen(
                file.stat().st_size, zlib.crc32(file.read_bytes()), int(file.stat().st_mtime)
            )
            for file in to.rglob("*")
            if file.is_file()
        }

    return read


def need(tool: str) -> None:
    packages = "unzip libarchive-tools 7zip default-jdk-headless"
    if tool != "cat" and shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: apt-get install {packages}")


class Java:
    """One virtual machine that reads all archives, by java.util.zip.ZipInputStream."""

    def __init__(self, classes: Path) -> None:
        for tool in ("javac", "java"):
            need(tool)
        subprocess.run(["javac", "-d", classes, Path(__file__).with_name("ReadZips.java")], check=True)
        self._process = subprocess.Popen(
            ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m", "-cp", classes, "ReadZips"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, path: Path, _: Path) -> dict[str, Seen]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{path}\n".encode())
        self._process.stdin.flush()
        found = {}
        while (line := self._process.stdout.readline().decode()) != "end\n":
            assert line, "Java gave up, see its traceback"
            size, crc, instant, name = line.removesuffix("\n").split(" ", 3)
            assert name not in found
            found[name] = Seen(int(size), int(crc), int(instant))
        return found

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Java]:
    reader = Java(tmp_path_factory.mktemp("classes"))
    yield reader
    reader.close()


def agree(found: Mapping[str, Seen], expected: Mapping[str, Seen]) -> bool:
    return found.keys() == expected.keys() and all(
        told is None or told == known
        for name, each in expected.items()
        for told, known in zip(vars(found[name]).values(), vars(each).values(), strict=True)
    )


def read_all(
    count: int, read: Callable[[Path, Path], dict[str, Seen]], tmp_path: Path, *, streamed: bool
) -> None:
    path = tmp_path / "a.zip"
    for seed in range(count):
        made = example(seed)
        path.write_bytes(made.content)
        to = tmp_path / f"to-{seed}"
        to.mkdir()
        assert agree(read(path, to), made.streamed if streamed else made.listed), f"archive {seed}"
        shutil.rmtree(to)


counts = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


@counts
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(python, id="python"),
        pytest.param(program("unzip -tq $1", "unzip -q $1"), id="unzip"),
        pytest.param(program("7zz t $1", "7zz x $1", says="Everything is Ok"), id="7-Zip"),
        pytest.param(program("bsdtar -xf $1"), id="bsdtar"),
    ],
)
def test_what_reads_the_directory_finds_every_photo_and_no_filler(
    tmp_path: Path, read: Callable[[Path, Path], dict[str, Seen]], count: int
) -> None:
    read_all(count, read, tmp_path, streamed=False)


@counts
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(stream_unzips, id="stream-unzip"),
        pytest.param(program("cat $1 | bsdtar -xf -"), id="bsdtar from a pipe"),
    ],
)
def test_what_reads_a_stream_reads_on_behind_fillers_and_finds_every_photo(
    tmp_path: Path, read: Callable[[Path, Path], dict[str, Seen]], count: int
) -> None:
    read_all(count, read, tmp_path, streamed=True)


@counts
def test_java_reads_on_behind_fillers_and_finds_every_photo(tmp_path: Path, java: Java, count: int) -> None:
    read_all(count, java, tmp_path, streamed=True)


# Larger than classic archives


def on_disk(shapes: list[Shape], contents: Mapping[int, bytes], path: Path) -> None:
    """Takes as much of the disk as the headers do."""
    with path.open("wb") as file:
        for begin, piece in sparse(shapes, contents).pieces.items():
            file.seek(begin)
            file.write(piece)


PRINTERS = ["unzip -p $1 last.jpg", "7zz x -so $1 last.jpg", "bsdtar -xOf $1 last.jpg"]


@pytest.mark.parametrize("command", PRINTERS)
@pytest.mark.parametrize("offset", [0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000])
def test_a_photo_where_32_bits_end_is_found(tmp_path: Path, command: str, offset: int) -> None:
    need(command.partition(" ")[0])
    first = offset - (30 + 9 + 9) - fillers.ROOM_BYTES
    on_disk([shape("first.jpg", first), shape("last.jpg", 5)], {1: b"photo"}, tmp_path / "a.zip")
    assert printed(command, tmp_path / "a.zip") == b"photo"


# Not (unzip, 0xFFFF_FFFF): unzip 6.00 loses its way behind a member of exactly so many bytes, though its Zip64
# fields are those that zipfile writes.
@pytest.mark.parametrize(
    ("command", "size_bytes"),
    [(each, size) for each in PRINTERS for size in (0xFFFF_FFFE, 0x1_0000_0000)]
    + [(each, 0xFFFF_FFFF) for each in PRINTERS[1:]],
)
def test_a_photo_behind_one_as_long_as_32_bits_say_is_found(
    tmp_path: Path, command: str, size_bytes: int
) -> None:
    tool = command.partition(" ")[0]
    need(tool)
    if tool == "unzip" and size_bytes == 0xFFFF_FFFF:
        pytest.skip(
            "unzip 6.00 loses its way behind a member of exactly so many bytes, said as the format asks"
        )
    on_disk([shape("first.jpg", size_bytes), shape("last.jpg", 5)], {1: b"photo"}, tmp_path / "a.zip")
    assert printed(command, tmp_path / "a.zip") == b"photo"


@pytest.mark.slow
@pytest.mark.parametrize("command", PRINTERS)
@pytest.mark.parametrize("count", [65_534, 65_535, 65_536, 70_000])
def test_the_last_of_more_members_than_16_bits_count_is_found(
    tmp_path: Path, command: str, count: int
) -> None:
    need(command.partition(" ")[0])
    made = [*(shape(f"{n}.jpg", 0) for n in range(count - 1)), shape("last.jpg", 5)]
    on_disk(made, {count - 1: b"photo"}, tmp_path / "a.zip")
    assert printed(command, tmp_path / "a.zip") == b"photo"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reader", "size_bytes"),
    [("bsdtar", 0xFFFF_FFFF)]
    + [
        (each, size)
        for each in ("stream-unzip", "java")
        for size in (0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000)
    ],
)
def test_a_photo_behind_4_gib_of_a_stream_is_found(
    tmp_path: Path, reader: str, size_bytes: int, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "a.zip"
    on_disk([shape("first.jpg", size_bytes), shape("last.jpg", 5)], {1: b"photo"}, path)
    if reader == "bsdtar":
        need("bsdtar")
        assert printed("cat $1 | bsdtar -xOf - last.jpg", path) == b"photo"
    elif reader == "java":
        found = request.getfixturevalue("java")(path, tmp_path)
        assert [each.size_bytes for each in found.values()] == [size_bytes, 5]
    else:
        with path.open("rb") as file:
            sizes = [
                sum(len(chunk) for chunk in chunks)
                for _, _, chunks in stream_unzip(iter(lambda: file.read(1 << 20), b""), chunk_size=1 << 20)
            ]
        assert sizes == [size_bytes, 5]


def printed(command: str, path: Path) -> bytes:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "reader", path],
        env=_ENVIRONMENT, capture_output=True, check=True,
    ).stdout  # fmt: skip


def test_the_examples_hold_what_they_are_to_show() -> None:
    made = [example(seed) for seed in range(FEW)]
    assert any(each.streamed.keys() - each.listed.keys() for each in made)
    assert any(MISSING_NAME in each.listed for each in made)
    assert any(NOTE_NAME in each.listed for each in made)
    assert len({each.content for each in made}) == FEW
