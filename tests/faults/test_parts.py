"""Objects made of parts on a bad line: whatever breaks, an object is the one that was sent, or there is none.

BATCHLAB_TEST_FAULTS is half of the number of uploads (docs/reliability.md has the by-hand figures).
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from batchlab.aws_requests import S3Requests
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from batchlab_processor.storage import Parts, WriteOptions
from batchlab_processor.storage.parts_s3 import S3PartsMaker
from batchlab_processor.storage.patience import PASSING, Patience
from tests.faults_proxy import (
    Altered,
    DoneButError,
    Fault,
    FaultsProxy,
    LostAnswer,
    Reset,
    Rule,
    Status,
    faults_proxy,
)
from tests.strict_s3 import StrictS3, strict_s3

pytestmark = pytest.mark.faults
UPLOADS = 2 * int(os.environ.get("BATCHLAB_TEST_FAULTS", "4"))
PART_BYTES = 64 * 1024

PART_FAULTS: list[Fault] = [
    Reset(),
    LostAnswer(),
    Status(500),
    Status(503, "SlowDown", {"Retry-After": "1"}),
    Status(400, "RequestTimeout", {"Connection": "close"}),
    DoneButError(Status(500)),
    Altered({"etag": '"d41d8cd98f00b204e9800998ecf8427e"'}),
]
COMPLETE_FAULTS: list[Fault | None] = [
    None,
    Reset(),
    LostAnswer(),
    Status(500),
    Status(503, "SlowDown", {"Retry-After": "1"}),
    Status(200, "InternalError"),
    DoneButError(Status(200, "InternalError")),
    DoneButError(Status(500)),
    Status(404, "NoSuchUpload"),
]


class Uploading:
    """What the planned sink does: parts in any order, a new look after each refusal, a new upload after a lost one."""

    def __init__(
        self, maker: S3PartsMaker, url: str, pieces: list[memoryview], chance: random.Random
    ) -> None:
        self._maker, self._url, self._pieces, self._chance = maker, url, pieces, chance
        self._options = WriteOptions(crc32=chance.random() < 0.5)
        self.begun = 0

    def run(self) -> None:
        parts = self._begin()
        known: dict[int, str] = {}
        for _ in range(20):
            try:
                there = parts.sent()
                missing = [
                    number
                    for number in range(1, len(self._pieces) + 1)
                    if number not in known or there.get(number) != known[number]
                ]
                self._chance.shuffle(missing)
                with ThreadPoolExecutor(4) as pool:
                    sent = pool.map(parts.send, missing, [self._pieces[number - 1] for number in missing])
                    known |= dict(zip(missing, sent, strict=True))
                etags = [known[number] for number in sorted(known)]
                parts.complete(etags, sum(map(len, self._pieces)))
                return
            except ItemError as error:
                if error.kind is Kind.MISSING:  # the server forgot the upload
                    parts.abort()
                    parts, known = self._begin(), {}
                elif error.kind not in (Kind.CORRUPT, *PASSING):  # a part is another than we were told
                    raise
        raise AssertionError("20 looks were not enough")

    def _begin(self) -> Parts:
        self.begun += 1
        return self._maker.begin_parts(self._url, self._options, PART_BYTES)


@pytest.mark.parametrize("scheme", ["s3", "r2"])
def test_objects_are_whole_on_a_line_that_breaks_one_request_in_five(scheme: str) -> None:
    seed = random.randrange(2**32)
    uploads = max(1, UPLOADS // 2)
    print(f"seed {seed}, {uploads} uploads")
    chance = random.Random(seed)
    with strict_s3(r2=scheme == "r2") as strict, faults_proxy(strict.server) as proxy:
        break_some(proxy, chance)
        server = proxy.server
        environment = server.r2_environment("bucket") if scheme == "r2" else server.environment()
        requests = S3Requests(scheme, Settings.from_environment(environment))
        maker = S3PartsMaker(requests, scheme, Patience(tries=8, first_seconds=0.01, longest_seconds=0.05))
        begun = 0
        for number in range(uploads):
            begun += upload_and_compare(maker, strict, f"{scheme}://bucket/{number}.zip", chance)
        assert begun >= uploads
        assert len(strict.objects) == uploads
        assert strict.uploads == {}
        broken = [seen for seen in proxy.seen if seen.status != 200]
        print(f"{len(proxy.seen)} requests, {len(broken)} broken, {begun} uploads begun")
        assert broken
        requests.close()


def break_some(proxy: FaultsProxy, chance: random.Random) -> None:
    """One part in five fails; Complete is met by all that may happen to it; other requests fail one time in ten."""

    def rule(faults: list[Fault], share: float) -> Rule:
        return lambda _: chance.choice(faults) if chance.random() < share else None

    proxy.break_when("UploadPart", rule(PART_FAULTS, 0.2))
    proxy.break_when("CompleteMultipartUpload", lambda _: chance.choice(COMPLETE_FAULTS))
    for operation in ("ListParts", "HeadObject", "CreateMultipartUpload", "AbortMultipartUpload"):
        proxy.break_when(operation, rule([Reset(), Status(500), Status(503, "SlowDown")], 0.1))


def upload_and_compare(maker: S3PartsMaker, strict: StrictS3, url: str, chance: random.Random) -> int:
    """How many uploads it took; the object is there, and it is the one that was sent."""
    last = chance.randrange(1, PART_BYTES + 1)
    pieces = [memoryview(chance.randbytes(PART_BYTES)) for _ in range(chance.randrange(8))]
    pieces.append(memoryview(chance.randbytes(last)))
    uploading = Uploading(maker, url, pieces, chance)
    uploading.run()
    bucket, _, key = url.partition("://")[2].partition("/")
    assert strict.objects[bucket, key].data == b"".join(pieces)
    return uploading.begun
