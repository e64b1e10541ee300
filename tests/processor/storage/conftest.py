"""Every scheme, each at a place of its own: what one conformance suite is run against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from batchlab.settings import Settings
from batchlab_processor.storage.base import Scheme, WriteOptions
from tests.servers import GCSServer, S3Server


@dataclass
class Place:
    """A scheme, an empty prefix that it may use, and a look from outside at what a writer left."""

    scheme: Scheme
    prefix: str  # ends with a slash
    leftovers: Callable[[], list[Any]] = field(default=list)  # unfinished uploads and temporary files
    keeps_order: bool = True  # SeaweedFS puts a folder before its siblings that begin with its name
    signs: str = "plain"  # signed_url gives a URL for plain http ("http"), the "plain" URL, or "no"

    def url(self, name: str) -> str:
        """`name` below the prefix, encoded as a URL wants it."""
        return self.prefix + quote(name, safe="/!$&'()*+,;=:@~-._")

    def put(self, name: str, data: bytes = b"photo", **options: Any) -> str:
        """Writes an object; its URL."""
        with self.scheme.write(self.url(name), WriteOptions(**options)) as writer:
            if data:
                writer.write(data)
            writer.commit()
        return self.url(name)

    def get(self, name: str, **options: Any) -> bytes:
        with self.scheme.open(self.url(name), **options) as reader:
            return reader.read()


SCHEMES = (
    "memory",
    "file",
    "s3-moto",
    "s3-seaweedfs",
    pytest.param("r2-seaweedfs", marks=pytest.mark.slow),  # the class and the server of s3-seaweedfs
    "gs",
)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every name, size and range is tried on moto in every run, and on SeaweedFS among the slow ones."""
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        if given.get("place") == "s3-seaweedfs" and len(given) > 1:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=SCHEMES)
def place(request: pytest.FixtureRequest) -> Any:
    """Each scheme in turn."""
    return request.getfixturevalue(f"place_{request.param.replace('-', '_')}")


@pytest.fixture
def place_memory() -> Iterator[Place]:
    from batchlab_processor.storage.memory import MemoryScheme, forget

    yield Place(MemoryScheme(), "memory://conformance/album/")
    forget("conformance")


@pytest.fixture
def place_file(tmp_path: Path) -> Place:
    from batchlab_processor.storage.draft import is_draft
    from batchlab_processor.storage.local import LocalScheme

    def leftovers() -> list[Path]:
        return [found for found in tmp_path.rglob("*") if is_draft(found.name.encode())]

    return Place(LocalScheme(), (tmp_path / "album").as_uri() + "/", leftovers)


@pytest.fixture
def place_s3_moto(moto_s3: S3Server, moto_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    yield from _s3_place("s3", moto_s3, moto_bucket, monkeypatch, keeps_order=True)


@pytest.fixture
def place_s3_seaweedfs(
    seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    yield from _s3_place("s3", seaweedfs, seaweedfs_bucket, monkeypatch)


@pytest.fixture
def place_r2_seaweedfs(
    seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    yield from _s3_place("r2", seaweedfs, seaweedfs_bucket, monkeypatch)


@pytest.fixture
def place_gs(fake_gcs: GCSServer, gcs_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    from batchlab_processor.storage.firebase import FirebaseScheme

    for name, value in fake_gcs.environment().items():
        monkeypatch.setenv(name, value)
    scheme = FirebaseScheme.of_settings(Settings())
    yield Place(scheme, f"gs://{gcs_bucket}/album/", signs="no")
    scheme.close()


def _s3_place(
    name: str,
    server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    keeps_order: bool = False,
) -> Iterator[Place]:
    from batchlab.aws import s3_client
    from batchlab_processor.storage.patience import Patience
    from batchlab_processor.storage.s3 import S3Scheme

    environment = server.r2_environment(bucket) if name == "r2" else server.environment()
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment(environment)
    scheme = S3Scheme(lambda: s3_client(name, settings), scheme=name, patience=Patience(first_seconds=0.01))
    outside = server.client()

    def leftovers() -> list[Any]:
        return list(outside.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    yield Place(scheme, f"{name}://{bucket}/album/", leftovers, keeps_order=keeps_order, signs="http")
    outside.close()
