"""10,000 hostile names: whatever a source calls its photos, unpacking stays in its directory and loses none."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from batchlab_processor.jobs.zip_export.archive import archive
from batchlab_processor.jobs.zip_export.dates import EARLIEST
from batchlab_processor.jobs.zip_export.names import member_names
from batchlab_processor.jobs.zip_export.payload import Blocks, in_memory
from batchlab_processor.jobs.zip_export.photo import Member
from batchlab_processor.jobs.zip_export.receive import crc32

COUNT = int(os.environ.get("BATCHLAB_TEST_NAMES", "2000"))  # 10,000 by hand
_PARTS = [
    *(
        "..",
        ".",
        "...",
        "....",
        "",
        " ",
        "~",
        "-rf",
        "%2e%2e",
        "．．",
        "‥",
        "\u2024.",
        ".. ",
        " ..",
        "..\x00",
        "\x00",
    ),
    *(
        "/etc/passwd",
        "\\\\server\\share",
        "C:",
        "C:\\Windows",
        "file:///etc",
        "//",
        "\\",
        "／",
        "＼",
        "\u2044",
        "\u29f5",
    ),
    *("CON", "nul", "Aux.jpg", "COM1", "lpt9.txt", "com¹", "CONIN$", "PRN .jpg", "nul:", "aux."),
    *(
        "a.jpg",
        "A.JPG",
        "a.jpg.",
        "a.jpg ",
        "Ａ.jpg",
        "a.jpg:stream",
        "a?.jpg",
        "a*.jpg",
        'a".jpg',
        "a|b",
        "<a>",
    ),
    *(
        "é.jpg",
        "e\u0301.jpg",
        "É.jpg",
        "ß.jpg",
        "ss.jpg",
        "SS.jpg",
        "ẞ.jpg",
        "ﬁ.jpg",
        "fi.jpg",
        "K.jpg",
        "\u212a.jpg",
    ),
    *(
        "İ.jpg",
        "i\u0307.jpg",
        "ı.jpg",
        "ſ.jpg",
        "Σ.jpg",
        "ς.jpg",
        "σ.jpg",
        "Å.jpg",
        "\u212b.jpg",
        "가.jpg",
        "\u1100\u1161.jpg",
    ),
    *(
        "a\u200d.jpg",
        "a\u200b.jpg",
        "a\ufeff.jpg",
        "\u202egpj.exe",
        "a\u2028b.jpg",
        "a\nb.jpg",
        "a\rb",
        "a\tb",
        "\x1b[31m",
    ),
    *(
        "\ud800.jpg",
        "\udfff",
        "😀.jpg",
        "👨‍👩‍👧.jpg",
        "\U000e0041.jpg",
        "_missing.csv",
        "_MISSING.CSV",
        "_missing (2).csv",
    ),
    *(
        "x" * 300 + ".jpg",
        "ü" * 200 + ".jpg",
        "😀" * 100,
        "." * 300,
        "a" * 255,
        "a" * 251 + ".jpg",
        "b." + "c" * 300,
    ),
]


def hostile_names(count: int = COUNT, seed: int = 7) -> list[str]:
    """The same names each time: every part alone, then parts joined by any kind of separator."""
    chance = random.Random(seed)
    names = list(_PARTS)
    while len(names) < count:
        parts = [
            chance.choice(_PARTS)
            if chance.random() < 0.8
            else "".join(
                chr(chance.choice((chance.randrange(128), chance.randrange(0x11_0000)))) for _ in range(8)
            )
            for _ in range(chance.choice((1, 1, 2, 2, 3, 40)))
        ]
        names.append(chance.choice("/\\:.").join(parts) if chance.random() < 0.7 else "/".join(parts))
    return names[:count]


@pytest.fixture(scope="module")
def hostile_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = Blocks()
    path = tmp_path_factory.mktemp("hostile") / "a.zip"

    def members() -> object:
        for number, name in enumerate(member_names(hostile_names())):
            content = str(number).encode()
            member = Member(name=name, date=EARLIEST, size_bytes=len(content), crc32=crc32(content, 0))
            yield member, in_memory(blocks, content)

    with path.open("wb") as file:
        for chunk in archive(members(), compress_text=False, password=None):  # type: ignore[arg-type]
            file.write(chunk)
    return path


def _python(zip_path: Path, to: Path) -> None:
    with zipfile.ZipFile(zip_path) as opened:
        opened.extractall(to)


def _program(*command: str) -> Callable[[Path, Path], None]:
    def unpack(zip_path: Path, to: Path) -> None:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed: apt-get install unzip libarchive-tools")
        line = [part.format(zip=zip_path, to=to) for part in command]
        subprocess.run(line, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})

    return unpack


@pytest.mark.parametrize(
    "unpack",
    [
        pytest.param(_python, id="python"),
        pytest.param(_program("unzip", "-q", "{zip}", "-d", "{to}"), id="unzip", marks=pytest.mark.slow),
        pytest.param(_program("bsdtar", "-xf", "{zip}", "-C", "{to}"), id="bsdtar", marks=pytest.mark.slow),
    ],
)
def test_thousands_of_hostile_names_unpack_into_as_many_files(
    hostile_zip: Path, tmp_path: Path, unpack: Callable[[Path, Path], None]
) -> None:
    to = tmp_path / "around" / "to"
    to.mkdir(parents=True)

    unpack(hostile_zip, to)

    files = [Path(folder, name) for folder, _, names in os.walk(tmp_path) for name in names]
    assert len(files) == COUNT
    assert all(path.is_relative_to(to) for path in files)
    assert {path.read_bytes() for path in files} == {str(number).encode() for number in range(COUNT)}
    assert not any(path.is_symlink() for path in files)


def test_the_names_in_the_archive_are_those_of_the_plan(hostile_zip: Path) -> None:
    with zipfile.ZipFile(hostile_zip) as opened:
        assert opened.namelist() == member_names(hostile_names())
