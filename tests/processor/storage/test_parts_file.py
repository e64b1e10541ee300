"""What is a file's own about objects made of parts: drafts that outlive a kill, locks, holes, torn bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage import WriteOptions
from batchlab_processor.storage.draft import is_draft, parts_path
from batchlab_processor.storage.local_files import path_of
from batchlab_processor.storage.parts_file import FileParts
from tests.processor.storage import parts_places
from tests.processor.storage.parts_places import PartsPlace
from tests.processor.storage.test_parts import failure

OPTIONS = WriteOptions()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PartsPlace]:
    yield from parts_places.file_place(tmp_path)


def draft_of(place: PartsPlace) -> Path:
    [found] = place.leftovers()
    return Path(found)


def test_a_killed_process_leaves_a_draft_that_the_next_one_goes_on_with(
    place: PartsPlace, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from batchlab_processor.storage import WriteOptions\n"
        "from batchlab_processor.storage.parts_file import FileParts\n"
        f"parts = FileParts.begin({place.url()!r}, WriteOptions(), {place.part_bytes})\n"
        f"parts.send(2, memoryview(b'2' * {place.part_bytes}))\n"
        "print(parts.id, flush=True)\n"
        "sys.stdin.read()\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None
        upload_id = writer.stdout.readline().strip()
        assert place.storage.abort_uploads(place.url()) == 0  # it lives
        writer.send_signal(signal.SIGKILL)
    place.write("other.zip", b"another writer, who sweeps")
    parts = place.storage.resume_parts(place.url(), upload_id, OPTIONS, place.part_bytes)
    [second] = parts.sent().items()
    assert second[0] == 2
    etags = [parts.send(1, memoryview(b"1" * place.part_bytes)), second[1]]
    parts.complete(etags, 2 * place.part_bytes)
    assert place.read() == b"1" * place.part_bytes + b"2" * place.part_bytes
    assert place.leftovers() == []


def test_what_was_torn_on_the_disk_is_not_called_sent(place: PartsPlace) -> None:
    one, two = place.pieces(2)
    parts = place.begin()
    etags = [parts.send(1, one), parts.send(2, two)]
    with draft_of(place).open("r+b") as draft:
        draft.seek(10)
        draft.write(b"\0\0\0\0\0\0\0\0")
        draft.truncate(place.part_bytes + 100)
    again = place.resume(parts)
    assert again.sent().keys() == {1, 2}
    assert not set(again.sent().values()) & set(etags)
    assert failure(place.resume(parts).complete, etags, len(one) + len(two)) is Kind.CORRUPT


def test_a_part_that_was_never_sent_is_not_listed(place: PartsPlace) -> None:
    parts = place.begin()
    zeros = parts.send(5, memoryview(bytes(place.part_bytes)))
    assert place.resume(parts).sent() == {5: zeros}


def test_a_draft_that_a_live_process_writes_is_never_swept(place: PartsPlace) -> None:
    parts = place.begin()
    assert place.storage.abort_uploads(place.url()) == 0
    parts.send(1, memoryview(b"x"))
    parts.abort()


def test_an_old_draft_is_swept_by_whoever_writes_there_next(place: PartsPlace) -> None:
    place.begin("old.zip")
    place.begin("young.zip")
    [old] = [path for path in place.leftovers() if path.name.endswith(parts_path("/old.zip", "x").name[-23:])]
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (week_ago, week_ago))
    place.write("other.zip", b"another writer, who sweeps")
    assert not old.exists()
    assert len(place.leftovers()) == 1


def test_a_kill_between_the_two_names_of_a_whole_file_is_cleared_up(place: PartsPlace) -> None:
    [piece] = place.pieces(1)
    parts = place.begin()
    etag = parts.send(1, piece)
    target = draft_of(place).with_name("album.zip")
    os.link(draft_of(place), target)
    again = place.resume(parts)
    assert again.completed() is not None
    assert again.complete([etag], len(piece)).size_bytes == len(piece)
    assert place.leftovers() == []
    assert place.read() == piece


def test_another_file_of_the_same_name_is_not_taken_for_ours(place: PartsPlace) -> None:
    parts = place.begin()
    place.write("album.zip", b"theirs")
    assert parts.completed() is None
    parts.abort()
    target = path_of(place.url())
    same_inode = f"0123456789abcdef-{Path(target).stat().st_ino}"  # a number that was free again
    assert FileParts(place.url(), same_inode, OPTIONS, 1024).completed() is None


def test_drafts_are_in_no_listing_and_leave_no_directory(place: PartsPlace, tmp_path: Path) -> None:
    parts = place.begin()
    assert list(place.storage.list(place.prefix)) == []
    assert is_draft(draft_of(place).name.encode())
    parts.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("upload_id", ["", "../../etc/passwd-1", "0123456789abcdef", "0123456789abcdef-x"])
def test_an_id_that_is_none_is_refused(place: PartsPlace, upload_id: str) -> None:
    with pytest.raises(ItemError, match="no id"):
        FileParts(place.url(), upload_id, OPTIONS, 1024)


def test_a_place_where_no_file_can_be_is_refused(place: PartsPlace) -> None:
    place.write("file", b"a file")
    for name in ("", "directory/", "file/album.zip"):
        with pytest.raises(ItemError) as caught:
            place.begin(name)
        assert caught.value.kind is Kind.VALIDATION
