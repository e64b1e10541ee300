"""How large sources are, by looking at a few of them: through the guard, with requests that read 512 bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from batchlab.authority import Authority
from batchlab.connections import Patience
from batchlab.errors import BatchlabError
from batchlab.guard import Guard
from batchlab.kinds import ItemError
from batchlab.locations import WEB_SCHEMES, locate
from batchlab.settings import Settings

MOST = 20  # the mean of 20 photos of one event is within a fifth of the whole's mean, mostly
PROBE_BYTES = 512
_AT_ONCE = 10
_SECONDS = 10.0  # for one of them; two rounds at the worst
_RANGE = re.compile(r"bytes 0-\d+/(\d+)")


def spread(count: int, most: int = MOST) -> list[int]:
    """At most `most` positions of `count`, evenly spread and always the same ones."""
    if count <= most:
        return list(range(count))
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]


def sizes_of(urls: Sequence[str], authority: Authority, settings: Settings) -> list[int | None]:
    """The bytes of each source, None where nobody said; never raises for what a source does."""
    with (
        Guard.of(authority, patience=Patience(total_seconds=_SECONDS, stall_seconds=5)) as guard,
        ThreadPoolExecutor(_AT_ONCE, "sample") as pool,
    ):
        return list(pool.map(lambda url: _size(url, guard, authority, settings), urls))


def _size(url: str, guard: Guard, authority: Authority, settings: Settings) -> int | None:
    try:
        place = locate(authority.check_source(url))
        if place.scheme in WEB_SCHEMES:
            return _web_size(url, guard)
        if place.scheme in ("s3", "r2"):
            return _object_size(place.scheme, place.host, place.path, settings)
    except (ItemError, BatchlabError):  # the job will say what is wrong with it
        pass
    return None


def _web_size(url: str, guard: Guard) -> int | None:
    # not HEAD: a URL that is presigned for GET answers it with 403
    headers = {"Range": f"bytes=0-{PROBE_BYTES - 1}", "Accept-Encoding": "identity"}
    with guard.request("GET", url, headers) as answer:
        if answer.status == 206:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            return int(found[1]) if found else None
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        return answer.length if answer.status == 200 and not encoded else None


def _object_size(scheme: str, bucket: str, key: str, settings: Settings) -> int | None:
    from botocore.exceptions import BotoCoreError, ClientError

    from batchlab.aws import s3_client

    try:
        client = s3_client(scheme, settings, attempts=2, read_timeout_seconds=_SECONDS)
        return client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    except (BotoCoreError, ClientError):
        return None
