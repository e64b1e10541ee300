"""What every scheme promises, in one suite."""

from __future__ import annotations

import unicodedata
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.base import LeavesUploads, WriteOptions
from tests.processor.storage.conftest import Place

NAMES = (  # without backslashes and control characters: the authority refuses them, and some servers too
    "plain.jpg",
    "with space.jpg",
    "50%.jpg",
    "%41.jpg",
    "question?.jpg",
    "hash#1.jpg",
    "plus+and&and=.jpg",
    "quote'\"quote.jpg",
    "semi;colon:at@.jpg",
    "~tilde[brackets]{braces}.jpg",
    "ünïcödé.jpg",
    "日本語/写真.jpg",
    "📷.jpg",
    unicodedata.normalize("NFC", "é.jpg"),
    unicodedata.normalize("NFD", "é.jpg"),
    "a/b/c/deep.jpg",
    "." * 3 + "dots.jpg",
    "-rf.jpg",
    "CON.jpg",
    "x" * 200 + ".jpg",
)
TEN = b"0123456789"


def kind_of(place: Place, name: str, **options: object) -> Kind:
    with pytest.raises(ItemError) as caught:
        place.get(name, **options)
    return caught.value.kind


def test_what_is_written_is_read(place: Place) -> None:
    url = place.put("photo.jpg", TEN, content_type="image/jpeg")
    assert place.get("photo.jpg") == TEN
    probed = place.scheme.probe(url)
    assert (probed.url, probed.size_bytes, probed.head, probed.ranges) == (url, 10, TEN, True)
    assert probed.validator


def test_commit_says_what_a_probe_says(place: Place) -> None:
    with place.scheme.write(place.url("a"), WriteOptions()) as writer:
        assert writer.write(TEN) == 10
        assert writer.write(memoryview(TEN)[5:]) == 5
        written = writer.commit()
    assert (written.url, written.size_bytes) == (place.url("a"), 15)
    assert place.scheme.probe(place.url("a")).validator == written.etag


def test_the_time_of_writing_is_known(place: Place) -> None:
    modified = place.scheme.probe(place.put("a")).modified
    assert modified is not None
    assert modified.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - modified) < timedelta(minutes=2)


def test_a_probe_holds_no_more_than_the_first_512_bytes(place: Place) -> None:
    data = bytes(range(256)) * 4
    assert place.scheme.probe(place.put("a", data)).head == data[:512]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 100_000])
def test_any_size_comes_back_whole(place: Place, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    url = place.put("a", data)
    probed = place.scheme.probe(url)
    assert (probed.size_bytes, probed.head) == (size, data[:512])
    with place.scheme.open(url) as reader:
        assert reader.size_bytes == reader.probed.size_bytes == size
        assert reader.read() == data
        assert reader.read() == reader.read(10) == b""
        assert reader.readinto(memoryview(bytearray(8))) == 0


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (0, None, TEN),
        (0, 10, TEN),
        (3, None, b"3456789"),
        (3, 7, b"3456"),
        (9, None, b"9"),
        (0, 1, b"0"),
        (3, 3, b""),
        (7, 3, b""),
        (0, 0, b""),
        (5, 100, b"56789"),
        (10, None, b""),
        (10, 20, b""),
        (50, None, b""),
        (50, 60, b""),
    ],
)
def test_a_range_is_cut_to_the_object_as_a_slice_is(
    place: Place, start: int, end: int | None, wanted: bytes
) -> None:
    url = place.put("a", TEN)
    validator = place.scheme.probe(url).validator
    with place.scheme.open(url, start=start, end=end, validator=validator) as reader:
        assert reader.size_bytes == len(wanted)
        assert reader.probed.size_bytes == 10
        assert reader.read() == wanted


def test_ranges_of_an_empty_object_are_empty(place: Place) -> None:
    place.put("a", b"")
    assert place.get("a", start=0, end=5) == place.get("a", start=3) == b""


def test_a_range_before_the_beginning_is_a_mistake_of_the_caller(place: Place) -> None:
    place.put("a", TEN)
    with pytest.raises(ValueError, match="0 or more"), place.scheme.open(place.url("a"), start=-1):
        pass


def test_reading_goes_in_pieces_of_any_size(place: Place) -> None:
    data = bytes(range(256)) * 40
    url = place.put("a", data)
    with place.scheme.open(url) as reader:
        pieces = [reader.read(1), reader.read(0), reader.read(1000)]
        buffer = bytearray(20_000)
        while count := reader.readinto(memoryview(buffer)):
            pieces.append(bytes(buffer[:count]))
    assert b"".join(pieces) == data


def test_a_reader_may_be_left_early(place: Place) -> None:
    url = place.put("a", b"x" * 300_000)
    for _ in range(3):
        with place.scheme.open(url) as reader:
            assert reader.read(10) == b"x" * 10


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_kept_as_it_is(place: Place, name: str) -> None:
    url = place.put(name, name.encode())
    assert place.get(name) == name.encode()
    assert [listed.url for listed in place.scheme.list(place.prefix)] == [url]
    place.scheme.delete(url)
    assert list(place.scheme.list(place.prefix)) == []


def test_names_that_differ_in_their_bytes_are_different_objects(place: Place) -> None:
    for name in NAMES:
        place.put(name, name.encode())
    for name in NAMES:
        assert place.get(name) == name.encode()
    assert {listed.url for listed in place.scheme.list(place.prefix)} == {place.url(name) for name in NAMES}


def test_what_is_not_there_is_missing(place: Place) -> None:
    place.put("other", b"")
    assert kind_of(place, "gone") is Kind.MISSING
    assert kind_of(place, "gone", start=2, end=4) is Kind.MISSING
    assert kind_of(place, "gone", start=4, end=4) is Kind.MISSING
    assert kind_of(place, "other/gone") is Kind.MISSING
    with pytest.raises(ItemError) as caught:
        place.scheme.probe(place.url("gone"))
    assert caught.value.kind is Kind.MISSING
    assert place.url("gone") in caught.value.message


def test_other_bytes_than_were_probed_are_changed(place: Place) -> None:
    url = place.put("a", TEN)
    validator = place.scheme.probe(url).validator
    assert place.get("a", validator=validator) == TEN
    place.put("a", b"something else", overwrite=True)
    for options in ({}, {"start": 2}, {"start": 2, "end": 4}, {"start": 3, "end": 3}, {"start": 99}):
        assert kind_of(place, "a", validator=validator, **options) is Kind.CHANGED


def test_an_object_that_exists_is_not_replaced(place: Place) -> None:
    place.put("a", b"first")
    with pytest.raises(ItemError, match="--overwrite") as caught:
        place.put("a", b"second")
    assert caught.value.kind is Kind.VALIDATION
    assert place.get("a") == b"first"
    assert place.leftovers() == []


def test_an_object_that_exists_is_replaced_when_asked(place: Place) -> None:
    place.put("a", b"first, and longer")
    place.put("a", b"second", overwrite=True)
    assert place.get("a") == b"second"
    place.put("new", b"third", overwrite=True)
    assert place.get("new") == b"third"


def test_what_a_writer_says_of_an_object_is_known_from_its_probe(place: Place) -> None:
    url = place.put("a", TEN, metadata={"batchlab-type": "contact-sheets"})
    said = place.scheme.probe(url).metadata
    assert said is not None
    assert said["batchlab-type"] == "contact-sheets"
    assert "batchlab-type" not in (place.scheme.probe(place.put("b", TEN)).metadata or {})


def test_one_version_of_an_object_is_replaced_and_no_other(place: Place) -> None:
    url = place.put("a", b"first, and longer")
    first = place.scheme.probe(url).validator
    place.put("a", b"second", replaces=first)
    assert place.get("a") == b"second"
    with pytest.raises(ItemError) as caught:
        place.put("a", b"third", replaces=first)
    assert caught.value.kind is Kind.CHANGED
    assert place.get("a") == b"second"
    assert place.leftovers() == []


def test_nothing_is_visible_before_commit(place: Place) -> None:
    with place.scheme.write(place.url("a"), WriteOptions()) as writer:
        writer.write(TEN)
        assert kind_of(place, "a") is Kind.MISSING
        assert list(place.scheme.list(place.prefix)) == []
        writer.commit()
        assert place.get("a") == TEN


def test_leaving_without_commit_leaves_nothing(place: Place) -> None:
    with place.scheme.write(place.url("a"), WriteOptions()) as writer:
        writer.write(TEN)
    assert kind_of(place, "a") is Kind.MISSING
    assert list(place.scheme.list(place.prefix)) == []
    assert place.leftovers() == []


def test_an_exception_while_writing_leaves_nothing_and_goes_on(place: Place) -> None:
    def write_and_raise(mine: BaseException) -> None:
        with place.scheme.write(place.url("a"), WriteOptions()) as writer:
            writer.write(TEN)
            raise mine

    for mine in (ZeroDivisionError("mine"), OSError("mine"), KeyboardInterrupt("mine")):
        with pytest.raises(type(mine), match="mine"):
            write_and_raise(mine)
    assert list(place.scheme.list(place.prefix)) == []
    assert place.leftovers() == []


def test_giving_up_an_overwrite_leaves_the_old_object(place: Place) -> None:
    place.put("a", b"old")
    with place.scheme.write(place.url("a"), WriteOptions(overwrite=True)) as writer:
        writer.write(b"new")
    assert place.get("a") == b"old"


def test_a_listing_has_everything_below_and_nothing_beside(place: Place) -> None:
    urls = [place.put(name, name.encode()) for name in ("a", "b", "d/e", "d/f", "d/g/h")]
    place.put("../beside" if place.prefix.startswith("memory") else "zzz", b"")
    assert [listed.url for listed in place.scheme.list(place.url("d/"))] == urls[2:]
    assert [listed.size_bytes for listed in place.scheme.list(place.url("d/"))] == [3, 3, 5]
    assert [listed.url for listed in place.scheme.list(place.url("d/e"))] == [urls[2]]
    assert list(place.scheme.list(place.url("none/"))) == []
    assert all(listed.modified is not None for listed in place.scheme.list(place.prefix))


def test_a_prefix_need_not_end_with_a_slash(place: Place) -> None:
    urls = [place.put(name) for name in ("photo-1.jpg", "photo-2.jpg", "photos/3.jpg")]
    place.put("other.jpg")
    assert sorted(listed.url for listed in place.scheme.list(place.url("photo"))) == sorted(urls)


def test_a_listing_is_in_byte_order(place: Place) -> None:
    names = ["Z.jpg", "a 1.jpg", "a!.jpg", "a.jpg", "b.jpg", "z.jpg", "é.jpg", "日.jpg", "📷.jpg"]
    for name in reversed(names):
        place.put(name)
    assert [listed.url for listed in place.scheme.list(place.prefix)] == [place.url(name) for name in names]


def test_a_folder_comes_where_its_slash_sorts(place: Place) -> None:
    urls = [place.put(name) for name in ("a!.jpg", "a-.jpg", "a.jpg", "a/1.jpg", "a0.jpg")]
    listed = [listed.url for listed in place.scheme.list(place.prefix)]
    assert (listed if place.keeps_order else sorted(listed)) == urls


def test_deleting_twice_is_no_error(place: Place) -> None:
    url = place.put("a")
    place.scheme.delete(url)
    assert kind_of(place, "a") is Kind.MISSING
    place.scheme.delete(url)
    place.scheme.delete(place.url("never/there"))


def test_a_signed_url_is_read_by_anybody_where_the_scheme_can_sign(place: Place) -> None:
    url = place.put("ünï cödé #1?.jpg", TEN)
    if place.signs == "plain":
        assert place.scheme.signed_url(url, timedelta(hours=12)) == url
    elif place.signs == "no":
        with pytest.raises(ItemError, match="FIREBASE_SERVICE_ACCOUNT") as caught:
            place.scheme.signed_url(url, timedelta(hours=12))
        assert caught.value.kind is Kind.AUTH
    else:
        signed = place.scheme.signed_url(url, timedelta(hours=12))
        with urllib.request.urlopen(signed, timeout=10) as answer:
            assert answer.read() == TEN


def test_of_16_writers_one_wins(place: Place) -> None:
    def write(number: int) -> Kind | None:
        try:
            place.put("a", b"writer %d" % number)
        except ItemError as error:
            return error.kind
        return None

    with ThreadPoolExecutor(16) as pool:
        ends = list(pool.map(write, range(16)))
    assert sorted(ends, key=str) == [None] + [Kind.VALIDATION] * 15
    assert place.get("a") == b"writer %d" % ends.index(None)
    assert place.leftovers() == []


def test_of_16_who_replace_the_last_stays_whole(place: Place) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: place.put("a", b"%02d" % number * 50, overwrite=True), range(16)))
    data = place.get("a")
    assert len(data) == 100 and data == data[:2] * 50
    assert place.leftovers() == []


def test_there_is_nothing_to_abort_where_nobody_died(place: Place) -> None:
    url = place.put("a")
    if isinstance(place.scheme, LeavesUploads):
        assert place.scheme.abort_uploads(url) == 0
    assert place.get("a") == b"photo"
