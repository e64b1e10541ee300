"""Every storage that takes parts, each at a place of its own: what one suite is run against."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from batchlab.settings import Settings
from batchlab_processor.storage import Parts, Storage, WriteOptions, open_storage
from batchlab_processor.storage.draft import is_draft
from tests.servers import S3Server
from tests.strict_s3 import StrictS3

KIB = 1024


class Everything:
    """An authority that allows what it is asked."""

    def check_source(self, url: str) -> str:
        return url

    check_output = check_source

    def allows_local(self, url: str) -> bool:
        return True


@dataclass
class PartsPlace:
    """A storage, an empty prefix that it may use, and a look from outside at what is unfinished."""

    storage: Storage
    prefix: str
    part_bytes: int
    leftovers: Callable[[], list[Any]]
    options: WriteOptions = field(default_factory=WriteOptions)
    compares_etags: bool = True  # a part that is not the one of its ETag is refused
    copies: str = ""  # "": not at all, "yes", or "any version" where the server does not look at it

    def url(self, name: str = "album.zip") -> str:
        return self.prefix + quote(name, safe="/!$&'()*+,;=:@~-._")

    def begin(self, name: str = "album.zip", **options: Any) -> Parts:
        return self.storage.begin_parts(self.url(name), replace(self.options, **options), self.part_bytes)

    def resume(self, parts: Parts, name: str = "album.zip", **options: Any) -> Parts:
        """The same upload, as another process would have it."""
        return self.storage.resume_parts(
            self.url(name), parts.id, replace(self.options, **options), self.part_bytes
        )

    def pieces(self, count: int, last: int = 7, seed: int = 0) -> list[memoryview]:
        """`count` parts of other bytes each time; the last one is `last` bytes short of a whole one."""
        source = random.Random(seed)
        sizes = [self.part_bytes] * (count - 1) + [self.part_bytes - last]
        return [memoryview(source.randbytes(size)) for size in sizes]

    def read(self, name: str = "album.zip") -> bytes:
        with self.storage.open(self.url(name)) as reader:
            return reader.read()

    def write(self, name: str, data: bytes) -> str:
        with self.storage.write(self.url(name), WriteOptions(overwrite=True)) as writer:
            writer.write(data)
            writer.commit()
        return self.url(name)


PLACES = (
    "memory",
    "file",
    "s3-moto",
    pytest.param("s3-seaweedfs", marks=pytest.mark.slow),  # parts of 5 MiB; it gets some in test_copying.py
    "s3-strict",
    "s3-strict-crc32",
    "r2-strict",
)


def storage_of(environment: dict[str, str]) -> Storage:
    return open_storage(Settings.from_environment(environment), Everything())  # type: ignore[arg-type]


def memory_place() -> Iterator[PartsPlace]:
    from batchlab_processor.storage.memory import forget
    from batchlab_processor.storage.parts_memory import unfinished

    def begun() -> list[str]:  # other tests of the same process leave some of their own, as kills do
        return [upload for upload, url in unfinished().items() if url.startswith("memory://parts/")]

    yield PartsPlace(storage_of({}), "memory://parts/album/", KIB, begun, copies="yes")
    forget("parts")


def file_place(folder: Path) -> Iterator[PartsPlace]:
    def leftovers() -> list[Path]:
        return [found for found in folder.rglob("*") if is_draft(found.name.encode())]

    yield PartsPlace(storage_of({}), folder.as_uri() + "/album/", 4 * KIB, leftovers)


def s3_place(
    scheme: str, server: S3Server, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> Iterator[PartsPlace]:
    """A new bucket of a real server."""
    with server.bucket() as bucket:
        environment = server.r2_environment(bucket) if scheme == "r2" else server.environment()
        for name, value in environment.items():  # boto3 reads them itself
            monkeypatch.setenv(name, value)
        outside = server.client()

        def leftovers() -> list[Any]:
            return list(outside.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

        yield PartsPlace(storage_of(environment), f"{scheme}://{bucket}/", leftovers=leftovers, **more)
        outside.close()


def strict_place(
    scheme: str, strict: StrictS3, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> Iterator[PartsPlace]:
    environment = strict.server.r2_environment("bucket") if scheme == "r2" else strict.server.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield PartsPlace(
        storage_of(environment),
        f"{scheme}://bucket/",
        KIB,
        lambda: list(strict.uploads),
        copies="yes",
        **more,
    )
