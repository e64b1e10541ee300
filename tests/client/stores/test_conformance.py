"""The promises of `batchlab.store`, kept by every store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchlab.errors import UsageError
from batchlab.store import AlreadyExists, Store, VersionConflict
from batchlab.stores import open_store
from tests.client.stores.every import EVERY, opened

WRITERS = 16


@pytest.fixture(params=EVERY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request.param, request, tmp_path / "a directory") as store:
        yield store


def at_once(function: Callable[[int], bool]) -> int:
    """How many of 16 simultaneous calls succeeded."""
    together = threading.Barrier(WRITERS)

    def call(number: int) -> bool:
        together.wait()
        return function(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return sum(pool.map(call, range(WRITERS)))


def test_a_document_comes_back_as_it_was_written(store: Store) -> None:
    body = {"text": "Ñandú\n", "number": 3, "nested": {"list": [1, None, True]}}
    store.create("jobs/a/job.json", body)
    found = store.read("jobs/a/job.json")
    assert found is not None
    assert found.body == body


def test_a_missing_document_is_none_and_deleting_it_is_no_error(store: Store) -> None:
    assert store.read("nowhere/x.json") is None
    assert store.lines("nowhere/x.jsonl") == []
    store.delete("nowhere/x.json")


def test_exactly_one_of_many_creates_wins(store: Store) -> None:
    def create(number: int) -> bool:
        try:
            store.create("keys/one.json", {"writer": number})
        except AlreadyExists:
            return False
        winners.append(number)
        return True

    winners: list[int] = []
    assert at_once(create) == 1
    found = store.read("keys/one.json")
    assert found is not None
    assert found.body == {"writer": winners[0]}


def test_exactly_one_of_many_replaces_of_one_version_wins(store: Store) -> None:
    version = store.create("status.json", {"turn": 0})

    def replace(number: int) -> bool:
        try:
            store.replace("status.json", {"turn": number}, version)
        except VersionConflict:
            return False
        return True

    assert at_once(replace) == 1


def test_concurrent_additions_are_never_lost(store: Store) -> None:
    writers = 4  # each addition costs every other writer a round trip
    store.create("counter.json", {"count": 0})

    def add(_: int) -> bool:
        while True:
            found = store.read("counter.json")
            assert found is not None
            try:
                store.replace("counter.json", {"count": found.body["count"] + 1}, found.version)
            except VersionConflict:
                continue
            return True

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(add, range(WRITERS)))
    found = store.read("counter.json")
    assert found is not None
    assert found.body == {"count": WRITERS}


def test_writing_an_identical_body_still_makes_a_stale_version_fail(store: Store) -> None:
    first = store.create("same.json", {"a": 1})
    second = store.replace("same.json", {"a": 1}, first)
    assert second != first
    with pytest.raises(VersionConflict):
        store.replace("same.json", {"a": 2}, first)


def test_replacing_what_was_deleted_is_a_conflict(store: Store) -> None:
    version = store.create("gone.json", {})
    store.delete("gone.json")
    with pytest.raises(VersionConflict):
        store.replace("gone.json", {}, version)


def test_put_writes_over_whatever_is_there(store: Store) -> None:
    store.put("run.json", {"a": 1})
    version = store.put("run.json", {"a": 2})
    found = store.read("run.json")
    assert found is not None
    assert (found.body, found.version) == ({"a": 2}, version)


def test_names_come_in_byte_order_and_can_go_on_behind_one(store: Store) -> None:
    names = ["index/9/a", "index/91/a", "index/10/b", "index/10/a", "index/é/x", "index/Z/x", "other/1"]
    for name in names:
        store.create(name, {})
    expected = sorted((name for name in names if name.startswith("index/")), key=str.encode)
    assert list(store.names("index/")) == expected
    for name in expected:
        assert list(store.names("index/", after=name)) == expected[expected.index(name) + 1 :]
    assert list(store.names("index/10")) == ["index/10/a", "index/10/b"]
    assert list(store.names("nothing/")) == []


def test_a_segment_is_written_once_and_whole(store: Store) -> None:
    lines = [{"key": f"k{number}", "text": "ü" * number} for number in range(100)]
    store.append("ledger/r-0.jsonl", lines)
    assert store.lines("ledger/r-0.jsonl") == lines
    with pytest.raises(AlreadyExists):
        store.append("ledger/r-0.jsonl", [{"key": "other"}])
    assert store.lines("ledger/r-0.jsonl") == lines


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/./b", "a\\b", "a/\x00b", "jobs/\n"]
)
def test_a_name_that_leaves_the_store_is_refused(store: Store, name: str) -> None:
    for call in (store.read, store.delete, store.lines):
        with pytest.raises(UsageError):
            call(name)
    for write in (store.create, store.put):
        with pytest.raises(UsageError):
            write(name, {})


def test_the_clock_is_in_utc_and_near_ours(store: Store) -> None:
    now = store.now()
    assert now.utcoffset() is not None
    assert abs((now - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.parametrize("url", ["", "ftp://x/y", "file://host/dir", "s3://", "relative/dir", "https://x/y"])
def test_what_is_no_store_is_refused_with_the_forms_that_are(url: str) -> None:
    with pytest.raises(UsageError, match="file:///a/directory"):
        open_store(url)
