"""The slices of the shards: each item once, neighbours together, about equal bytes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchlab.kinds import Kind
from batchlab.outcome import Failed
from batchlab.shards import Shard
from batchlab_processor.job import Entry
from batchlab_processor.slices import slice_of
from tests.processor.shouting import Word

SIZES = st.lists(st.one_of(st.none(), st.just("failed"), st.integers(0, 10**12)), max_size=60)


def entries_of(sizes: list[Any]) -> list[Entry[Any] | Failed]:
    return [
        Failed(key=f"w{n}", kind=Kind.MISSING, message="")
        if size == "failed"
        else Entry(f"w{n}", Word(text=""), size_bytes=size)
        for n, size in enumerate(sizes)
    ]


@given(sizes=SIZES, count=st.integers(1, 70))
def test_together_the_shards_have_every_item_once_and_in_order(sizes: list[Any], count: int) -> None:
    entries = entries_of(sizes)
    slices = [slice_of(entries, Shard(number, count)) for number in range(1, count + 1)]
    assert [position for part in slices for position in part] == list(range(len(entries)))


@given(sizes=st.lists(st.integers(0, 10**9), min_size=1, max_size=60), count=st.integers(1, 9))
def test_no_shard_has_more_than_its_share_and_one_item(sizes: list[int], count: int) -> None:
    entries = entries_of(sizes)
    share = (sum(sizes) + len(sizes)) / count
    for number in range(1, count + 1):
        mine = slice_of(entries, Shard(number, count))
        assert sum(sizes[position] for position in mine) <= share + max(sizes) + 1


def test_equal_items_are_shared_out_equally_whether_their_size_is_known_or_not() -> None:
    for size in (None, 0, 5_000_000):
        entries = entries_of([size] * 700)
        assert [len(slice_of(entries, Shard(n, 7))) for n in range(1, 8)] == [100] * 7
