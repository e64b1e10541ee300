"""The planned sink, killed at any moment, in one process or in shards: always the same bytes, and nothing left over.

BATCHLAB_TEST_FAULTS is the number of kills (docs/reliability.md has the by-hand figures). The photos are small and
so are the parts, which makes many of them.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.records import submit_locally
from batchlab.report import Report
from batchlab.stores import open_store
from tests.sources import Source, hostile_source, photo
from tests.strict_s3 import Reply, Request, StrictS3

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "10"))
PART_BYTES = 32 * 1024
WORKERS = 5
SIZES = [300, 9_000, 32 * 1024, 70_000, 400_000]  # less than a part to a dozen of them
PHOTOS = 60
VANISHING = {"013.jpg", "040.jpg"}  # found when planning, gone when fetched


@dataclass
class Album:
    """One job to be killed; `target` is a folder or a bucket's prefix."""

    source: Source
    store: str
    output: str
    environment: dict[str, str]
    workers: int = WORKERS
    shards: int = 1
    job: str = ""
    process: subprocess.Popen[str] = field(init=False)

    def submit(self) -> None:
        items = [
            {
                "url": self.source.url(f"/{'vanish' if name in VANISHING else 'photo'}/{name}?size={size}"),
                "id": name,
                "takenAt": "2026-06-06T14:30:00Z",
            }
            for name, size in sizes().items()
        ]
        document = load_document(
            {
                "type": "zip-export",
                "id": "01m82z2746kh8t1vwtfytf7h25",  # tells the time of submission, which is the table's date
                "params": {"items": items},
                "output": self.output,
                "shards": self.shards,
                "limits": {"workers": self.workers},
            }
        )
        authority = Authority(
            source_roots=(),
            output_roots=(self.output,),
            http_hosts=(f"127.0.0.1:{self.source.port}",),
            job_types=None,
            allow_local=True,
            exact_target=True,
            overwrite=False,
            file_sources=False,
        )
        self.job = submit_locally(open_store(self.store), document, authority).id

    @contextmanager
    def warmed(self, log: IO[bytes]) -> Iterator[None]:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.environment}
        command = [sys.executable, "-m", "tests.faults.forked"]
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as self.process:
            self._say({"store": self.store, "job": self.job, "part_bytes": PART_BYTES})
            try:
                yield
            finally:
                assert self.process.stdin is not None
                self.process.stdin.close()

    def run(
        self, kill_after: float | None = None, *, phase: str = "all", shard: tuple[int, int] = (1, 1)
    ) -> int:
        """The exit code; -9 when it was killed before it ended."""
        self._say({"phase": phase, "shard": list(shard), "kill_after": kill_after})
        assert self.process.stdout is not None
        status: int = json.loads(self.process.stdout.readline())["status"]
        return status

    def report(self) -> Report:
        records = open_store(self.store).read(f"jobs/{self.job}/g1/report.json")
        assert records is not None
        return Report.model_validate(records.body)

    def _say(self, body: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(body) + "\n")
        self.process.stdin.flush()


def sizes() -> dict[str, int]:
    return {f"{number:03d}.jpg": SIZES[number * 7 % len(SIZES)] + number for number in range(PHOTOS)}


def check(content: bytes, report: Report) -> None:
    expected = {name: photo(name, size) for name, size in sizes().items() if name not in VANISHING}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert "013.jpg" in found.pop("_missing.csv").decode("utf-8-sig")
    assert found == expected
    assert {failure.key for failure in report.failures} == VANISHING
    assert report.counts.done == PHOTOS - len(VANISHING)


@pytest.fixture
def source() -> Iterator[Source]:
    with hostile_source() as server:
        server.add(
            "vanish",
            lambda to: to.good() if to.headers.get("Range") == "bytes=0-511" else to.answer(404, b"", ""),
        )
        yield server


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}, {KILLS} kills")
    return random.Random(seed)


def moments(chance: random.Random) -> Iterator[float]:
    """Seconds after which a run is killed: longer and longer, so that on a slow machine a job ends, too."""
    longest = 0.3
    while True:
        yield chance.uniform(0.0, longest)
        longest *= 1.05


@contextmanager
def counting(strict: StrictS3) -> Iterator[list[str]]:
    """The parts that were sent to the server."""
    answer, sent = strict.answer, []

    def counted(asked: Request) -> Reply:
        if "partNumber" in asked.query:
            sent.append(asked.query["partNumber"])
        return answer(asked)

    strict.answer = counted  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        del strict.answer


@pytest.fixture
def reference(source: Source, tmp_path: Path) -> bytes:
    """The archive that nobody disturbed."""
    album = Album(source, f"file://{tmp_path}/reference-store", f"file://{tmp_path}/reference", {})
    album.submit()
    with (tmp_path / "log").open("ab") as log, album.warmed(log):
        assert album.run() == 3
    content = (tmp_path / "reference/album.zip").read_bytes()
    check(content, album.report())
    return content


def test_an_archive_sent_to_a_bucket_is_the_same_however_often_its_run_is_killed(
    source: Source, tmp_path: Path, strict_s3: StrictS3, reference: bytes, chance: random.Random
) -> None:
    killed = jobs = redone = 0
    parts = -(-len(reference) // PART_BYTES)
    with (tmp_path / "log").open("ab") as log:
        while killed < KILLS:
            album = Album(
                source,
                f"file://{tmp_path}/store-{jobs}",
                f"s3://bucket/{jobs}",
                strict_s3.server.environment(),
            )
            album.submit()
            with album.warmed(log), counting(strict_s3) as sent:
                kills = 0
                for moment in moments(chance):
                    if album.run(moment) != -signal.SIGKILL:
                        break
                    kills += 1
                assert album.run() == 3
            assert strict_s3.uploads == {}
            assert strict_s3.objects["bucket", f"{jobs}/album.zip"].data == reference
            check(reference, album.report())
            assert len(sent) <= parts + kills * 3 * WORKERS
            redone += len(sent) - parts
            killed += kills
            jobs += 1
    print(f"{killed} kills in {jobs} jobs; {redone} parts of {parts * jobs} were sent again")


def test_an_archive_written_to_a_directory_is_the_same_however_often_its_run_is_killed(
    source: Source, tmp_path: Path, reference: bytes, chance: random.Random
) -> None:
    killed = jobs = 0
    with (tmp_path / "log").open("ab") as log:
        while killed < KILLS:
            album = Album(source, f"file://{tmp_path}/store-{jobs}", f"file://{tmp_path}/out-{jobs}", {})
            album.submit()
            with album.warmed(log):
                for moment in moments(chance):
                    if album.run(moment) != -signal.SIGKILL:
                        break
                    killed += 1
                assert album.run() == 3
            folder = tmp_path / f"out-{jobs}"
            assert [path.name for path in folder.iterdir()] == ["album.zip"]
            assert (folder / "album.zip").read_bytes() == reference
            check(reference, album.report())
            jobs += 1
    print(f"{killed} kills in {jobs} jobs")


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_any_number_of_workers_makes_the_same_archive(
    source: Source, tmp_path: Path, reference: bytes, chance: random.Random, workers: int
) -> None:
    album = Album(source, f"file://{tmp_path}/store", f"file://{tmp_path}/out", {}, workers)
    album.submit()
    with (tmp_path / "log").open("ab") as log, album.warmed(log):
        for moment in moments(chance):
            if album.run(moment) != -signal.SIGKILL:
                break
    assert (tmp_path / "out/album.zip").read_bytes() == reference


@pytest.mark.parametrize("shards", [1, 2, 7])
@pytest.mark.parametrize("dies", [False, True], ids=["all shards end", "one shard dies for good"])
def test_any_number_of_shards_makes_the_same_archive_killed_or_not(
    source: Source,
    tmp_path: Path,
    strict_s3: StrictS3,
    reference: bytes,
    chance: random.Random,
    shards: int,
    dies: bool,
) -> None:
    def until_it_ends(**what: Any) -> int:
        for moment in moments(chance):
            if (status := album.run(moment, **what)) != -signal.SIGKILL:
                return status
        raise AssertionError("moments do not end")

    environment = strict_s3.server.environment()
    album = Album(source, f"file://{tmp_path}/store", "s3://bucket/out", environment, shards=shards)
    album.submit()
    dead = chance.randrange(shards) if dies else None
    with (tmp_path / "log").open("ab") as log, album.warmed(log):
        assert until_it_ends(phase="plan") == 0
        order = list(range(shards))
        chance.shuffle(order)
        for shard in order:
            if shard == dead:
                album.run(0.2, phase="work", shard=(shard + 1, shards))
            else:
                assert until_it_ends(phase="work", shard=(shard + 1, shards)) == 0
        assert ("bucket", "out/album.zip") not in strict_s3.objects
        until_it_ends(phase="collect")
        assert album.run(phase="collect") == 3
    assert strict_s3.objects["bucket", "out/album.zip"].data == reference
    assert strict_s3.uploads == {}
    check(reference, album.report())
