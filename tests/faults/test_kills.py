"""kill -9 at any moment, then again: the same archive, nothing half, nothing left over.

BATCHLAB_TEST_FAULTS is the number of kills per target (docs/reliability.md has the by-hand figures).
"""

from __future__ import annotations

import io
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers import S3Server
from tests.sources import Source, hostile_source
from tests.wedding import Wedding

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "4"))


def requests_when_killed() -> list[int]:
    """After how many requests of a run it is killed: spread over the whole job, from the first probe on."""
    seed = random.randrange(2**32)
    print(f"seed {seed}, {KILLS} kills")
    chance = random.Random(seed)
    step = 1000 / KILLS  # 500 probes while planning; later runs find the plan and make 500 requests
    return [int(step * number + chance.uniform(0, step)) % 440 + 5 for number in range(KILLS)]


class Gate:
    """Holds the source's answers from a request on, so that no run ends before it is killed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._answer = source.behaviours["photo"]
        self._from = 0
        self._open = threading.Event()
        self._open.set()
        source.add("photo", self._hold)

    def close_after(self, requests: int) -> None:
        self._from = requests
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def _hold(self, to: Any) -> None:
        if len(self._source.requests) > self._from:
            self._open.wait(60)
        self._answer(to)


def kill_and_resume(wedding: Wedding, source: Source, job: str, log: Path, look: Callable[[], None]) -> None:
    """Kills the run again and again; every next one goes on with the same job."""
    gate = Gate(source)
    for wanted in requests_when_killed():
        reached = len(source.requests) + wanted
        gate.close_after(reached)
        with log.open("ab") as errors, wedding.start(job, errors) as process:
            while len(source.requests) < reached and process.poll() is None:
                time.sleep(0.002)
            assert process.poll() is None, "the run ended before it was killed"
            process.kill()
            process.wait()
        gate.open()
        look()


def finish(wedding: Wedding, job: str, log: Path) -> dict[str, Any]:
    code, report = wedding.run(job, log)
    wedding.check_report(code, report)
    assert report["runs"] >= 1
    return report


def test_a_killed_export_to_a_directory_goes_on_to_the_same_archive(tmp_path: Path) -> None:
    with hostile_source() as source:
        wedding = Wedding(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out")
        job, log = tmp_path / "job.json", tmp_path / "log"
        job.write_text(wedding.document())
        target = Path(wedding.target.removeprefix("file://"))

        def nothing_visible() -> None:
            assert not target.exists()

        kill_and_resume(wedding, source, str(job), log, nothing_visible)
        finish(wedding, str(job), log)
    wedding.check_archive(target)
    assert [path.name for path in target.parent.iterdir()] == ["album.zip"]


def test_a_killed_export_to_a_bucket_goes_on_to_the_same_archive_and_leaves_no_upload(
    tmp_path: Path, seaweedfs: S3Server, seaweedfs_bucket: str
) -> None:
    client = seaweedfs.client()
    with hostile_source() as source:
        wedding = Wedding(
            source,
            f"s3://{seaweedfs_bucket}/store",
            f"s3://{seaweedfs_bucket}/out",
            environment=seaweedfs.environment(),
        )
        job, log = tmp_path / "job.json", tmp_path / "log"
        job.write_text(wedding.document())

        def nothing_visible() -> None:
            listed = client.list_objects_v2(Bucket=seaweedfs_bucket, Prefix="out/")
            assert listed["KeyCount"] == 0

        kill_and_resume(wedding, source, str(job), log, nothing_visible)
        finish(wedding, str(job), log)
    key = wedding.target.removeprefix(f"s3://{seaweedfs_bucket}/")
    wedding.check_archive(io.BytesIO(client.get_object(Bucket=seaweedfs_bucket, Key=key)["Body"].read()))
    assert "Uploads" not in client.list_multipart_uploads(Bucket=seaweedfs_bucket)


def test_sigterm_ends_a_run_with_75_and_the_next_one_finishes(tmp_path: Path) -> None:
    with hostile_source() as source:
        wedding = Wedding(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out")
        job, log = tmp_path / "job.json", tmp_path / "log"
        job.write_text(wedding.document())
        for wanted in (200, 300):
            before = len(source.requests)
            with log.open("ab") as errors, wedding.start(str(job), errors) as process:
                while len(source.requests) - before < wanted and process.poll() is None:
                    time.sleep(0.002)
                begin = time.monotonic()
                process.terminate()
                assert process.wait(timeout=30) == 75
                assert time.monotonic() - begin < 25
            assert not Path(wedding.target.removeprefix("file://")).exists()
        finish(wedding, str(job), log)
    wedding.check_archive(Path(wedding.target.removeprefix("file://")))


def test_two_runs_on_one_job_one_works_and_the_other_finds_it_done(tmp_path: Path) -> None:
    with hostile_source() as source:
        wedding = Wedding(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out")
        job, log = tmp_path / "job.json", tmp_path / "log"
        job.write_text(wedding.document())
        with (
            log.open("ab") as errors,
            wedding.start(str(job), errors) as one,
            wedding.start(str(job), errors) as other,
        ):
            one.communicate()
            other.communicate()
        assert {one.returncode, other.returncode} == {3}
        fetched = source.counts()
    wedding.check_archive(Path(wedding.target.removeprefix("file://")))
    good = next(iter(wedding.expected))
    assert fetched[f"/photo/{good}"] == 2  # one probe, one download, whoever did it


def test_a_signal_from_the_kernel_is_not_mistaken_for_an_interruption(tmp_path: Path) -> None:
    """The worker process is killed, not its parent: it is started again and the job still ends in one call."""
    with hostile_source() as source:
        wedding = Wedding(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out")
        job, log = tmp_path / "job.json", tmp_path / "log"
        job.write_text(wedding.document())
        with log.open("ab") as errors, wedding.start(str(job), errors) as process:
            while len(source.requests) < 600 and process.poll() is None:
                time.sleep(0.002)
            children = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
            )
            os.kill(int(children.stdout.split()[0]), 9)
            assert process.stdout is not None
            process.stdout.read()
        assert process.returncode == 3
    wedding.check_archive(Path(wedding.target.removeprefix("file://")))
