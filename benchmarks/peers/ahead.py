"""Photos in plan order, `workers` of them being downloaded at once: the few lines that every user writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


def in_order(download: Callable[[int], bytes], count: int, workers: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each photo."""
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[tuple[int, Future[bytes]]] = deque()
        for number in range(count):
            under_way.append((number, pool.submit(download, number)))
            if len(under_way) > workers:
                first, photo = under_way.popleft()
                yield f"{first}.jpg", photo.result()
        for first, photo in under_way:
            yield f"{first}.jpg", photo.result()
