"""All schemes behind one authority."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from batchlab_processor.storage import Listed, Probed, Reader, Storage, WriteOptions, Writer, open_storage
from batchlab_processor.storage.memory import MemoryScheme, forget


class Canary:
    """A scheme that must not be reached."""

    def __init__(self) -> None:
        self.touched: list[str] = []

    def _touch(self, url: str) -> None:
        self.touched.append(url)
        raise AssertionError(f"reached {url}")

    def probe(self, url: str) -> Probed:
        self._touch(url)
        raise NotImplementedError

    def open(self, url: str, **_: Any) -> AbstractContextManager[Reader]:
        self._touch(url)
        raise NotImplementedError

    def write(self, url: str, options: WriteOptions) -> AbstractContextManager[Writer]:
        self._touch(url)
        raise NotImplementedError

    def list(self, prefix: str) -> Iterator[Listed]:
        self._touch(prefix)
        raise NotImplementedError

    def delete(self, url: str) -> None:
        self._touch(url)

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        self._touch(url)
        raise NotImplementedError

    def abort_uploads(self, url: str) -> int:
        self._touch(url)
        raise NotImplementedError


VERBS: dict[str, Callable[[Storage, str], Any]] = {
    "probe": lambda storage, url: storage.probe(url),
    "open": lambda storage, url: storage.open(url),
    "list": lambda storage, url: list(storage.list(url)),
    "read_document": lambda storage, url: storage.read_document(url, limit_bytes=1),
    "write": lambda storage, url: storage.write(url),
    "delete": lambda storage, url: storage.delete(url),
    "signed_url": lambda storage, url: storage.signed_url(url, timedelta(hours=1)),
    "abort_uploads": lambda storage, url: storage.abort_uploads(url),
    "probe delivered": lambda storage, url: storage.probe(url, delivered=True),
    "open delivered": lambda storage, url: storage.open(url, delivered=True),
}
READS = ("probe", "open", "list", "read_document")

AUTHORITY = Authority(
    source_roots=("s3://photos/2024/", "memory://photos/in/"),
    output_roots=("s3://exports/", "memory://photos/out/"),
    http_hosts=("example.com",),
    allow_memory=True,
    store_url="s3://jobs/store",
)


@pytest.fixture(autouse=True)
def empty_memory() -> Iterator[None]:
    yield
    forget("photos")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "url",
    [
        "s3://other/a.jpg",
        "s3://photos/2025/a.jpg",
        "s3://photos/2024/../2025/a.jpg",
        "s3://photos/2024/%2e%2e/2025/a.jpg",
        "s3://jobs/store/jobs/x/job.json",
        "file:///etc/passwd",
        "memory://elsewhere/a",
        "http://169.254.169.254/latest/meta-data/",
        "ftp://example.com/a",
        "gs://photos/2024/a.jpg",
        "r2://photos/2024/a.jpg",
        "photos/a.jpg",
        "",
    ],
)
def test_what_is_not_allowed_never_reaches_a_scheme(verb: str, url: str) -> None:
    canary = Canary()
    storage = Storage(dict.fromkeys(("s3", "r2", "gs", "file", "memory", "http", "https"), canary), AUTHORITY)
    with pytest.raises(ItemError) as caught:
        VERBS[verb](storage, url)
    assert caught.value.kind is Kind.BLOCKED_URL
    assert canary.touched == []


@pytest.mark.parametrize("verb", VERBS)
def test_sources_are_read_only_and_outputs_are_no_sources(verb: str) -> None:
    canary = Canary()
    storage = Storage({"s3": canary}, AUTHORITY)
    forbidden = "s3://exports/another-job/g1/album.zip" if verb in READS else "s3://photos/2024/a.jpg"
    with pytest.raises(ItemError, match="is not allowed"):
        VERBS[verb](storage, forbidden)
    assert canary.touched == []


def test_what_the_job_delivered_may_be_looked_at() -> None:
    storage = Storage({"memory": MemoryScheme()}, AUTHORITY)
    url = "memory://photos/out/album.zip"
    with storage.write(url) as writer:
        writer.write(b"zip")
        writer.commit()
    assert storage.probe(url, delivered=True).size_bytes == 3
    with storage.open(url, delivered=True, start=1) as reader:
        assert reader.read() == b"ip"
    with pytest.raises(ItemError):
        storage.probe(url)


def test_a_prefix_without_a_slash_shows_no_forbidden_sibling() -> None:
    scheme = MemoryScheme()
    for key in ("in/a.jpg", "inside-of-others/b.jpg", "in.jpg"):
        with scheme.write(f"memory://photos/{key}", WriteOptions()) as writer:
            writer.commit()
    storage = Storage({"memory": scheme}, AUTHORITY)
    assert [each.url for each in storage.list("memory://photos/in")] == ["memory://photos/in/a.jpg"]


def test_a_listing_spells_its_urls_as_the_prefix_was_spelled(tmp_path: Path) -> None:
    (tmp_path / "real album").mkdir()
    (tmp_path / "real album" / "ü 1.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real album")
    storage = open_storage(Settings(), Authority.granted(sources=[f"file://{tmp_path}/"]))
    for folder in (
        f"file://{tmp_path}/real album/",
        f"file://{tmp_path}/real%20album/",
        f"file://{tmp_path}/link/",
    ):
        [listed] = storage.list(folder)
        assert listed.url == f"{folder}%C3%BC%201.jpg"
        with storage.open(listed.url) as reader:
            assert reader.read() == b"x"


def test_a_link_that_leads_out_of_what_is_allowed_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").symlink_to(tmp_path / "secret")
    storage = open_storage(Settings(), Authority.granted(sources=[f"file://{tmp_path}/album/"]))
    with pytest.raises(ItemError) as caught, storage.open(f"file://{tmp_path}/album/a.jpg"):
        pass
    assert caught.value.kind is Kind.BLOCKED_URL


def test_no_library_is_loaded_before_its_scheme_is_used(tmp_path: Path) -> None:
    import subprocess

    script = f"""
import sys
from batchlab.authority import Authority
from batchlab.settings import Settings
from batchlab_processor.storage import open_storage
storage = open_storage(Settings(), Authority.granted(sources=["file://{tmp_path}/"]))
list(storage.list("file://{tmp_path}/"))
assert not {{"boto3", "botocore", "google", "firebase_admin", "smart_open"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_missing_extra_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("batchlab_processor.storage.firebase", "batchlab_processor.storage.gs_")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "firebase_admin", None)
    storage = open_storage(Settings(), Authority.granted(sources=["gs://photos/"]))
    with pytest.raises(ItemError, match=r"pip install 'batchlab-processor\[firebase\]'") as caught:
        storage.probe("gs://photos/a.jpg")
    assert caught.value.kind is Kind.VALIDATION


def test_r2_without_its_settings_names_them() -> None:
    storage = open_storage(Settings(), Authority.granted(sources=["r2://photos/"]))
    with pytest.raises(ItemError, match="R2_ENDPOINT"):
        storage.probe("r2://photos/a.jpg")


def test_web_urls_are_neither_listed_nor_written() -> None:
    storage = open_storage(Settings(), Authority.granted(sources=["https://example.com/"]))
    with pytest.raises(ItemError, match="cannot be written"):
        storage.write("https://example.com/a")
    with pytest.raises(ItemError, match="cannot be listed"):
        list(storage.list("https://example.com/"))
