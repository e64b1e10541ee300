from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from batchlab_processor.crc32 import crc32_combine
from batchlab_processor.jobs.zip_export.crc import combine, joined, of_zeros


@given(st.lists(st.binary(max_size=200)))
def test_the_crc_of_pieces_in_a_row_is_that_of_all_their_bytes(pieces: list[bytes]) -> None:
    assert combine((zlib.crc32(piece), len(piece)) for piece in pieces) == zlib.crc32(b"".join(pieces))


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF), st.integers(0, 1 << 45))
def test_isal_joins_as_we_do(first: int, second: int, second_bytes: int) -> None:
    assert crc32_combine is not None, "isal is installed for the tests"
    assert joined(first, second, second_bytes) == crc32_combine(first, second, second_bytes)


@given(st.integers(0, 100_000))
def test_the_crc_of_zeros_needs_no_zeros(size_bytes: int) -> None:
    assert of_zeros(size_bytes) == zlib.crc32(bytes(size_bytes))


@given(st.lists(st.integers(0, 1 << 45), min_size=1))
def test_zeros_of_terabytes_may_be_cut_anywhere(sizes_bytes: list[int]) -> None:
    assert combine((of_zeros(size), size) for size in sizes_bytes) == of_zeros(sum(sizes_bytes))


def test_a_gibibyte_of_zeros_has_the_crc_that_gzip_finds() -> None:
    assert of_zeros(1 << 30) == 0x5B64_C2B0  # head -c 1G /dev/zero | gzip -1 | tail -c 8 | xxd
