from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.zip_export.fillers import NOTE_LINE_BYTES
from batchlab_processor.jobs.zip_export.headers import BIG, END, ENDS_BYTES, central_bytes, local_bytes
from batchlab_processor.jobs.zip_export.layout import Layout, Shape
from batchlab_processor.jobs.zip_export.names import MISSING_NAME
from batchlab_processor.jobs.zip_export.volumes import split
from tests.processor.jobs.zip_export.archives import shape, shapes

SLACK_BYTES = 76 + 20 + NOTE_LINE_BYTES  # Zip64 in the end records and the table's line, and a note


def longest(shapes: Sequence[Shape], table_bytes: int | None = None) -> int:
    """The length of an archive of these, with a table of so many bytes."""
    layout = Layout(shapes)
    extra = [] if table_bytes is None else [(shape(MISSING_NAME, table_bytes), bytes(table_bytes))]
    return layout.end + len(layout.tail([1] * len(shapes), extra))


@given(shapes(), st.integers(0, 5_000), st.integers(400, 20_000_000_000))
def test_no_volume_is_too_long_and_none_could_take_the_next_photo(
    made: list[Shape], table_bytes: int, limit: int
) -> None:
    try:
        volumes = split(made, limit, table_bytes)
    except ItemError as error:
        if error.kind is not Kind.TOO_LARGE:
            raise
        alone = [longest([each]) for each in made[:-1]] + [longest(made[-1:], table_bytes)]
        assert any(each + SLACK_BYTES > limit for each in alone)
        return
    assert [member for volume in volumes for member in volume] == list(range(len(made)))
    for volume, following in zip(volumes, [*volumes[1:], None], strict=False):
        mine = made[volume.start : volume.stop]
        assert mine
        assert longest(mine, None if following else table_bytes) <= limit
        if following:
            last = following.start == len(made) - 1
            next_too = made[volume.start : following.start + 1]
            assert longest(next_too, table_bytes if last else None) + SLACK_BYTES > limit


def test_a_volume_is_full_to_the_byte() -> None:
    made = [shape(f"{n}" * (10 + 3 * n), 20 * n) for n in range(5)]
    table_bytes = 70

    def fits(begin: int, end: int, limit: int) -> bool:
        layout = Layout(made[begin:end])
        lines = len(layout.tail([1] * (end - begin))) - END.size + NOTE_LINE_BYTES
        table = headers_of_a_table(table_bytes) + table_bytes if end == len(made) else 0
        return layout.end + lines + ENDS_BYTES + table <= limit

    for limit in range(300, longest(made, table_bytes) + SLACK_BYTES + 2):
        expected, begin = [], 0
        for end in range(1, len(made) + 1):
            if end - begin > 1 and not fits(begin, end, limit):
                expected.append(range(begin, end - 1))
                begin = end - 1
        expected.append(range(begin, len(made)))
        if all(fits(volume.start, volume.stop, limit) for volume in expected):
            assert split(made, limit, table_bytes) == expected
        else:
            with pytest.raises(ItemError):
                split(made, limit, table_bytes)


def headers_of_a_table(size_bytes: int) -> int:
    name_bytes = len(MISSING_NAME)
    return local_bytes(name_bytes, size_bytes) + central_bytes(name_bytes, size_bytes, BIG)


def test_what_fits_one_archive_is_one() -> None:
    made = [shape(f"{n}.jpg", 1_000) for n in range(10)]
    assert split(made, 20_000, 0) == [range(10)]
    assert split([], 20_000, 0) == []


def test_the_last_photo_makes_room_for_the_table() -> None:
    made = [shape(f"{n}.jpg", 1_000) for n in range(3)]
    limit = longest(made) + 300
    assert split(made, limit, 0) == [range(3)]
    assert split(made, limit, 1_000) == [range(2), range(2, 3)]


def test_a_photo_longer_than_a_volume_is_named() -> None:
    made = [shape("small.jpg", 10), shape("large.jpg", 5_000_000), shape("other.jpg", 10)]
    with pytest.raises(ItemError, match=r"large\.jpg has 5\.0 MB.*1\.0 MB.*max_archive_bytes") as raised:
        split(made, 1_000_000, 0)
    assert raised.value.kind is Kind.TOO_LARGE
