"""The memory of the parts: a fixed number of equal buffers, used again and again.

2 x workers are enough, because photos start in plan order: a photo in flight holds the part of its header,
which waits for its CRC-32, and the part that is being filled. A header that the grid cuts in two holds one
more; so that nobody ever waits for ever, one buffer too many is made when everybody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.2  # how often somebody who waits looks whether the run stops


class Buffers:
    """Buffers of `size_bytes`; `check` raises when waiting has become useless."""

    def __init__(self, size_bytes: int, most: int, check: Callable[[], None]) -> None:
        self.size_bytes = size_bytes
        self.made = 0  # alive now
        self._most = most
        self.check = check
        self._free: list[bytearray] = []
        self._changed = threading.Condition()
        self._at_work = 0
        self._waiting = 0
        self._under_way = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around everything a thread does that may take buffers."""
        with self._changed:
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    def take(self) -> bytearray:
        """A buffer that nobody uses, its content whatever it was; raises what `check` raises."""
        with self._changed:
            self._waiting += 1
            try:
                while not self._free and self.made >= self._most and not self._stuck():
                    self._changed.wait(LOOK_SECONDS)
                    self.check()
            finally:
                self._waiting -= 1
            if self._free:
                return self._free.pop()
            self.made += 1
        return bytearray(self.size_bytes)

    def lend(self) -> None:
        """A filled buffer goes to be sent: it will come back."""
        with self._changed:
            self._under_way += 1

    def give_back(self, buffer: bytearray, *, sent: bool) -> None:
        """`sent`: it had been lent."""
        with self._changed:
            self._under_way -= sent
            if self.made > self._most:
                self.made -= 1
            else:
                self._free.append(buffer)
            self._changed.notify_all()

    def _stuck(self) -> bool:
        return self._under_way == 0 and self._waiting >= self._at_work
