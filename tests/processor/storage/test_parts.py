"""What every storage that takes parts promises, in one suite."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage import CannotCopy, WriteOptions
from tests.processor.storage import parts_places
from tests.processor.storage.parts_places import KIB, PLACES, PartsPlace
from tests.processor.storage.test_conformance import NAMES
from tests.servers import S3Server
from tests.strict_s3 import MIB


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PartsPlace]:
    """Each storage in turn. SeaweedFS, as S3 itself, takes no parts below 5 MiB; the others may be told."""
    scheme, _, server = request.param.partition("-")
    if request.param == "memory":
        yield from parts_places.memory_place()
    elif request.param == "file":
        yield from parts_places.file_place(tmp_path)
    elif server == "moto":
        monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
        moto = request.getfixturevalue("moto_s3")
        more: dict[str, Any] = {"compares_etags": False, "copies": "any version"}
        yield from parts_places.s3_place(scheme, moto, monkeypatch, part_bytes=KIB, **more)
    elif server == "seaweedfs":
        seaweedfs: S3Server = request.getfixturevalue("seaweedfs")
        more = {"compares_etags": False, "copies": "yes"}
        yield from parts_places.s3_place(scheme, seaweedfs, monkeypatch, part_bytes=5 * MIB, **more)
    else:
        strict = request.getfixturevalue(f"strict_{scheme}")
        options = WriteOptions(crc32=server.endswith("crc32"))
        yield from parts_places.strict_place(scheme, strict, monkeypatch, options=options)


def failure(action: Callable[..., object], *arguments: Any) -> Kind:
    with pytest.raises(ItemError) as caught:
        action(*arguments)
    return caught.value.kind


def test_parts_sent_in_any_order_make_one_object(place: PartsPlace) -> None:
    pieces = place.pieces(3)
    metadata = {"plan": "abc"}
    parts = place.begin(content_type="application/zip", metadata=metadata)
    etags = {number: parts.send(number, pieces[number - 1]) for number in (3, 1, 2)}
    assert failure(place.read) is Kind.MISSING
    written = parts.complete([etags[1], etags[2], etags[3]], sum(map(len, pieces)))
    assert place.read() == b"".join(pieces)
    probed = place.storage.probe(place.url())
    assert (written.url, written.size_bytes) == (place.url(), probed.size_bytes)
    assert written.etag == probed.validator
    if probed.metadata is not None:
        assert metadata.items() <= probed.metadata.items()
    assert place.leftovers() == []


def test_another_process_goes_on_with_what_was_sent(place: PartsPlace) -> None:
    pieces = place.pieces(3)
    first = place.begin()
    sent = {number: first.send(number, pieces[number - 1]) for number in (1, 3)}
    second = place.resume(first)
    assert second.sent() == sent
    sent[2] = second.send(2, pieces[1], zlib.crc32(pieces[1]))
    assert first.sent() == sent
    third = place.resume(first)
    third.complete([sent[1], sent[2], sent[3]], sum(map(len, pieces)))
    assert place.read() == b"".join(pieces)


def test_a_part_sent_again_takes_the_place_of_the_first(place: PartsPlace) -> None:
    [old, _], [new, last] = place.pieces(2, seed=1), place.pieces(2, seed=2)
    parts = place.begin()
    stale = parts.send(1, old)
    etags = [parts.send(1, new), parts.send(2, last)]
    if place.compares_etags:  # SeaweedFS lists both
        assert parts.sent() == {1: etags[0], 2: etags[1]}
        assert failure(place.resume(parts).complete, [stale, etags[1]], len(new) + len(last)) is Kind.CORRUPT
    parts.complete(etags, len(new) + len(last))
    assert place.read() == bytes(new) + bytes(last)


def test_the_last_part_may_become_shorter(place: PartsPlace) -> None:
    [one, two] = place.pieces(2)
    parts = place.begin()
    first = parts.send(1, one)
    parts.send(2, two)
    last = parts.send(2, two[:10])
    if place.compares_etags:
        assert place.resume(parts).sent() == {1: first, 2: last}
    parts.complete([first, last], len(one) + 10)
    assert place.read() == bytes(one) + bytes(two[:10])


def test_parts_beyond_the_last_are_left_out(place: PartsPlace) -> None:
    pieces = place.pieces(3, last=0)
    parts = place.begin()
    etags = [parts.send(number, piece) for number, piece in enumerate(pieces, 1)]
    parts.complete(etags[:2], len(pieces[0]) * 2)
    assert place.read() == b"".join(pieces[:2])


def test_a_lost_answer_is_cleared_up_by_asking_again(place: PartsPlace) -> None:
    [piece] = place.pieces(1)
    parts = place.begin()
    etags = [parts.send(1, piece)]
    assert parts.completed() is None
    written = parts.complete(etags, len(piece))
    assert place.resume(parts).completed() == parts.completed() == written
    assert place.resume(parts).complete(etags, len(piece)) == written
    assert failure(place.resume(parts).sent) is Kind.MISSING
    other = place.begin(overwrite=True)
    assert other.completed() is None
    other.abort()
    assert place.leftovers() == []


def test_what_is_there_is_not_replaced(place: PartsPlace) -> None:
    [piece] = place.pieces(1)
    late = place.begin()
    place.write("album.zip", b"first")
    with pytest.raises(ItemError, match="exists already"):
        late.complete([late.send(1, piece)], len(piece))
    with pytest.raises(ItemError, match="exists already"):
        place.begin()
    assert place.read() == b"first"
    late.abort()
    assert place.leftovers() == []


def test_what_is_there_is_replaced_when_asked(place: PartsPlace) -> None:
    place.write("album.zip", b"first")
    [piece] = place.pieces(1)
    parts = place.begin(overwrite=True)
    parts.complete([parts.send(1, piece)], len(piece))
    assert place.read() == piece


def test_exactly_the_version_that_was_seen_is_replaced(place: PartsPlace) -> None:
    if not place.compares_etags:
        pytest.skip("SeaweedFS and moto do not look at If-Match of Complete")
    seen = place.storage.probe(place.write("album.zip", b"first")).validator
    [piece] = place.pieces(1)
    parts = place.begin(replaces=seen)
    etags = [parts.send(1, piece)]
    place.write("album.zip", b"a second, longer one")
    assert failure(parts.complete, etags, len(piece)) is Kind.CHANGED
    assert place.read() == b"a second, longer one"
    parts.abort()
    again = place.begin(replaces=place.storage.probe(place.url()).validator)
    again.complete([again.send(1, piece)], len(piece))
    assert place.read() == piece


def test_an_abort_leaves_nothing(place: PartsPlace) -> None:
    [piece] = place.pieces(1)
    parts = place.begin()
    etag = parts.send(1, piece)
    parts.abort()
    parts.abort()
    for gone in (parts, place.resume(parts)):
        assert failure(gone.sent) is Kind.MISSING
        if place.copies != "any version":  # moto answers 500
            assert failure(gone.send, 1, piece) is Kind.MISSING
            assert failure(gone.complete, [etag], len(piece)) is Kind.MISSING
    assert (place.leftovers(), failure(place.read)) == ([], Kind.MISSING)


def test_what_dead_writers_left_is_swept_for_exactly_this_object(place: PartsPlace) -> None:
    [piece] = place.pieces(1)
    place.begin("album.zip").send(1, piece)
    place.begin("album.zip").send(1, piece)
    other = place.begin("album.zip.other")
    assert place.storage.abort_uploads(place.url("album.zip")) == 2
    assert other.sent() == {}
    other.abort()
    assert place.leftovers() == []


def test_an_object_with_a_part_missing_never_appears(place: PartsPlace) -> None:
    [one, _, three] = place.pieces(3)
    parts = place.begin()
    etags = [parts.send(1, one), '"d41d8cd98f00b204e9800998ecf8427e"', parts.send(3, three)]
    assert failure(parts.complete, etags, len(one) * 2 + len(three)) is Kind.CORRUPT
    assert failure(place.read) is Kind.MISSING


def test_every_name_is_kept(place: PartsPlace) -> None:
    for name in NAMES:
        parts = place.begin(name)
        etag = parts.send(1, memoryview(name.encode()))
        parts.complete([etag], len(name.encode()))
        place.begin(name, overwrite=True)
        assert place.storage.abort_uploads(place.url(name)) == 1, name
    assert {name: place.read(name) for name in NAMES} == {name: name.encode() for name in NAMES}


def test_many_threads_send_parts_of_one_object(place: PartsPlace) -> None:
    count = 4 if place.part_bytes > MIB else 40
    pieces = place.pieces(count)
    parts = place.begin()
    with ThreadPoolExecutor(8) as pool:
        etags = list(pool.map(parts.send, range(1, count + 1), pieces))
    assert place.resume(parts).sent() == dict(enumerate(etags, 1))
    parts.complete(etags, sum(map(len, pieces)))
    assert place.read() == b"".join(pieces)


def test_a_part_is_copied_where_source_and_target_are_one_server(place: PartsPlace) -> None:
    [body] = place.pieces(1, last=-place.part_bytes - 100)  # twice a part and more
    source = place.write("a photo+%.jpg", bytes(body))
    validator = place.storage.probe(source).validator or ""
    parts = place.begin()
    last = memoryview(b"tail")
    if not place.copies:
        with pytest.raises(CannotCopy):
            parts.copy(1, source, 50, 50 + place.part_bytes, validator)
        return
    etag, crc32 = parts.copy(1, source, 50, 50 + place.part_bytes, validator)
    assert crc32 in (None, zlib.crc32(body[50 : 50 + place.part_bytes]))
    assert parts.sent() == {1: etag}
    parts.complete([etag, parts.send(2, last)], place.part_bytes + 4)
    assert place.read() == bytes(body[50 : 50 + place.part_bytes]) + b"tail"


def test_what_changed_since_is_not_copied(place: PartsPlace) -> None:
    if place.copies != "yes":
        pytest.skip("this server does not look at the version of what it copies; the strict ones do")
    [old], [new] = place.pieces(1, -100, seed=1), place.pieces(1, -100, seed=2)
    source = place.write("photo.jpg", bytes(old))
    validator = place.storage.probe(source).validator or ""
    place.write("photo.jpg", bytes(new))
    parts = place.begin()
    assert failure(parts.copy, 1, source, 0, place.part_bytes, validator) is Kind.CHANGED
    place.storage.delete(source)
    assert failure(parts.copy, 1, source, 0, place.part_bytes, validator) is Kind.MISSING
    parts.abort()


def test_nothing_is_copied_from_another_kind_of_storage(place: PartsPlace) -> None:
    parts = place.begin()
    with pytest.raises(CannotCopy):
        parts.copy(1, "gs://bucket/photo.jpg", 0, place.part_bytes, '"1"')
    parts.abort()
