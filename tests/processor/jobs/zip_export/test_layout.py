from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import stream_zip
from hypothesis import given
from hypothesis import strategies as st

from batchlab_processor.jobs.zip_export import fillers
from batchlab_processor.jobs.zip_export.dates import EARLIEST, LATEST, member_date
from batchlab_processor.jobs.zip_export.layout import SMALLEST_PART_BYTES, Layout, Shape, part_bytes
from batchlab_processor.jobs.zip_export.names import MISSING_NAME, NOTE_NAME, folded
from tests.processor.jobs.zip_export import archives
from tests.processor.jobs.zip_export.archives import DATE, crcs, photos, shape, shapes, sparse, whole

BIG, MANY = 0xFFFF_FFFF, 0xFFFF
END_OF_ZIP64 = b"PK\x06\x06"
HEADER_BYTES = 30 + 5 + 9  # of a member called a.jpg
FIRST_HEADER_BYTES = HEADER_BYTES + fillers.ROOM_BYTES
GALLERY = {
    shape("001.jpg", 3): b"abc",
    shape("ceremony/Zoë & Jürgen.jpg", 200): bytes(range(200)),
    shape("empty.jpg", 0): b"",
    shape("ceremony/002 😀.png", 50): b"x" * 50,
}


def stream_zips(photos: dict[Shape, bytes]) -> bytes:
    members = (
        (
            each.name,
            each.date,
            0o100644,
            stream_zip.NO_COMPRESSION_32(len(content), zlib.crc32(content)),
            [content],
        )
        for each, content in photos.items()
    )
    return b"".join(stream_zip.stream_zip(members))


def stream_zips_header(name: str, size_bytes: int, crc: int) -> bytes:
    method = stream_zip.NO_COMPRESSION_64 if size_bytes >= BIG else stream_zip.NO_COMPRESSION_32
    length = HEADER_BYTES - 5 + len(name.encode()) + (20 if size_bytes >= BIG else 0)
    member = (name, DATE, 0o100644, method(size_bytes, crc), [bytes(1)])
    return next(stream_zip.stream_zip([member], chunk_size=length))


def zipfiles_directory(layout: Layout, shapes: Sequence[Shape], crc: int, patch: pytest.MonkeyPatch) -> bytes:
    """What the standard library writes behind these members, told the format's limits instead of its own."""
    patch.setattr(zipfile, "ZIP64_LIMIT", BIG - 1)
    patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", MANY - 1)

    class At(io.BytesIO):
        def tell(self) -> int:
            return super().tell() + layout.end

        def seek(self, offset: int, whence: int = 0) -> int:
            return super().seek(offset - layout.end)

    file = At()
    writer = zipfile.ZipFile(io.BytesIO(), "w")
    writer.fp, writer.start_dir, writer._didModify = file, layout.end, True  # type: ignore[attr-defined]
    for member, each in enumerate(shapes):
        info = zipfile.ZipInfo(each.name, each.date.timetuple()[:6])
        info.CRC, info.file_size, info.compress_size = crc, each.size_bytes, each.size_bytes
        info.header_offset = layout.header_span(member)[0]
        info.create_system, info.external_attr, info.flag_bits = 3, 0o100644 << 16, 1 << 11
        info.extra = struct.pack("<2sHBi", b"UT", 5, 1, int(each.date.timestamp()))
        writer.filelist.append(info)
    written: list[bytes] = []
    file.close = lambda: written.append(file.getvalue())  # type: ignore[method-assign]
    writer.close()
    return written[0] if written else file.getvalue()


# The bytes are those of other writers


@given(photos())
def test_members_are_byte_for_byte_what_stream_zip_writes_but_for_the_room_in_the_first(
    made: dict[Shape, bytes],
) -> None:
    layout = Layout(list(made))
    content = archives.archive(made)[: layout.end]
    if made:
        end = layout.header_span(0)[1]
        room = content[end - fillers.ROOM_BYTES : end]
        assert struct.unpack("<4H", room[:8]) == (0xA220, len(room) - 4, 0xA028, 0) and not any(room[8:])
        assert struct.unpack("<H", content[28:30]) == (9 + len(room),)
        content = content[:28] + struct.pack("<H", 9) + content[30 : end - len(room)] + content[end:]
    theirs = stream_zips(made)
    assert content == theirs[: len(content)]
    assert theirs[len(content) :].startswith((b"PK\x01\x02", b"PK\x05\x06"))


@pytest.mark.parametrize("size_bytes", [0, BIG - 1, BIG, BIG + 1, 1 << 40])
def test_a_header_before_a_member_of_any_size_is_what_stream_zip_writes(size_bytes: int) -> None:
    layout = Layout([shape("a.jpg", 0), shape("Zoë.jpg", size_bytes)])
    assert layout.header(1, 0xDEADBEEF) == stream_zips_header("Zoë.jpg", size_bytes, 0xDEADBEEF)


@given(shapes())
def test_the_directory_is_what_the_standard_library_writes_where_32_bits_end(made: list[Shape]) -> None:
    made = [
        replace(each, name=f"é{each.name}") for each in made
    ]  # it flags no name of ASCII letters as UTF-8
    layout = Layout(made)
    with pytest.MonkeyPatch.context() as patch:
        assert layout.tail([7] * len(made)) == zipfiles_directory(layout, made, 7, patch)


@pytest.mark.slow  # 65,536 members
@pytest.mark.parametrize("count", [MANY - 1, MANY, MANY + 1])
def test_the_directory_is_what_the_standard_library_writes_where_16_bits_end(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [shape("é.jpg", 1)] * count
    layout = Layout(made)
    tail = layout.tail([7] * count)
    assert tail == zipfiles_directory(layout, made, 7, monkeypatch)
    assert (END_OF_ZIP64 in tail) == (count >= MANY)


# Zip64 exactly where it is needed


@pytest.mark.parametrize(("offset", "zip64"), [(BIG - 1, False), (BIG, True), (BIG + 1, True)])
def test_an_offset_that_means_see_there_is_said_in_zip64(offset: int, zip64: bool) -> None:
    made = [shape("a.jpg", offset - FIRST_HEADER_BYTES), shape("b.jpg", 3)]
    with zipfile.ZipFile(sparse(made, {1: b"abc"})) as opened:
        first, second = opened.infolist()
        assert second.header_offset == offset
        assert opened.read(second) == b"abc"
        assert (first.extract_version, second.extract_version) == (20, 45 if zip64 else 20)


@pytest.mark.parametrize(("size_bytes", "zip64"), [(BIG - 1, False), (BIG, True), (BIG + 1, True)])
def test_a_size_that_means_see_there_is_said_in_zip64(size_bytes: int, zip64: bool) -> None:
    with zipfile.ZipFile(sparse([shape("a.jpg", size_bytes)])) as opened:
        [info] = opened.infolist()
        assert (info.file_size, info.compress_size) == (size_bytes, size_bytes)
        assert info.extract_version == (45 if zip64 else 20)
        with opened.open(info) as member:
            assert member.read(5) == bytes(5)


@pytest.mark.parametrize(("end", "zip64"), [(BIG - 1, False), (BIG, True), (BIG + 1, True)])
def test_a_directory_whose_place_means_see_there_is_said_in_zip64(end: int, zip64: bool) -> None:
    file = sparse(
        [shape("a.jpg", end // 2), shape("b.jpg", end - end // 2 - HEADER_BYTES - FIRST_HEADER_BYTES)]
    )
    assert (END_OF_ZIP64 in file.read_span(end, file.size_bytes)) == zip64
    with zipfile.ZipFile(file) as opened:
        assert opened.start_dir == end
        assert opened.namelist() == ["a.jpg", "b.jpg"]


def test_the_directory_of_a_table_behind_4_gib_says_its_place_in_zip64() -> None:
    layout = Layout([shape("a.jpg", BIG)])
    tail = layout.tail([7], [(shape(MISSING_NAME, 3), b"abc")])
    pieces = {0: layout.header(0, 7), layout.end: tail}
    with zipfile.ZipFile(archives.Sparse(pieces)) as opened:
        assert opened.getinfo(MISSING_NAME).header_offset == layout.end
        assert opened.read(MISSING_NAME) == b"abc"


# Places


@given(shapes())
def test_headers_and_photos_follow_each_other_without_a_gap(made: list[Shape]) -> None:
    layout = Layout(made)
    at = 0
    for member, each in enumerate(made):
        assert layout.header_span(member) == (at, at + len(layout.header(member, 1)))
        assert layout.data_span(member) == (
            layout.header_span(member)[1],
            layout.header_span(member)[1] + each.size_bytes,
        )
        at = layout.data_span(member)[1]
    assert layout.end == at
    assert len(layout) == len(made)


@given(shapes(st.integers(0, 90)), st.integers(1, 200))
def test_a_part_knows_its_members_and_bytes_know_their_parts(made: list[Shape], length: int) -> None:
    layout = Layout(made, part_bytes=length)
    spans = [(layout.header_span(member)[0], layout.data_span(member)[1]) for member in range(len(made))]
    for part in range(layout.end // length + 3):
        begin, end = layout.part_span(part)
        inside = [n for n, (low, high) in enumerate(spans) if max(low, begin) < min(high, end)]
        assert list(layout.members_in(part)) == inside
    for low, high in (
        span for member in range(len(made)) for span in (layout.header_span(member), layout.data_span(member))
    ):
        assert list(layout.parts(low, high)) == sorted({byte // length for byte in range(low, high)})


def test_no_bytes_lie_in_no_part() -> None:
    assert [*Layout([], part_bytes=10).parts(10, 10), *Layout([], part_bytes=10).parts(15, 15)] == []
    assert list(Layout([], part_bytes=10).members_in(0)) == []


def test_an_archive_put_together_from_parts_is_the_same_wherever_the_grid_cuts() -> None:
    shapes, contents = list(GALLERY), list(GALLERY.values())
    layout = Layout(shapes)
    expected = whole(layout, contents)
    for length in range(1, layout.end + 2):
        layout = Layout(shapes, part_bytes=length)
        built = b"".join(in_parts(layout, contents))
        assert built + layout.tail(crcs(contents)) == expected


def in_parts(layout: Layout, contents: Sequence[bytes]) -> Iterable[bytes]:
    """Each part by itself, as a sink makes it: of the members that lie in it."""
    for part in layout.parts(0, layout.end):
        begin, end = layout.part_span(part)
        buffer = bytearray(min(end, layout.end) - begin)
        for member in layout.members_in(part):
            pieces = {
                layout.header_span(member): layout.header(member, zlib.crc32(contents[member])),
                layout.data_span(member): contents[member],
            }
            for (start, stop), piece in pieces.items():
                low, high = max(start, begin), min(stop, end)
                if low < high:
                    buffer[low - begin : high - begin] = piece[low - start : high - start]
        yield bytes(buffer)


@pytest.mark.parametrize(
    ("total", "mebibytes"),
    [(0, 8), (9_500 * 8 << 20, 8), ((9_500 * 8 << 20) + 1, 9), (9_500 * 9 << 20, 9), (1 << 40, 111)],
)
def test_parts_are_as_long_as_the_whole_needs(total: int, mebibytes: int) -> None:
    assert part_bytes(total) == mebibytes << 20


def test_the_grid_has_room_for_the_directory_and_for_a_table_of_all_members() -> None:
    made = [shape(f"{n:06}.jpg", 7_244_000) for n in range(11_000)]
    layout = Layout(made)
    longest = layout.end + layout.tail_bound(2048 * len(made))
    assert layout.end < 9_500 * SMALLEST_PART_BYTES < longest
    assert layout.part_bytes == part_bytes(longest) == 9 << 20


# Names and dates


@pytest.mark.parametrize(
    ("taken", "clock"),
    [
        (datetime(1975, 1, 1, tzinfo=UTC), (1980, 1, 1, 0, 0, 0)),
        (datetime(1980, 1, 1, tzinfo=timezone(timedelta(hours=14))), (1980, 1, 1, 0, 0, 0)),
        (datetime(2026, 6, 6, 14, 30, 9, tzinfo=timezone(timedelta(hours=2))), (2026, 6, 6, 14, 30, 8)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), (2026, 12, 31, 23, 59, 58)),
        (datetime(2050, 1, 1, tzinfo=UTC), (2038, 1, 19, 3, 14, 6)),
    ],
)
def test_unpackers_show_the_date_on_the_wall_where_the_photo_was_taken(
    taken: datetime, clock: tuple[int, ...]
) -> None:
    date = member_date(taken, None, DATE)
    content = archives.archive({shape("a.jpg", 0, date): b""})
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        [info] = opened.infolist()
    assert info.date_time == clock
    assert struct.unpack("<2sHBi", info.extra) == (b"UT", 5, 1, date.timestamp())
    assert EARLIEST <= date <= LATEST


def test_names_are_in_utf_8_and_say_so() -> None:
    with zipfile.ZipFile(io.BytesIO(archives.archive(GALLERY))) as opened:
        assert opened.namelist() == [each.name for each in GALLERY]
        assert {info.flag_bits for info in opened.infolist()} == {1 << 11}  # and no data descriptor
        assert {info.external_attr >> 16 for info in opened.infolist()} == {0o100644}


# Lost members


@given(photos(), st.data())
def test_a_lost_member_is_not_in_the_directory_and_moves_no_other(
    made: dict[Shape, bytes], data: st.DataObject
) -> None:
    shapes, contents = list(made), list(made.values())
    lost = data.draw(st.sets(st.sampled_from(range(len(made))))) if made else set()
    layout = Layout(shapes)
    content = whole(layout, contents, lost)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert {info.filename: opened.read(info) for info in opened.infolist()} == {
            each.name: made[each] for member, each in enumerate(made) if member not in lost
        } | ({NOTE_NAME: fillers.NOTE} if 0 in lost else {})
        for member, each in enumerate(shapes):
            if member not in lost:
                assert opened.getinfo(each.name).header_offset == layout.header_span(member)[0]


@given(shapes())
def test_a_filler_takes_exactly_the_place_of_the_photo(made: list[Shape]) -> None:
    layout = Layout(made)
    for member, each in enumerate(made):
        real, filler = layout.header(member, layout.filler_crc32(member)), layout.filler_header(member)
        assert len(filler) == len(real)
        name = slice(30, 30 + len(each.name.encode()))
        if member == 0:
            filler = filler[fillers.ROOM_BYTES :]
            real = real[:28] + struct.pack("<H", len(filler) - name.stop) + real[30 : len(filler)]
        assert filler[: name.start] + filler[name.stop :] == real[: name.start] + real[name.stop :]


def test_a_filler_has_the_crc_of_as_many_zeros() -> None:
    assert Layout([shape("a", 12_345)]).filler_crc32(0) == zlib.crc32(bytes(12_345))


def filler_names(names: Sequence[str]) -> list[str]:
    layout = Layout([shape(name, 0) for name in names])
    headers = [layout.filler_header(n)[0 if n else fillers.ROOM_BYTES :] for n in range(len(names))]
    return [
        header[30 : 30 + len(name.encode())].decode() for header, name in zip(headers, names, strict=True)
    ]


def test_in_front_of_the_filler_of_the_first_photo_is_a_note() -> None:
    """7-Zip believes in a directory only if the member at byte 0 stands in it."""
    contents = list(GALLERY.values())
    content = whole(Layout(list(GALLERY)), contents, lost={0, 2})
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        first = opened.infolist()[0]
        assert (first.filename, first.header_offset) == (NOTE_NAME, 0)
        assert MISSING_NAME in opened.read(first).decode()
        assert len(opened.infolist()) == 3


def test_no_archive_begins_with_a_note_when_the_first_photo_is_there_or_nothing_is() -> None:
    layout = Layout(list(GALLERY))
    for known, end in (([1, None, None, 4], None), ([None] * 4, 0)):
        assert NOTE_NAME.encode() not in layout.tail(known, end=end)


@pytest.mark.parametrize(
    ("name", "filler"),
    [
        ("DSC_0001.jpg", "_missing_000"),
        ("photo.jpg", "_missing0"),
        ("a.jpg", "_mis0"),
        ("a", "0"),
        ("ceremony/Zoë.jpg", "_missing_00000000"),
    ],
)
def test_a_filler_is_named_missing_in_as_many_bytes_as_the_photo(name: str, filler: str) -> None:
    assert filler_names([name]) == [filler]


def test_a_long_filler_is_in_folders_that_file_systems_take() -> None:
    for length in range(1, 901):
        [name] = filler_names(["x" * length])
        assert all(1 <= len(part) <= 255 for part in name.split("/"))
        assert name.endswith("0") and len(name) == length


def test_a_filler_never_takes_the_name_of_a_photo_or_a_folder() -> None:
    assert filler_names(["1234567890", "_MISSING_0", "_missing_2", "_missing_3/a.jpg"])[0] == "1234567890"
    assert filler_names(["DSC_000000", "_missing_1/a"])[0] == "_missing_0"
    assert filler_names(["_missing_1/a", "DSC_000000"])[1] == "DSC_000000"


@given(archives.names, st.integers(0, 11))
def test_fillers_and_photos_never_share_a_name(names: list[str], some: int) -> None:
    names = [*names, *(f"_missing_{n}" for n in range(some))]
    names = list({folded(name): name for name in names}.values())
    fillers = filler_names(names)
    assert len({folded(name) for name in fillers}) == len(names)
    for member, filler in enumerate(fillers):
        assert filler == names[member] or folded(filler) not in {folded(name) for name in names}
        assert len(filler.encode()) == len(names[member].encode())


def test_a_number_longer_than_the_name_leaves_the_photo_its_own() -> None:
    assert filler_names([*(f"photo {n}.jpg" for n in range(10)), "x"])[-1] == "x"


# The tail


@given(photos(), st.binary(max_size=50))
def test_the_table_comes_behind_the_members_and_into_the_directory(
    made: dict[Shape, bytes], table: bytes
) -> None:
    layout, each = Layout(list(made)), shape(MISSING_NAME, len(table))
    content = whole(layout, list(made.values()), extra=[(each, table)])
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.namelist() == [*(each.name for each in made), MISSING_NAME]
        assert opened.getinfo(MISSING_NAME).header_offset == layout.end
        assert opened.read(MISSING_NAME) == table
    theirs = stream_zips({each: table})
    assert content[layout.end :].startswith(theirs[: 30 + len(MISSING_NAME) + 9 + len(table)])


@given(shapes(), st.integers(0, 1000))
def test_a_tail_is_never_longer_than_foreseen_and_hardly_shorter(made: list[Shape], table: int) -> None:
    layout = Layout(made)
    extra = [(shape(MISSING_NAME, table), bytes(table))]
    length = len(layout.tail([7] * len(made), extra))
    assert length <= layout.tail_bound(table) <= length + 56 + 20 + 12 + fillers.NOTE_LINE_BYTES
    for lost in range(len(made)):
        known = [None if member == lost else 7 for member in range(len(made))]
        assert len(layout.tail(known, extra)) <= layout.tail_bound(table)
    assert len(layout.tail([7] * len(made))) <= layout.tail_bound(0)


def test_an_archive_may_end_in_front_of_members_that_are_all_lost() -> None:
    shapes, contents = list(GALLERY), list(GALLERY.values())
    layout = Layout(shapes)
    for kept in range(len(shapes) + 1):
        known = crcs(contents, lost=range(kept, len(shapes)))
        cut = layout.header_span(kept)[0] if kept < len(shapes) else layout.end
        content = whole(layout, contents)[:cut] + layout.tail(known, end=cut)
        assert content == archives.archive(dict(list(GALLERY.items())[:kept]))


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ([1, 2, 3], None),  # one too few
        ([1, 2, 3, 4, 5], None),
        ([1, 2, 3, 4], 0),  # not lost
        ([1, None, None, 4], FIRST_HEADER_BYTES + 5),
        ([1, None, None, None], 1),  # not in front of a member
        ([None] * 4, 10_000),
    ],
)
def test_a_tail_is_not_made_for_an_archive_that_cannot_be(known: list[int | None], end: int | None) -> None:
    with pytest.raises(ValueError, match=r"CRC-32s for|not where"):
        Layout(list(GALLERY)).tail(known, end=end)


def test_an_archive_without_members_is_one() -> None:
    with zipfile.ZipFile(io.BytesIO(Layout([]).tail([]))) as opened:
        assert opened.namelist() == []


# The digest


def test_a_plan_has_another_digest_when_anything_but_the_photos_bytes_is_another() -> None:
    made = list(GALLERY)
    first = made[0]
    plans = [
        Layout(made),
        Layout(made, part_bytes=16 << 20),
        Layout(made[::-1]),
        Layout(made[:-1]),
        *(
            Layout([other, *made[1:]])
            for other in (
                replace(first, name="002.jpg"),
                replace(first, size_bytes=4),
                replace(first, size_bytes=BIG + 1),
                replace(first, size_bytes=BIG + 2),
                replace(first, date=DATE + timedelta(seconds=2)),
                replace(first, date=DATE.astimezone(UTC)),
            )
        ),
    ]
    assert len({plan.digest() for plan in plans}) == len(plans)
    assert Layout(list(GALLERY)).digest() == Layout(made, part_bytes=SMALLEST_PART_BYTES).digest()
