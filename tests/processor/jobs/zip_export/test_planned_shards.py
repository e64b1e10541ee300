"""Volumes made by several machines, with photos that vanish and a machine that dies: the bytes of one quiet run."""

from __future__ import annotations

import random

import pytest

from batchlab.shards import Shard
from batchlab_processor import testing
from batchlab_processor.storage import parts_s3
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.memory import MemoryScheme, forget
from tests.processor.jobs.zip_export.bucket_jobs import BucketJob, files, small_parts
from tests.sources import photo
from tests.strict_s3 import StrictS3

NAMES = [f"{number:03d}.jpg" for number in range(60)]
LOST = "023.jpg"
SEND = parts_s3.S3Parts.send
VOLUMES = ["album-1.zip", "album-2.zip", "album-3.zip"]


def put() -> None:
    for number, name in enumerate(NAMES):
        with MemoryScheme().write(f"memory://shards/in/{name}", WriteOptions(overwrite=True)) as writer:
            writer.write(photo(name, 90_000 + number))
            writer.commit()


def archives(strict: StrictS3, export: BucketJob) -> list[bytes]:
    return [strict.objects["bucket", export.key(name=name)].data for name in VOLUMES]


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_volumes_are_the_same_for_any_number_of_shards_one_of_which_dies(
    strict_s3: StrictS3, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    small_parts(monkeypatch)
    environment = strict_s3.server.environment()

    def export(count: int) -> BucketJob:
        put()
        urls = {name: f"memory://shards/in/{name}" for name in NAMES}
        params = {"maxArchiveBytes": "2 MiB"}
        return BucketJob(
            urls, "s3://bucket/out", environment, ["memory://shards/in/"], params=params, shards=count
        )

    quiet, sharded = export(1), export(shards)
    for job in (quiet, sharded):
        put()
        job.run("plan")
        MemoryScheme().delete(f"memory://shards/in/{LOST}")
        if job is sharded:
            work(job, shards, monkeypatch)
        end = job.run("collect")
        assert end.state == "partial", end.message
        assert end.report is not None
        assert [failure.key for failure in end.report.failures] == [LOST]
    assert strict_s3.uploads == {}
    expected, found = archives(strict_s3, quiet), archives(strict_s3, sharded)
    assert found[:-1] == expected[:-1]
    assert found[-1][:-10_000] == expected[-1][:-10_000]  # behind it `_missing.csv` with the job's date
    together: dict[str, bytes] = {}
    for data in found:
        together |= files(data)
    del together["_missing.csv"], together["_missing.txt"]  # the lost one is the first of its volume
    assert together == {
        name: photo(name, 90_000 + number) for number, name in enumerate(NAMES) if name != LOST
    }
    forget("shards")


def work(job: BucketJob, shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All shards work, in any order; the one in the middle dies in its fifth part and is not started again."""
    order = list(range(1, shards + 1))
    random.shuffle(order)
    for number in order:
        if number != shards // 2 + 1:
            job.run("work", Shard(number, shards))
            continue
        seen: list[int] = []

        def killed(
            parts: parts_s3.S3Parts,
            part: int,
            body: memoryview,
            crc32: int | None = None,
            seen: list[int] = seen,
        ) -> str:
            seen.append(part)
            if len(seen) >= 5:
                raise testing.Killed
            return SEND(parts, part, body, crc32)

        with monkeypatch.context() as patch:
            patch.setattr(parts_s3.S3Parts, "send", killed)
            with pytest.raises(testing.Killed):
                job.run("work", Shard(number, shards))
