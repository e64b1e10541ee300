"""What a maker prints about itself."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopwatch() -> Iterator[None]:
    """Prints what the body took, processes it started included."""
    wall, cpu = time.monotonic(), _cpu_seconds()
    yield
    taken = {"wall_seconds": time.monotonic() - wall, "cpu_seconds": _cpu_seconds() - cpu}
    print(json.dumps(taken))


def _cpu_seconds() -> float:
    return sum(os.times()[:4])
