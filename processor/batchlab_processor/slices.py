"""Which items a shard works on: contiguous slices of the plan, so that neighbours meet at one seam only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from batchlab.outcome import Failed
from batchlab.shards import Shard
from batchlab_processor.job import Entry


def slice_of(entries: Sequence[Entry[Any] | Failed], shard: Shard) -> range:
    """Positions of the shard's items: together the shards have each once, and about equal bytes.

    An item of unknown size counts as the mean of the others; it belongs to the shard that its middle lies in.
    """
    known = [
        entry.size_bytes for entry in entries if isinstance(entry, Entry) and entry.size_bytes is not None
    ]
    mean = sum(known) // len(known) if known else 0
    # One byte more for each, so that items without any are shared out, too; doubled, so that middles are whole.
    weights = [0 if isinstance(entry, Failed) else 1 + _size(entry, mean) for entry in entries]
    ends = list(accumulate(weights))
    total = ends[-1] if ends else 0
    middles = [2 * end - weight for end, weight in zip(ends, weights, strict=True)]

    def first(number: int) -> int:
        """The first position that belongs to shard `number` or a later one."""
        return bisect_left(middles, 2 * total * (number - 1), key=lambda middle: middle * shard.count)

    last = len(entries) if shard.number == shard.count else first(shard.number + 1)
    return range(first(shard.number), last)


def _size(entry: Entry[Any], mean: int) -> int:
    return mean if entry.size_bytes is None else entry.size_bytes
