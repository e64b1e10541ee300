"""Photos that change while an archive is made: one version of each, whatever is killed in between, or none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab.records import submit_locally
from batchlab.settings import Settings
from batchlab.stores.memory import MemoryStore
from batchlab_processor import engine, testing
from batchlab_processor.jobs.zip_export import ZipExport
from batchlab_processor.storage import open_storage, parts_memory
from batchlab_processor.storage.base import Probed
from batchlab_processor.storage.memory import MemoryScheme
from tests.processor.jobs.zip_export.galleries import PART_BYTES, Gallery, fails
from tests.sources import photo

P = PART_BYTES
OTHER = photo("other", 9 * P)


@pytest.fixture
def galleries() -> Iterator[list[Gallery]]:
    made: list[Gallery] = []
    yield made
    for gallery in made:
        gallery.forget()


def parts_of(content: bytes) -> frozenset[bytes]:
    """Every stretch of a part's length that may become a part of its own, by its first bytes."""
    return frozenset(content[start : start + 64] for start in range(len(content) - 63))


def ended(ran: testing.Ran) -> str:
    assert ran.end is not None
    return str(ran.end.state)


def untold(monkeypatch: pytest.MonkeyPatch, *fields: str) -> None:
    """Sources do not tell these of themselves."""
    probe = MemoryScheme.probe

    def probed(scheme: MemoryScheme, url: str) -> Probed:
        found = probe(scheme, url)
        return replace(found, **dict.fromkeys(fields)) if "/in/" in url else found

    monkeypatch.setattr(MemoryScheme, "probe", probed)


def test_of_a_photo_that_changed_no_part_of_the_old_version_counts_after_a_kill(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last part of the old version arrives while the new one waits for it; then the run is killed."""
    untold(monkeypatch, "crc32")
    gallery = Gallery(
        {"b.dat": 9 * P},
        failing=lambda name, turn: fails(Kind.CHANGED) if turn == 1 else None,
        limits={"workers": 2},
    )
    galleries.append(gallery)
    old, arrived = parts_of(photo("b.dat", 9 * P)), threading.Event()
    send = parts_memory.MemoryParts.send

    def slowly(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
        if bytes(body[:64]) in old:
            gallery.put("b.dat", OTHER)
            time.sleep(1.0 if number == 4 else 0)
        else:
            assert arrived.wait(10)
            time.sleep(0.2)  # until all notes are in the ledger
            raise testing.Killed
        etag = send(parts, number, body, crc32)
        if number == 4:
            arrived.set()
        return etag

    with monkeypatch.context() as patch:
        patch.setattr(parts_memory.MemoryParts, "send", slowly)
        assert gallery.run(monkeypatch).end is None
    ran = gallery.run(monkeypatch)
    assert ended(ran) == "succeeded"
    assert gallery.listed() == {"b.dat": OTHER}
    assert gallery.streamed() == {"b.dat": OTHER}


def killed_between_header_and_bytes(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of its header has arrived, and one with its bytes alone has not."""
    send = parts_memory.MemoryParts.send
    headed = threading.Event()

    def held_up(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
        if number == 5:
            assert headed.wait(10)
            time.sleep(0.1)  # until it is in the ledger
            raise testing.Killed
        etag = send(parts, number, body, crc32)
        if number == 1:
            headed.set()
        return etag

    with monkeypatch.context() as patch:
        patch.setattr(parts_memory.MemoryParts, "send", held_up)
        assert gallery.run(monkeypatch).end is None


def test_a_source_that_tells_no_version_is_never_mixed_however_its_parts_arrive(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes at the first kill. The second comes when its header has arrived, and one of its parts has not."""
    untold(monkeypatch, "validator", "crc32")
    gallery = Gallery(
        {"b.dat": 9 * P}, killing=lambda act, turn: (act, turn) == ("send", 5), limits={"workers": 2}
    )
    galleries.append(gallery)
    assert gallery.run(monkeypatch).end is None
    gallery.put("b.dat", OTHER)
    killed_between_header_and_bytes(gallery, monkeypatch)
    ran = gallery.run(monkeypatch)
    assert ended(ran) == "succeeded"
    assert gallery.listed() == gallery.streamed() == {"b.dat": OTHER}


@pytest.mark.parametrize("killed_again", [False, True], ids=["killed once", "and before the part is anew"])
def test_a_part_whose_neighbour_was_lost_is_made_anew_with_the_version_that_was_taken(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch, killed_again: bool
) -> None:
    """b changed and was taken anew; c, of which a part was sent beside b, vanishes after a kill."""
    other, vanished = photo("other", 10 * P + 900), False

    def failing(name: str, turn: int) -> ItemError | None:
        if name == "b.dat" and turn == 1:
            gallery.put("b.dat", other)
            return fails(Kind.CHANGED)
        return fails(Kind.MISSING) if name == "c.dat" and vanished else None

    sizes = {"a.dat": 200 * P, "b.dat": 10 * P + 900, "c.dat": 9 * P, "d.dat": 3 * P}
    gallery = Gallery(sizes, failing=failing, limits={"workers": 1})
    galleries.append(gallery)
    killed: list[int] = []
    send = parts_memory.MemoryParts.send
    last = 222  # the last whole part of c, sent beside d's header

    def watched(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
        if number == last and not killed:
            killed.append(number)
            time.sleep(0.3)  # until the part of b and c is in the ledger
            raise testing.Killed
        return send(parts, number, body, crc32)

    with monkeypatch.context() as patch:
        patch.setattr(parts_memory.MemoryParts, "send", watched)
        assert gallery.run(monkeypatch).end is None
    assert killed
    vanished = True
    if killed_again:

        def refused(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
            if number in there:
                raise testing.Killed
            return send(parts, number, body, crc32)

        [upload] = gallery.unfinished()
        there = set(parts_memory._uploads[upload].parts)
        with monkeypatch.context() as patch:
            patch.setattr(parts_memory.MemoryParts, "send", refused)
            assert gallery.run(monkeypatch).end is None
    ran = gallery.run(monkeypatch)
    assert ended(ran) == "partial"
    assert ran.end is not None
    assert ran.end.report is not None
    assert [failure.key for failure in ran.end.report.failures] == ["c.dat"]
    expected: Mapping[str, bytes] = {
        "a.dat": photo("a.dat", 200 * P),
        "b.dat": other,
        "d.dat": photo("d.dat", 3 * P),
    }
    assert gallery.listed() == expected
    streamed = gallery.streamed()
    assert {name: content for name, content in streamed.items() if name in sizes} == expected
    [filler] = set(streamed) - set(sizes) - {"_missing.csv"}
    assert streamed[filler] == bytes(sizes["c.dat"])
    assert gallery.unfinished() == []


def test_a_plan_that_was_only_looked_at_leaves_no_upload(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = Gallery({"a.dat": 9 * P})
    galleries.append(gallery)
    document = {
        "type": "zip-export",
        "params": {"items": [{"url": f"memory://{gallery.name}/in/a.dat"}]},
        "output": f"memory://{gallery.name}/out",
    }
    records = submit_locally(MemoryStore(), JobDocument.model_validate(document))
    authority = Authority.granted(
        sources=[f"memory://{gallery.name}/in/"],
        outputs=[document["output"]],
        allow_local=True,
        exact_target=False,
        allow_memory=True,
    )
    door = engine.Door(storage=open_storage(Settings(), authority), authority=authority)
    assert engine.preview(records, ZipExport(), door) == ["1 to do, 0 that cannot be done."]
    assert gallery.unfinished() == []


def test_when_a_volume_cannot_be_begun_none_is_left(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = Gallery(
        {f"{number:03d}.dat": 300_000 for number in range(12)}, params={"maxArchiveBytes": "2 MiB"}
    )
    galleries.append(gallery)
    begin = parts_memory.MemoryParts.begin

    def refused(scheme: Any, url: str, *arguments: Any) -> Any:
        if url.endswith("album-2.zip"):
            raise fails(Kind.VALIDATION)
        return begin(scheme, url, *arguments)

    monkeypatch.setattr(parts_memory.MemoryParts, "begin", refused)
    assert ended(gallery.run(monkeypatch)) == "failed"
    assert gallery.unfinished() == []


def test_a_part_that_the_target_does_not_have_as_we_were_told_is_sent_again(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"{number:03d}.dat": 3 * P for number in range(60)}
    gallery = Gallery(sizes, killing=lambda act, turn: (act, turn) == ("send", 1))
    galleries.append(gallery)
    assert gallery.run(monkeypatch).end is None
    send = parts_memory.MemoryParts.send

    def lying(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
        etag = send(parts, number, body, crc32)
        return '"another"' if number == 7 else etag

    with monkeypatch.context() as patch:
        patch.setattr(parts_memory.MemoryParts, "send", lying)
        with pytest.raises(ServiceError, match="goes on"):
            gallery.run(monkeypatch)
    opened = sum(gallery.opened.values())
    assert ended(gallery.run(monkeypatch)) == "succeeded"
    assert sum(gallery.opened.values()) - opened <= 20
    assert set(gallery.listed()) == set(gallery.sizes)
    assert gallery.unfinished() == []


def test_parts_of_a_photo_that_was_lost_while_they_were_on_their_way_are_made_anew(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"a.dat": 300 * P, "b.dat": 9 * P, "c.dat": 300 * P}
    gallery = Gallery(
        sizes,
        failing=lambda name, turn: fails(Kind.MISSING) if name == "b.dat" else None,
        limits={"workers": 4},
    )
    galleries.append(gallery)
    send = parts_memory.MemoryParts.send
    old = parts_of(photo("b.dat", 9 * P))

    def slowly(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
        time.sleep(0.3 if bytes(body[:64]) in old else 0)
        return send(parts, number, body, crc32)

    with monkeypatch.context() as patch:
        patch.setattr(parts_memory.MemoryParts, "send", slowly)
        assert ended(gallery.run(monkeypatch)) == "partial"
    streamed = gallery.streamed()
    [filler] = set(streamed) - set(sizes) - {"_missing.csv"}
    assert streamed[filler] == bytes(9 * P)
    assert gallery.listed() == {name: photo(name, size) for name, size in sizes.items() if name != "b.dat"}


def test_a_photo_of_which_a_part_is_sent_beside_others_becomes_no_other_photo(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    untold(monkeypatch, "crc32")
    gallery = Gallery({"b.dat": 9 * P, "c.dat": 300 * P}, limits={"workers": 2, "attempts": 3})
    galleries.append(gallery)
    killed_between_header_and_bytes(gallery, monkeypatch)
    gallery.put("b.dat", OTHER)
    ran = gallery.run(monkeypatch)
    assert ended(ran) == "partial"
    assert ran.end is not None
    assert ran.end.report is not None
    assert [(failure.key, failure.kind) for failure in ran.end.report.failures] == [("b.dat", "changed")]
    assert gallery.listed() == {"c.dat": photo("c.dat", 300 * P)}


def test_a_photo_that_is_not_what_its_source_promised_is_corrupt(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = MemoryScheme.probe

    def wrong(scheme: MemoryScheme, url: str) -> Probed:
        return replace(probe(scheme, url), crc32=1) if url.endswith("b.dat") else probe(scheme, url)

    monkeypatch.setattr(MemoryScheme, "probe", wrong)
    gallery = Gallery({"a.dat": 300 * P, "b.dat": 9 * P})
    galleries.append(gallery)
    ran = gallery.run(monkeypatch)
    assert ran.end is not None
    assert ran.end.report is not None
    assert [(failure.key, failure.kind) for failure in ran.end.report.failures] == [("b.dat", "corrupt")]
    assert set(gallery.listed()) == {"a.dat"}


def test_an_upload_that_was_begun_again_is_gone_on_with_after_the_next_kill(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [("send", 5), ("send, done", 150)]

    def killing(act: str, turn: int) -> bool:
        return bool(left) and (act, turn) == left[0] and left.pop(0) is not None

    gallery = Gallery({f"{number:03d}.dat": 3 * P for number in range(60)}, killing=killing)
    galleries.append(gallery)
    assert gallery.run(monkeypatch).end is None
    parts_memory._uploads.pop(gallery.unfinished()[0])
    assert gallery.run(monkeypatch).end is None
    assert ended(gallery.run(monkeypatch)) == "succeeded"
    assert gallery.acts["send"] <= 180 + 3 * 5 + 3 * 5
    assert gallery.unfinished() == []


def test_a_part_is_not_made_anew_with_bytes_of_another_version_that_nothing_tells_apart(
    galleries: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """c vanishes after a part of it was sent beside b, which is another photo by then."""
    untold(monkeypatch, "validator", "crc32")
    vanished = False
    sizes = {"a.dat": 400 * P, "b.dat": 10 * P + 900, "c.dat": 9 * P, "d.dat": 3 * P}
    gallery = Gallery(
        sizes,
        failing=lambda name, turn: fails(Kind.MISSING) if name == "c.dat" and vanished else None,
        limits={"workers": 1},
    )
    galleries.append(gallery)
    send = parts_memory.MemoryParts.send

    def watched(parts: Any, number: int, body: memoryview, crc32: int | None = None) -> str:
        if number == 422:  # the last whole part of c, sent beside d's header
            time.sleep(0.3)  # until the part of b and c is in the ledger
            raise testing.Killed
        return send(parts, number, body, crc32)

    with monkeypatch.context() as patch:
        patch.setattr(parts_memory.MemoryParts, "send", watched)
        assert gallery.run(monkeypatch).end is None
    vanished = True
    gallery.put("b.dat", photo("other", sizes["b.dat"]))
    ran = gallery.run(monkeypatch)
    assert ended(ran) == "partial"
    assert ran.end is not None
    assert ran.end.report is not None
    assert {failure.key for failure in ran.end.report.failures} == {"b.dat", "c.dat"}
    assert gallery.listed() == {name: photo(name, sizes[name]) for name in ("a.dat", "d.dat")}
    assert gallery.unfinished() == []
