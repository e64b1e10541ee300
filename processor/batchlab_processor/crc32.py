"""CRC-32 at the speed this machine has: isal's 10 GB/s where it is installed, else zlib's 2.6."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

__all__ = ["crc32", "crc32_combine"]

# (CRC-32 of a, CRC-32 of b, length of b in bytes) -> CRC-32 of a + b; None: zlib's is not offered by Python.
crc32_combine: Callable[[int, int, int], int] | None

if TYPE_CHECKING:

    def crc32(data: bytes | bytearray | memoryview, value: int = 0) -> int: ...

else:
    try:
        from isal.isal_zlib import crc32, crc32_combine
    except ImportError:
        from zlib import crc32

        crc32_combine = None
