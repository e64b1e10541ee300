from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batchlab.ids import new_id
from batchlab.jobs.self_test import SelfTestParams
from batchlab.kinds import ItemError, Kind
from batchlab.limits import Limits
from batchlab.outcome import Done, Failed, Skipped
from batchlab.store import AlreadyExists
from batchlab.stores.file import FileStore
from batchlab.stores.memory import MemoryStore
from batchlab_processor.jobs import self_test
from batchlab_processor.jobs.self_test import CHECKS, Check, Finding, SelfTest, table

STORE_CHECKS = [name for name in CHECKS if name.startswith("store-")]


def context(store: Any, scratch: Path, key: str = "", **params: Any) -> Any:
    return SimpleNamespace(
        document=SimpleNamespace(id=new_id(), limits=Limits()),
        generation=1,
        key=key,
        params=SelfTestParams(**params),
        store=store,
        now=lambda: datetime.now(UTC),
        scratch=lambda: str(scratch),
        log=logging.LoggerAdapter(logging.getLogger("batchlab")),
        stop=threading.Event(),
    )


def run(name: str, ctx: Any) -> str:
    ctx.key = name
    return SelfTest().work(Check(name=name), ctx).detail


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "https"])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_sound_machine_passes_every_check_and_nothing_stays(tmp_path: Path, name: str, kind: str) -> None:
    store = MemoryStore.named(new_id()) if kind == "memory" else FileStore(str(tmp_path / "store"))
    assert run(name, context(store, tmp_path))
    assert list(store.names("")) == []


def test_the_way_out_is_not_tried_when_told_so(tmp_path: Path) -> None:
    ctx = context(MemoryStore.named(new_id()), tmp_path, network=False)
    assert [entry.key for entry in SelfTest().plan(ctx).entries] == [
        name for name in CHECKS if name != "https"
    ]
    ctx.params = SelfTestParams()
    assert "https" in [entry.key for entry in SelfTest().plan(ctx).entries]


class Broken:
    """A store that breaks one promise; the rest is MemoryStore's."""

    def __init__(self, **broken: Any) -> None:
        self._store = MemoryStore.named(new_id())
        self.__dict__.update(broken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _lazy_create(store: Broken) -> Any:
    def create(name: str, body: Any) -> str:
        try:
            return str(store._store.create(name, body))
        except AlreadyExists:
            return str(store._store.put(name, body))

    return create


@pytest.mark.parametrize(
    ("check", "broken", "said"),
    [
        ("store-read", {"read": lambda name: None}, "not read back"),
        ("store-read", {"names": lambda prefix: iter(())}, "not listed"),
        ("store-create-only", {"create": "lazy"}, "If-None-Match"),
        ("store-compare-and-set", {"replace": lambda name, body, version: "2"}, "If-Match"),
        ("store-delete", {"delete": lambda name: None}, "still there"),
    ],
)
def test_a_store_that_breaks_a_promise_is_found_out(
    tmp_path: Path, check: str, broken: dict[str, Any], said: str
) -> None:
    store = Broken(**broken)
    if broken.get("create") == "lazy":
        store.create = _lazy_create(store)  # type: ignore[attr-defined]
    with pytest.raises(ItemError, match=said) as failed:
        run(check, context(store, tmp_path))
    assert "BATCHLAB_STORE" in failed.value.message
    for other in set(STORE_CHECKS) - {check} - ({"store-create-only"} if "delete" in broken else set()):
        if not ("read" in broken or "delete" in broken):
            run(other, context(store, tmp_path))


@pytest.mark.parametrize(("seconds", "word"), [(40, "behind"), (-400, "ahead of")])
def test_a_wrong_clock_is_found_out(tmp_path: Path, seconds: int, word: str) -> None:
    store = Broken(now=lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    with pytest.raises(ItemError, match=rf"s {word} the store's.*NTP"):
        run("clock", context(store, tmp_path))


def test_missing_credentials_are_found_out_and_present_ones_named_without_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Broken(url="s3://bucket/batchlab")
    with pytest.raises(ItemError, match="No AWS credentials") as failed:
        run("credentials", context(store, tmp_path))
    assert failed.value.kind is Kind.AUTH
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "R2_ACCESS_KEY", "R2_SECRET_KEY"):
        monkeypatch.setenv(name, "CANARY")
    found = run("credentials", context(store, tmp_path))
    assert "AWS (env)" in found
    assert "R2_ACCESS_KEY" in found
    assert "CANARY" not in found


def test_too_little_disk_or_memory_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore.named(new_id())
    monkeypatch.setattr(self_test.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000, total=2000))
    monkeypatch.setattr(self_test, "memory_mib", lambda: 128)
    with pytest.raises(ItemError, match="TMPDIR"):
        run("disk", context(store, tmp_path))
    with pytest.raises(ItemError, match="ahead_bytes"):
        run("memory", context(store, tmp_path))


def test_the_way_out_that_is_closed_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "DEFAULT_URL", "https://127.0.0.1:9/")
    with pytest.raises(ItemError, match="network: false") as failed:
        run("https", context(MemoryStore.named(new_id()), tmp_path))
    assert failed.value.kind is Kind.BLOCKED_URL  # our own address, too, passes the guard


def test_the_table_has_a_line_for_each_check() -> None:
    lines = table(
        [
            Done(key="clock", result=Finding(detail="within 1 s")),
            Failed(key="credentials", kind=Kind.AUTH, message="No AWS credentials were found."),
            Skipped(key="disk", reason="not_started"),
        ]
    ).splitlines()
    assert lines == [
        "  clock        ok      within 1 s",
        "  credentials  FAILED  No AWS credentials were found.",
        "  disk         -       not checked",
    ]
