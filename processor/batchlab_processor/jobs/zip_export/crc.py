"""CRC-32s of bytes that nobody holds at once: of a concatenation, and of any number of zeros.

A CRC is the remainder of a polynomial over GF(2). Bytes that follow multiply it by x^8 each, so a CRC is moved
over n bytes in O(log n), without them. Source: M. Adler's `crc32_combine` in zlib, which Python does not offer and
isal does: 0.2 us where Python takes 200.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from batchlab_processor.crc32 import crc32_combine

# Bit 31 holds x^0, bit 0 holds x^31: a CRC-32 is kept mirrored.
_POLYNOMIAL = 0xEDB8_8320
_ONE = 1 << 31
_BYTE = 1 << 23  # x^8
_ALL = 0xFFFF_FFFF


def combine(crcs_and_lengths: Iterable[tuple[int, int]]) -> int:
    """The CRC-32 of pieces in their order, each given as (its CRC-32, its length in bytes)."""
    join = crc32_combine or joined
    crc = 0  # of no bytes
    for piece, size_bytes in crcs_and_lengths:
        crc = join(crc, piece, size_bytes)
    return crc


def joined(first: int, second: int, second_bytes: int) -> int:
    """The CRC-32 of two pieces, the second so long."""
    return _product(_moved(second_bytes), first) ^ second


def of_zeros(size_bytes: int) -> int:
    """The CRC-32 of so many zero bytes."""
    return _product(_moved(size_bytes), _ALL) ^ _ALL


def _product(a: int, b: int) -> int:
    """a * b modulo the polynomial."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & _ALL
        b = b >> 1 ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


@lru_cache(maxsize=4096)  # pieces of a part have few different lengths
def _moved(size_bytes: int) -> int:
    """x^(8 * size_bytes) modulo the polynomial."""
    result, power = _ONE, _BYTE
    while size_bytes:
        if size_bytes & 1:
            result = _product(result, power)
        power = _product(power, power)
        size_bytes >>= 1
    return result
