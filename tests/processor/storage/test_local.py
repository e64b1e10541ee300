"""Files of this machine."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage import draft
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.draft import is_draft
from batchlab_processor.storage.local import LocalScheme
from batchlab_processor.storage.local_files import as_item_error, path_of

SCHEME = LocalScheme()


def write(path: Path, data: bytes = b"photo", *, overwrite: bool = False) -> None:
    with LocalScheme().write(path.as_uri(), WriteOptions(overwrite=overwrite)) as writer:
        writer.write(data)
        writer.commit()


def kind_of(path: Path) -> Kind:
    with pytest.raises(ItemError) as caught, SCHEME.open(path.as_uri()):
        pass
    return caught.value.kind


@pytest.mark.parametrize(
    "name", ["new\nline", "back\\slash", "tab\t", "*?[]", "%00", "~", " ", "\u00e9", "e\u0301"]
)
def test_any_file_name_is_found_by_the_url_that_a_listing_gives(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(name.encode())
    [listed] = SCHEME.list(tmp_path.as_uri() + "/")
    assert path_of(listed.url) == str(tmp_path / name)
    with SCHEME.open(listed.url) as reader:
        assert reader.read() == name.encode()


def test_a_name_that_is_not_utf8_is_kept_byte_for_byte(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xe9.jpg"
    Path(os.fsdecode(path)).write_bytes(b"latin")
    [listed] = SCHEME.list(tmp_path.as_uri() + "/")
    assert listed.url.endswith("/%FF%E9.jpg")
    with SCHEME.open(listed.url) as reader:
        assert reader.read() == b"latin"


def test_a_directory_comes_where_its_slash_sorts(tmp_path: Path) -> None:
    for name in ("a.jpg", "a/1.jpg", "a0.jpg", "a-.jpg"):
        write(tmp_path / name)
    names = [
        path_of(listed.url).removeprefix(f"{tmp_path}/") for listed in SCHEME.list(tmp_path.as_uri() + "/")
    ]
    assert names == sorted(names) == ["a-.jpg", "a.jpg", "a/1.jpg", "a0.jpg"]


def test_links_to_files_are_followed_and_links_to_directories_are_not(tmp_path: Path) -> None:
    album = tmp_path / "album"
    (album / "inner").mkdir(parents=True)
    (tmp_path / "real.jpg").write_bytes(b"real")
    (album / "link.jpg").symlink_to(tmp_path / "real.jpg")
    (album / "loop").symlink_to(album)
    (album / "nowhere.jpg").symlink_to(tmp_path / "gone")
    os.mkfifo(album / "pipe")
    listed = list(SCHEME.list(album.as_uri() + "/"))
    assert [(each.url, each.size_bytes) for each in listed] == [((album / "link.jpg").as_uri(), 4)]


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert kind_of(tmp_path / "pipe") is Kind.VALIDATION
    assert kind_of(tmp_path) is Kind.VALIDATION
    assert kind_of(Path("/dev/zero")) is Kind.VALIDATION


def test_a_file_that_grows_or_shrinks_while_it_is_read_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for after in (b"x" * 2_000_000, b"x"):
        path.write_bytes(b"x" * 1_000_000)
        with SCHEME.open(path.as_uri()) as reader:
            reader.read(10)
            path.write_bytes(after)
            with pytest.raises(ItemError) as caught:
                reader.read()
        assert caught.value.kind is Kind.CHANGED


def test_a_file_of_the_same_size_and_time_in_its_place_is_another_one(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    os.utime(other, ns=(1, 1))
    validator = SCHEME.probe(path.as_uri()).validator
    other.replace(path)
    with pytest.raises(ItemError) as caught, SCHEME.open(path.as_uri(), validator=validator):
        pass
    assert caught.value.kind is Kind.CHANGED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_auth(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"secret")
    (tmp_path / "a").chmod(0)
    assert kind_of(tmp_path / "a") is Kind.AUTH


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EACCES, Kind.AUTH, "permission denied"),
        (errno.EPERM, Kind.AUTH, "permission denied"),
        (errno.EROFS, Kind.AUTH, "read-only"),
        (errno.ENOSPC, Kind.TOO_LARGE, "no space is left"),
        (errno.EDQUOT, Kind.TOO_LARGE, "no space is left"),
        (errno.EFBIG, Kind.TOO_LARGE, "larger than its file system"),
        (errno.ENAMETOOLONG, Kind.VALIDATION, "cannot be a file's name"),
        (errno.ENOENT, Kind.MISSING, "not there"),
        (errno.EIO, Kind.API_ERROR, "nput/output error"),
    ],
)
def test_an_error_of_the_file_system_says_what_to_do(number: int, kind: Kind, words: str) -> None:
    error = as_item_error(OSError(number, os.strerror(number)), "file:///media/usb/a.zip")
    assert error.kind is kind
    assert words in error.message
    assert "file:///media/usb/a.zip" in error.message


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def attempt() -> None:
        with SCHEME.write((tmp_path / "deep/er/a").as_uri(), WriteOptions()) as writer:
            monkeypatch.setattr(draft.os, "write", full)
            writer.write(b"photo")

    with pytest.raises(ItemError, match="no space is left") as caught:
        attempt()
    assert caught.value.kind is Kind.TOO_LARGE
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_hard_links_still_gets_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(draft.os, "link", no_links)
    write(tmp_path / "a", b"first")
    with pytest.raises(ItemError, match="--overwrite"):
        write(tmp_path / "a", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_new_file_has_the_rights_that_any_new_file_has(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "ours")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_directories_are_made_and_taken_back_when_nothing_comes_of_it(tmp_path: Path) -> None:
    write(tmp_path / "a/b/c.jpg")
    with SCHEME.write((tmp_path / "a/x/y/z.jpg").as_uri(), WriteOptions()) as writer:
        writer.write(b"photo")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "c.jpg"]


def test_a_target_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ItemError, match="below a file") as caught:
        write(tmp_path / "a/b/c")
    assert caught.value.kind is Kind.VALIDATION
    with pytest.raises(ItemError, match="add a name"), SCHEME.write(f"{tmp_path.as_uri()}/", WriteOptions()):
        pass


_WRITER = """
import sys, time
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.local import LocalScheme
with LocalScheme().write(sys.argv[1], WriteOptions()) as writer:
    writer.write(b"half")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_left_is_swept_and_what_a_live_one_has_is_not(tmp_path: Path) -> None:
    url = (tmp_path / "a").as_uri()
    dead, live = (
        subprocess.Popen([sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE) for _ in range(2)
    )
    try:
        for each in (dead, live):
            assert each.stdout is not None
            assert each.stdout.readline() == b"ready\n"
        dead.kill()
        dead.wait()
        assert len(drafts(tmp_path)) == 2
        assert list(SCHEME.list(tmp_path.as_uri() + "/")) == []
        assert SCHEME.abort_uploads(url) == 1
        assert len(drafts(tmp_path)) == 1
    finally:
        for each in (dead, live):
            each.kill()
            each.wait()
            assert each.stdout is not None
            each.stdout.close()
    write(tmp_path / "b")  # the first write of a process sweeps too
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_file_that_only_looks_a_little_like_a_draft_is_never_swept(tmp_path: Path) -> None:
    for name in (
        ".batchlab-0123456789abcde.part",
        ".batchlab-0123456789abcdeg.part",
        "x.part",
        ".batchlab.part",
    ):
        (tmp_path / name).write_bytes(b"mine")
        assert not is_draft(name.encode())
    assert SCHEME.abort_uploads((tmp_path / "a").as_uri()) == 0
    assert len(list(tmp_path.iterdir())) == 4
    assert len(list(SCHEME.list(tmp_path.as_uri() + "/"))) == 4


def test_another_machine_is_not_this_one() -> None:
    with pytest.raises(ItemError, match="three slashes"):
        path_of("file://server/share/a.jpg")
    assert path_of("file://localhost/a%20b%25%C3%A9") == "/a b%é"


def test_an_old_date_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    os.utime(tmp_path / "a", (-(10**9), -(10**9)))
    modified = SCHEME.probe((tmp_path / "a").as_uri()).modified
    assert modified is not None and modified.year == 1938


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if is_draft(path.name.encode())]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    """One process replaces a file again and again while this one reads it."""
    url = (tmp_path / "a").as_uri()
    script = """
import sys
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.local import LocalScheme
scheme = LocalScheme()
for number in range(300):
    with scheme.write(sys.argv[1], WriteOptions(overwrite=True)) as writer:
        for _ in range(4):
            writer.write(b"%03d" % number * 1000)
        writer.commit()
"""
    process = subprocess.Popen([sys.executable, "-c", script, url])
    seen: set[bytes] = set()
    refused: set[Kind] = set()
    while process.poll() is None:
        try:
            with SCHEME.open(url) as reader:
                data = reader.read()
        except ItemError as error:
            refused.add(error.kind)
            time.sleep(0.001)
            continue
        assert len(data) == 12_000 and data == data[:3] * 4000
        seen.add(data[:3])
    assert process.returncode == 0
    assert len(seen) > 3
    assert refused <= {Kind.MISSING, Kind.CHANGED}
