"""Readers that give exactly what they promised."""

from __future__ import annotations

import io

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.base import Probed
from batchlab_processor.storage.streams import StreamReader, cut

PROBED = Probed("s3://bucket/a")


def reader_of(
    data: bytes, size_bytes: int, *, short: Kind = Kind.NETWORK, ended: list[str] | None = None
) -> StreamReader:
    return StreamReader(
        PROBED,
        size_bytes,
        io.BytesIO(data),
        as_item_error=lambda error: ItemError(Kind.TIMEOUT, str(error)),
        at_end=lambda: (ended if ended is not None else []).append("end"),
        short=short,
    )


@pytest.mark.parametrize("short", [Kind.NETWORK, Kind.CHANGED])
def test_fewer_bytes_than_promised_are_an_error(short: Kind) -> None:
    ended: list[str] = []
    reader = reader_of(b"1234", 10, short=short, ended=ended)
    assert reader.read(4) == b"1234"
    with pytest.raises(ItemError, match="s3://bucket/a ended 6 bytes before its end") as caught:
        reader.read()
    assert caught.value.kind is short
    assert ended == []


def test_more_bytes_than_promised_are_not_read() -> None:
    reader = reader_of(b"0123456789", 4)
    assert reader.read() == b"0123"
    assert reader.read() == b""
    reader = reader_of(b"0123456789", 4)
    buffer = bytearray(10)
    assert reader.readinto(memoryview(buffer)) == 4
    assert reader.readinto(memoryview(buffer)) == 0
    assert bytes(buffer) == b"0123" + bytes(6)


def test_the_end_is_told_once_when_all_bytes_came() -> None:
    ended: list[str] = []
    reader = reader_of(b"0123", 4, ended=ended)
    reader.read(3)
    assert ended == []
    reader.read()
    reader.read()
    assert ended == ["end"]


def test_errors_of_the_source_are_put_into_our_words() -> None:
    class Dead(io.BytesIO):
        def readinto(self, buffer: object, /) -> int:
            raise OSError("the line is dead")

    reader = StreamReader(PROBED, 5, Dead(), as_item_error=lambda error: ItemError(Kind.TIMEOUT, str(error)))
    with pytest.raises(ItemError, match="the line is dead") as caught:
        reader.read()
    assert caught.value.kind is Kind.TIMEOUT


def test_an_error_that_is_in_our_words_already_stays() -> None:
    class Guarded(io.BytesIO):
        def readinto(self, buffer: object, /) -> int:
            raise ItemError(Kind.BLOCKED_URL, "mine")

    reader = StreamReader(PROBED, 5, Guarded(), as_item_error=lambda error: ItemError(Kind.BUG, "theirs"))
    with pytest.raises(ItemError, match="mine"):
        reader.read()


@pytest.mark.parametrize("start", range(12))
@pytest.mark.parametrize("end", [None, *range(12)])
def test_a_range_is_cut_as_a_slice(start: int, end: int | None) -> None:
    data = b"0123456789"
    first, last = cut(start, end, len(data))
    assert data[first:last] == data[start:end]
    assert last - first == len(data[start:end])
