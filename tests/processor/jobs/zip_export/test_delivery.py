from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.ids import new_id
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from batchlab.stores.memory import MemoryStore
from batchlab_processor.jobs.zip_export import delivery
from batchlab_processor.jobs.zip_export.delivery import TAIL_BYTES, Seal
from batchlab_processor.storage import Storage, open_storage

# What a submitted job may do: its own outputs are no sources.
_AUTHORITY = Authority(output_roots=("file:///",))
CONTENT = os.urandom(3 * TAIL_BYTES)


def context(directory: Path, *, overwrite: bool = False, store: Any = None, submitted: bool = False) -> Any:
    job_id = new_id()
    below = f"/{job_id}/g1" if submitted else ""
    return SimpleNamespace(
        document=SimpleNamespace(id=job_id),
        generation=1,
        params=SimpleNamespace(name="album.zip"),
        storage=open_storage(Settings(), _AUTHORITY),
        store=store or MemoryStore.named(job_id),
        target=lambda name: directory.as_uri() + below + "/" + name,
        overwrite=lambda: overwrite,
    )


def announced(ctx: Any, content: bytes, chunk: int = 50_000) -> None:
    seal = Seal()
    for start in range(0, len(content), chunk):
        seal.update(content[start : start + chunk])
    delivery.announce(ctx, delivery.target(ctx), seal)


@pytest.mark.parametrize("content", [b"", b"small", CONTENT], ids=["empty", "small", "large"])
@pytest.mark.parametrize("chunk", [7000, TAIL_BYTES, 10 * TAIL_BYTES])
def test_a_job_knows_the_archive_that_it_delivered_before_it_was_killed(
    tmp_path: Path, content: bytes, chunk: int
) -> None:
    ctx = context(tmp_path)
    announced(ctx, content, chunk)
    (tmp_path / "album.zip").write_bytes(content)
    assert delivery.is_ours(ctx, delivery.target(ctx))
    delivery.check_free(ctx)


@pytest.mark.parametrize(
    "theirs",
    [CONTENT + b"x", CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), b""],
    ids=["longer", "another end", "empty"],
)
def test_an_object_that_somebody_else_put_there_is_not_ours(tmp_path: Path, theirs: bytes) -> None:
    ctx = context(tmp_path)
    announced(ctx, CONTENT)
    (tmp_path / "album.zip").write_bytes(theirs)
    assert not delivery.is_ours(ctx, delivery.target(ctx))
    with pytest.raises(ItemError, match="--overwrite") as refused:
        delivery.check_free(ctx)
    assert refused.value.kind is Kind.VALIDATION


def test_what_another_job_delivered_is_not_ours(tmp_path: Path) -> None:
    store = MemoryStore.named("two-jobs")
    announced(context(tmp_path, store=store), CONTENT)
    (tmp_path / "album.zip").write_bytes(CONTENT)
    other = context(tmp_path, store=store)
    assert not delivery.is_ours(other, delivery.target(other))


def test_an_announced_archive_that_never_came_is_not_there(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    announced(ctx, CONTENT)
    assert not delivery.is_ours(ctx, delivery.target(ctx))
    delivery.check_free(ctx)


def test_the_folder_of_a_submitted_job_is_its_own(tmp_path: Path) -> None:
    ctx = context(tmp_path, submitted=True)
    assert delivery.is_ours(ctx, delivery.target(ctx))


def test_overwrite_allows_everything(tmp_path: Path) -> None:
    (tmp_path / "album.zip").write_bytes(CONTENT)
    delivery.check_free(context(tmp_path, overwrite=True))


def test_a_target_we_may_not_read_is_taken_for_free(tmp_path: Path) -> None:
    class WriteOnly(Storage):
        def probe(self, url: str, *, delivered: bool = False) -> Any:
            raise ItemError(Kind.AUTH, "no")

    ctx = context(tmp_path)
    ctx.storage = WriteOnly({}, _AUTHORITY)
    delivery.check_free(ctx)


def test_the_archive_that_stood_there_is_still_ours_when_the_run_that_would_replace_it_was_killed(
    tmp_path: Path,
) -> None:
    ctx = context(tmp_path)
    announced(ctx, CONTENT)
    (tmp_path / "album.zip").write_bytes(CONTENT)
    for better in (CONTENT + b"x", CONTENT + b"xy"):
        announced(ctx, better)
        assert delivery.is_ours(ctx, delivery.target(ctx))
    (tmp_path / "album.zip").write_bytes(CONTENT + b"z")
    assert not delivery.is_ours(ctx, delivery.target(ctx))
