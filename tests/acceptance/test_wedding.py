"""Hundreds of photos of which 15 fail in different ways: what was delivered is right, what is missing is said."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tests.servers import S3Server
from tests.sources import hostile_source
from tests.wedding import Wedding

FEW = int(os.environ.get("BATCHLAB_TEST_PHOTOS", "120"))  # 500 by hand; a directory gets as many always


def test_a_wedding_with_15_bad_photos_is_delivered_to_a_directory(tmp_path: Path) -> None:
    with hostile_source() as source:
        wedding = Wedding(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out")
        document = tmp_path / "job.json"
        document.write_text(wedding.document())
        code, report = wedding.run(str(document), tmp_path / "log")
    wedding.check_report(code, report)
    wedding.check_archive(wedding.target.removeprefix("file://"))


@pytest.mark.slow
def test_a_wedding_with_15_bad_photos_is_delivered_to_a_bucket_with_the_store_in_it(
    tmp_path: Path, seaweedfs: S3Server, seaweedfs_bucket: str
) -> None:
    with hostile_source() as source:
        wedding = Wedding(
            source,
            f"s3://{seaweedfs_bucket}/store",
            f"s3://{seaweedfs_bucket}/out",
            environment=seaweedfs.environment(),
            photos=FEW,
        )
        document = tmp_path / "job.json"
        document.write_text(wedding.document())
        code, report = wedding.run(str(document), tmp_path / "log")
    wedding.check_report(code, report)
    client = seaweedfs.client()
    key = wedding.target.removeprefix(f"s3://{seaweedfs_bucket}/")
    body = client.get_object(Bucket=seaweedfs_bucket, Key=key)["Body"].read()
    wedding.check_archive(io.BytesIO(body))
    assert "Uploads" not in client.list_multipart_uploads(Bucket=seaweedfs_bucket)


@pytest.mark.slow
def test_a_wedding_shared_between_three_machines_is_the_same_wedding(tmp_path: Path) -> None:
    with hostile_source() as source:
        wedding = Wedding(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out", photos=FEW, shards=3)
        job, log = tmp_path / "job.json", tmp_path / "log"
        job.write_text(wedding.document())
        assert wedding.run(str(job), log, "--phase", "plan") == (0, {})
        for shard in ("2/3", "3/3", "1/3"):
            assert wedding.run(str(job), log, "--phase", "work", "--shard", shard) == (0, {})
        code, report = wedding.run(str(job), log, "--phase", "collect")
        good = next(iter(wedding.expected))
        assert source.count(f"/photo/{good}") >= 2
    wedding.check_report(code, report)
    wedding.check_archive(wedding.target.removeprefix("file://"))
