from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchlab_processor.jobs.zip_export.payload import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    Blocks,
    InMemory,
    OnDisk,
    Payload,
    in_memory,
)


def fill(payload: Payload, content: bytes, steps: list[int]) -> None:
    at = turn = 0
    while at < len(content):
        room = payload.room()
        count = min(len(room), steps[turn % len(steps)], len(content) - at)
        room[:count] = content[at : at + count]
        assert payload.filled(count) == content[at : at + count]
        at, turn = at + count, turn + 1


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.one_of(
        st.integers(0, 300), st.integers(BLOCK_BYTES - 2, BLOCK_BYTES + 2), st.integers(0, 3 * BLOCK_BYTES)
    ),
    steps=st.lists(st.integers(1, 100_000), min_size=1, max_size=4),
)
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_what_goes_in_comes_out_in_pieces_of_one_size(
    tmp_path: Path, where: str, size: int, steps: list[int]
) -> None:
    blocks = Blocks()
    content = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    content, steps = content[:size], [max(step, size // 50) for step in steps]
    payload: Payload = InMemory(blocks, size) if where == "memory" else OnDisk(blocks, str(tmp_path))
    fill(payload, content, steps)
    chunks = list(payload.chunks())
    assert payload.size_bytes == size
    assert b"".join(chunks) == content
    assert all(len(chunk) == CHUNK_BYTES for chunk in chunks[:-1])
    payload.release()
    payload.release()
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_goes_on_too_long_is_noticed() -> None:
    payload = in_memory(Blocks(), b"abc")
    assert len(payload.room()) > 0
    with pytest.raises(ValueError, match="more bytes"):
        payload.filled(1)


def test_pieces_taken_stay_the_same_when_their_block_is_filled_anew() -> None:
    blocks = Blocks()
    payload = in_memory(blocks, b"a" * BLOCK_BYTES)
    first = next(payload.chunks())
    payload.release()
    in_memory(blocks, b"b" * BLOCK_BYTES)
    assert first == b"a" * CHUNK_BYTES


def test_released_blocks_are_used_again_and_small_photos_take_none() -> None:
    blocks = Blocks()
    block = blocks.take()
    blocks.give_back([block])
    assert blocks.take() is block
    small = in_memory(blocks, b"x" * 100)
    assert len(small.room()) < BLOCK_BYTES
