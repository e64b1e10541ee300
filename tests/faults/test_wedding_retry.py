"""500 photos of which 15 are bad and 5 more vanish: the real command delivers 480, and a retry fetches the other 20."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchlab.records import JobRecords
from batchlab.stores import open_store
from tests.servers import S3Server
from tests.sources import Source, hostile_source, photo
from tests.strict_s3 import StrictS3
from tests.wedding import Wedding

pytestmark = pytest.mark.faults
JOB = "01m82z2746kh8t1vwtfytf7h25"
SIZE_BYTES = 100_000  # so 500 make an archive of six parts


@dataclass(frozen=True)
class Target:
    """Where it is delivered to, and what is there."""

    output: str
    environment: dict[str, str]
    read: Callable[[str], bytes]  # by the URL
    unfinished: Callable[[], list[Any]]


@pytest.fixture(params=["a strict S3", "a strict R2", "SeaweedFS", "a directory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "a directory":
        return to_a_directory(tmp_path / "out")
    if request.param == "SeaweedFS":
        return to_seaweedfs(request.getfixturevalue("seaweedfs"), request.getfixturevalue("seaweedfs_bucket"))
    r2 = request.param == "a strict R2"
    return to_a_strict_server(request.getfixturevalue("strict_r2" if r2 else "strict_s3"))


def to_a_directory(folder: Path) -> Target:
    def unfinished() -> list[Any]:
        return [path for path in folder.rglob("*") if path.is_file() and path.name != "album.zip"]

    def read(url: str) -> bytes:
        return Path(url.removeprefix("file://")).read_bytes()

    return Target(folder.as_uri(), {}, read, unfinished)


def to_seaweedfs(server: S3Server, bucket: str) -> Target:
    client = server.client()

    def read(url: str) -> bytes:
        body = client.get_object(Bucket=bucket, Key=url.removeprefix(f"s3://{bucket}/"))["Body"]
        return bytes(body.read())

    def unfinished() -> list[Any]:
        return list(client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    return Target(f"s3://{bucket}/out", server.environment(), read, unfinished)


def to_a_strict_server(strict: StrictS3) -> Target:
    strict.smallest_part_bytes = strict.smallest_ranged_source_bytes = 5 * 1024 * 1024
    scheme = "r2" if strict.r2 else "s3"
    environment = strict.server.r2_environment("bucket") if strict.r2 else strict.server.environment()
    return Target(
        f"{scheme}://bucket/out",
        environment,
        lambda url: strict.objects["bucket", url.removeprefix(f"{scheme}://bucket/")].data,
        lambda: list(strict.uploads),
    )


def vanish(to: Any) -> None:
    """Good at the first look, gone afterwards."""
    if to.headers.get("Range") == "bytes=0-511":
        to.good()
    else:
        to.answer(404, b"", "text/plain")


def mend(source: Source) -> None:
    """From now on every address gives the photo that it should have given."""

    def good(to: Any) -> None:
        name = to.name if to.name.endswith(".jpg") else to.query["to"].rpartition("/")[2]
        to.good(photo(name, SIZE_BYTES))

    for name in list(source.behaviours):
        source.add(name, good)
    source.requests.clear()


def test_a_retry_of_a_wedding_fetches_what_was_missing_and_nothing_else(
    tmp_path: Path, target: Target
) -> None:
    store = f"file://{tmp_path}/store"
    with hostile_source() as source:
        source.add("vanish", vanish)
        wedding = Wedding(
            source, store, target.output, target.environment, size_bytes=SIZE_BYTES, vanishing=5
        )
        document = tmp_path / "job.json"
        document.write_text(wedding.document())
        code, report = wedding.run(str(document), tmp_path / "log")
        wedding.check_report(code, report)
        assert (report["sink"], len(wedding.bad), len(wedding.expected)) == ("planned", 20, 480)
        assert target.unfinished() == []
        first = target.read(wedding.target)
        wedding.check_archive(io.BytesIO(first))
        with zipfile.ZipFile(io.BytesIO(first)) as archive:
            lines = archive.read("_missing.csv").decode("utf-8-sig").splitlines()
        assert len(lines) == 1 + 20
        mend(source)
        JobRecords(open_store(store), JOB).start_retry()
        code, report = wedding.run(f"{store}/jobs/{JOB}/job.json", tmp_path / "log")
        asked = source.counts()
    assert (code, report["state"], report["counts"]["done"]) == (0, "succeeded", 500), report
    assert len(asked) == 20, "only the photos that were missing are asked for"
    assert max(asked.values()) <= 2, "each once to look at it, and once to fetch it"
    with zipfile.ZipFile(io.BytesIO(target.read(wedding.target.replace("/g1/", "/g2/")))) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == wedding.expected | {name: photo(name, SIZE_BYTES) for name in wedding.bad}
    assert target.read(wedding.target) == first
    assert target.unfinished() == []
    print(f"copied_bytes {report['facts'].get('copied_bytes', 0):,} of {len(first):,}")
