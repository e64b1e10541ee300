"""Whole exports to a bucket on a bad line: the archive is the one that was meant, or the run says that it goes on.

BATCHLAB_TEST_FAULTS is the number of exports for each scheme.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from batchlab.errors import ServiceError
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.memory import MemoryScheme, forget
from tests.faults_proxy import (
    Altered,
    DoneButError,
    Fault,
    FaultsProxy,
    LostAnswer,
    Reset,
    Rule,
    Status,
    always,
    faults_proxy,
    first,
)
from tests.processor.jobs.zip_export.bucket_jobs import PART_BYTES, BucketJob, files, small_parts
from tests.sources import photo
from tests.strict_s3 import StrictS3, strict_s3

pytestmark = pytest.mark.faults
EXPORTS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "4"))
RUNS = 30  # each goes on where the one before stopped
P = PART_BYTES
SIZES = [300, P // 3, 4 * P, 2 * P + 9, 70_000, 9 * P, 1_000, 33_000]

SLOW_DOWN = Status(503, "SlowDown", {"Retry-After": "1"})
REQUEST_TIMEOUT = Status(400, "RequestTimeout", {"Connection": "close"})
WRONG_ETAG = Altered({"etag": '"d41d8cd98f00b204e9800998ecf8427e"'})
PART_FAULTS: list[Fault] = [
    Reset(),
    LostAnswer(),
    Status(500),
    SLOW_DOWN,
    REQUEST_TIMEOUT,
    DoneButError(Status(500)),
    WRONG_ETAG,
    Status(404, "NoSuchUpload"),
]
COMPLETE_FAULTS: list[Fault | None] = [
    None,
    Reset(),
    LostAnswer(),
    Status(500),
    SLOW_DOWN,
    Status(200, "InternalError"),
    DoneButError(Status(200, "InternalError")),
    DoneButError(Status(500)),
    Status(404, "NoSuchUpload"),
]


@pytest.fixture(autouse=True)
def parts_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)


@pytest.fixture
def photos() -> Iterator[dict[str, bytes]]:
    made = {f"{number:02d}.jpg": photo(f"{number:02d}.jpg", size) for number, size in enumerate(SIZES * 2)}
    for name, content in made.items():
        with MemoryScheme().write(f"memory://faults/in/{name}", WriteOptions()) as writer:
            writer.write(content)
            writer.commit()
    yield made
    forget("faults")


def export(proxy: FaultsProxy, scheme: str, photos: dict[str, bytes], name: str) -> BucketJob:
    server = proxy.server
    environment = server.r2_environment("bucket") if scheme == "r2" else server.environment()
    urls = {photo_name: f"memory://faults/in/{photo_name}" for photo_name in photos}
    return BucketJob(urls, f"{scheme}://bucket/{name}", environment, sources=["memory://faults/in/"])


def run_until_it_ends(job: BucketJob, strict: StrictS3, photos: dict[str, bytes]) -> int:
    """How often it had to be started again. Whatever is visible in between is the archive."""
    for again in range(RUNS):
        try:
            end = job.run()
        except ServiceError:
            found = strict.objects.get(("bucket", job.key()))
            assert found is None or files(found.data) == photos
            continue
        assert end.report is not None
        assert end.state == "succeeded", end.report.error
        assert files(strict.objects["bucket", job.key()].data) == photos
        assert strict.uploads == {}
        return again
    raise AssertionError(f"{RUNS} runs were not enough")


@pytest.mark.parametrize("scheme", ["s3", "r2"])
def test_exports_are_whole_on_a_line_that_breaks_one_part_in_five(
    scheme: str, photos: dict[str, bytes]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}, {EXPORTS} exports")
    with strict_s3(r2=scheme == "r2") as strict, faults_proxy(strict.server) as proxy:

        def rule(faults: list[Fault], share: float) -> Rule:
            return lambda _: chance.choice(faults) if chance.random() < share else None

        proxy.break_when("UploadPart", rule(PART_FAULTS, 0.2))
        proxy.break_when("CompleteMultipartUpload", lambda _: chance.choice(COMPLETE_FAULTS))
        for operation in ("ListParts", "HeadObject", "CreateMultipartUpload", "ListMultipartUploads"):
            proxy.break_when(operation, rule([Reset(), Status(500), SLOW_DOWN], 0.1))
        again = 0
        for number in range(EXPORTS):
            again += run_until_it_ends(export(proxy, scheme, photos, str(number)), strict, photos)
        broken = [seen for seen in proxy.seen if seen.status != 200]
        print(f"{len(proxy.seen)} requests, {len(broken)} broken, {again} runs started again")


@pytest.mark.parametrize("part", [1, 7, 20])
def test_an_upload_that_is_forgotten_in_the_middle_is_begun_again_by_the_next_run(
    photos: dict[str, bytes], part: int
) -> None:
    with strict_s3() as strict, faults_proxy(strict.server) as proxy:

        def forgotten(operation: str, number: int) -> None:
            if (operation, number) == ("UploadPart", part):
                strict.uploads.clear()

        proxy.before = forgotten
        assert run_until_it_ends(export(proxy, "s3", photos, "forgotten"), strict, photos) == 1


@pytest.mark.parametrize("fault", COMPLETE_FAULTS[1:], ids=str)
def test_whatever_complete_answers_at_first_there_is_one_archive_at_last(
    photos: dict[str, bytes], fault: Fault
) -> None:
    with strict_s3() as strict, faults_proxy(strict.server) as proxy:
        proxy.break_when("CompleteMultipartUpload", first(1, fault))
        assert run_until_it_ends(export(proxy, "s3", photos, "complete"), strict, photos) <= 1
        assert len(strict.objects) == 1


@pytest.mark.parametrize(
    "fault", [WRONG_ETAG, SLOW_DOWN, REQUEST_TIMEOUT, Status(404, "NoSuchUpload")], ids=str
)
def test_a_server_that_never_takes_a_part_has_no_archive_and_the_job_goes_on_when_it_is_mended(
    photos: dict[str, bytes], fault: Fault
) -> None:
    with strict_s3() as strict, faults_proxy(strict.server) as proxy:
        proxy.break_when("UploadPart", always(fault))
        job = export(proxy, "s3", photos, "never")
        for _ in range(2):
            with pytest.raises(ServiceError, match="goes on"):
                job.run()
            assert strict.objects == {}
        proxy.break_when("UploadPart", lambda _: None)
        assert run_until_it_ends(job, strict, photos) == 0


def test_a_target_that_refuses_ends_the_job_and_leaves_no_upload(photos: dict[str, bytes]) -> None:
    with strict_s3() as strict, faults_proxy(strict.server) as proxy:
        proxy.break_when("UploadPart", always(Status(403, "AccessDenied")))
        end = export(proxy, "s3", photos, "refused").run()
        assert end.state == "failed"
        assert end.report is not None
        assert "could not be sent" in str(end.report.error)
        assert (strict.objects, strict.uploads) == ({}, {})
