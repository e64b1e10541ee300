from __future__ import annotations

import io
import random
import zipfile
import zlib
from collections.abc import Callable

import pytest
import stream_zip
from hypothesis import given
from hypothesis import strategies as st

from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.zip_export import headers
from batchlab_processor.jobs.zip_export.directory import Found, read_directory
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from batchlab_processor.jobs.zip_export.names import MISSING_NAME
from tests.processor.jobs.zip_export import archives
from tests.processor.jobs.zip_export.archives import DATE, Sparse, photos, shape, shapes, sparse, whole


def directory_of(content: bytes, begin: int = 0) -> list[Found]:
    """Of an archive that is all zeros up to `begin`."""
    file = Sparse({begin: content})
    return read_directory(file.read_span, file.size_bytes)


def none_if_corrupt(content: bytes, begin: int = 0) -> list[Found] | None:
    try:
        return directory_of(content, begin)
    except ItemError as error:
        if error.kind is not Kind.CORRUPT:
            raise
        return None


@given(photos().filter(bool), st.data())
def test_what_was_written_is_read_back_but_for_the_lost(
    made: dict[Shape, bytes], data: st.DataObject
) -> None:
    shapes, contents = list(made), list(made.values())
    lost = data.draw(st.sets(st.sampled_from(range(len(made)))))
    table = (shape(MISSING_NAME, 3), b"a,b")
    content = whole(Layout(shapes), contents, lost, [table])
    expected = [pair for member, pair in enumerate(made.items()) if member not in lost] + [table]
    found = directory_of(content)
    assert [Shape(each.name, each.size_bytes, each.date) for each in found] == [each for each, _ in expected]
    assert [each.date.utcoffset() for each in found] == [each.date.utcoffset() for each, _ in expected]
    for each, (_, bytes_of_it) in zip(found, expected, strict=True):
        assert content[each.data_offset : each.data_offset + each.size_bytes] == bytes_of_it
        assert content[each.offset : each.offset + 4] == b"PK\x03\x04"
        assert each.crc32 == zlib.crc32(bytes_of_it)


@given(shapes())
def test_an_archive_of_any_size_is_read_back(made: list[Shape]) -> None:
    file, layout = sparse(made), Layout(made)
    for member, found in enumerate(read_directory(file.read_span, file.size_bytes)):
        assert (found.offset, found.data_offset) == layout.header_span(member)
        assert Shape(found.name, found.size_bytes, found.date) == made[member]
        assert found.crc32 == layout.filler_crc32(member)


@pytest.mark.slow  # 65,536 members
def test_more_members_than_16_bits_count_are_read_back() -> None:
    count = 65_540
    layout = Layout([shape("a", 0)] * count)
    assert len(directory_of(layout.tail([0] * count), layout.end)) == count


def test_a_directory_takes_one_read_of_the_end_and_one_of_the_rest() -> None:
    asked: list[tuple[int, int]] = []

    def read(content: bytes) -> Callable[[int, int], bytes]:
        def read(start: int, end: int) -> bytes:
            asked.append((start, end))
            return content[start:end]

        return read

    for count, reads in ((3, 1), (800, 2)):
        asked.clear()
        content = archives.archive({shape(f"{n:050}.jpg", 0): b"" for n in range(count)})
        assert len(read_directory(read(content), len(content))) == count
        assert len(asked) == reads
        assert all(0 <= start < end <= len(content) for start, end in asked)


GALLERY = archives.archive({shape(f"{n}.jpg", 5): b"photo" for n in range(4)})
DIRECTORY_AT = GALLERY.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"no archive" * 100, GALLERY[:-1], GALLERY + b"x", GALLERY[1:]]
)
def test_what_is_no_archive_of_ours_is_corrupt(content: bytes) -> None:
    with pytest.raises(ItemError, match="Submit the export anew") as raised:
        directory_of(content)
    assert raised.value.kind is Kind.CORRUPT


def test_no_bit_of_a_directory_turns_unnoticed_unless_it_is_of_a_name_a_date_or_a_crc() -> None:
    def places(found: list[Found]) -> list[tuple[int, int, int]]:
        return [(each.offset, each.data_offset, each.size_bytes) for each in found]

    sound = directory_of(GALLERY)
    for bit in range(DIRECTORY_AT * 8, len(GALLERY) * 8):
        damaged = bytearray(GALLERY)
        damaged[bit // 8] ^= 1 << bit % 8
        found = none_if_corrupt(bytes(damaged))
        if found is not None:
            assert places(found) == places(sound)
            assert repr(found) != repr(sound)  # dates that differ in their offset alone are equal


def test_random_damage_never_ends_in_anything_but_corrupt() -> None:
    dice = random.Random(7)
    large = sparse([shape("a.jpg", 1 << 33), shape("b.jpg", 5)])
    for content, begin in (
        (GALLERY[DIRECTORY_AT:], DIRECTORY_AT),
        (large.read_span(1 << 33, 1 << 34), 1 << 33),
    ):
        assert none_if_corrupt(content, begin)
        for _ in range(2_000):
            damaged = bytearray(content)
            for _ in range(dice.randrange(1, 6)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            none_if_corrupt(bytes(damaged), begin)


def test_members_that_lie_over_each_other_or_over_the_directory_are_corrupt() -> None:
    layout = Layout([shape("a.jpg", 5), shape("b.jpg", 5)])
    lines, ends = layout.tail([1, 2])[:-22], layout.tail([1, 2])[-22:]
    a, b = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    assert directory_of(a + b + ends, layout.end)
    with pytest.raises(ItemError):  # the right lines in the wrong order
        directory_of(b + a + ends, layout.end)
    with pytest.raises(ItemError):  # nothing at byte 0
        directory_of(b + headers.ends(1, layout.end, len(b)), layout.end)
    longer = Layout([shape("a.jpg", 5), shape("b.jpg", 6)])
    with pytest.raises(ItemError):  # the last photo reaches into the directory
        directory_of(longer.tail([1, 2])[:-22] + ends, layout.end)


def test_archives_of_other_writers_are_not_taken_for_ours() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr("a.jpg", b"photo")
    with pytest.raises(ItemError):
        directory_of(file.getvalue())
    members = [("a.jpg", DATE, 0o100600, stream_zip.NO_COMPRESSION_32(5, zlib.crc32(b"photo")), [b"photo"])]
    with pytest.raises(ItemError):
        directory_of(b"".join(stream_zip.stream_zip(members)))


def test_a_read_that_comes_short_is_no_directory() -> None:
    with pytest.raises(ItemError, match="came as"):
        read_directory(lambda start, end: GALLERY[start : end - 1], len(GALLERY))
