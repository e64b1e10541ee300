"""What only a directory can get wrong: processes that die, disks without links, strangers' files."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from batchlab.errors import Denied, ServiceError
from batchlab.store import AlreadyExists, VersionConflict
from batchlab.stores.file import FileStore

KILLS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "200"))
WRITERS = 16
TEXT = "half a document is no document; " * 400


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "a store")


def _write_until_killed(store: FileStore, round_number: int) -> None:
    """Creates, replaces, puts and appends without end; it runs in a forked child."""
    for turn in range(1_000_000):
        name = f"jobs/{round_number}/{turn}.json"
        version = store.create(name, {"turn": turn, "text": TEXT})
        store.replace(name, {"turn": turn, "text": TEXT[::-1]}, version)
        store.put("run.json", {"turn": turn, "text": TEXT})
        store.append(
            f"ledger/{round_number}-{turn}.jsonl", [{"line": n, "text": TEXT[:500]} for n in range(9)]
        )


@pytest.mark.faults
def test_a_writer_killed_at_any_moment_leaves_no_half_document(store: FileStore) -> None:
    for round_number in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                _write_until_killed(store, round_number)
            finally:
                os._exit(70)
        time.sleep(random.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        for name in store.names(f"jobs/{round_number}/"):
            found = store.read(name)
            assert found is not None and len(found.body["text"]) == len(TEXT)
        for name in store.names(f"ledger/{round_number}-"):
            assert len(store.lines(name)) == 9
        run = store.read("run.json")
        assert run is None or len(run.body["text"]) == len(TEXT)
        if run is not None:  # a lock that died with its holder holds nobody up
            store.put("run.json", {"turn": -1, "text": TEXT})


def _race(root: str, number: int, version: str, start: object, results: object) -> None:
    store = FileStore(root)
    start.wait()  # type: ignore[attr-defined]
    won = []
    try:
        store.create("keys/one.json", {"writer": number})
        won.append("create")
    except AlreadyExists:
        pass
    try:
        store.replace("status.json", {"writer": number}, version)
        won.append("replace")
    except VersionConflict:
        pass
    results.put(won)  # type: ignore[attr-defined]


def test_exactly_one_of_many_processes_wins(store: FileStore, tmp_path: Path) -> None:
    version = store.create("status.json", {})
    processes = multiprocessing.get_context("fork")
    start, results = processes.Barrier(WRITERS), processes.SimpleQueue()
    children = [
        processes.Process(target=_race, args=(str(tmp_path / "a store"), number, version, start, results))
        for number in range(WRITERS)
    ]
    for child in children:
        child.start()
    won = [word for _ in children for word in results.get()]
    for child in children:
        child.join()
    assert sorted(won) == ["create", "replace"]


def test_a_child_forked_while_a_lock_is_held_does_not_keep_it(store: FileStore) -> None:
    reader, writer = os.pipe()
    with store._locked("status.json"):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    put = threading.Thread(target=store.put, args=("status.json", {"a": 1}))
    put.start()
    put.join(10)
    waits = put.is_alive()
    os.close(writer)  # ends the child, and with it the wait
    os.close(reader)
    os.waitpid(child, 0)
    put.join()
    assert not waits


def test_a_file_system_without_hard_links_serves_too(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store.create("keys/a.json", {"first": True})
    with pytest.raises(AlreadyExists):
        store.create("keys/a.json", {"second": True})
    found = store.read("keys/a.json")
    assert found is not None and found.body == {"first": True}


def test_nobody_else_on_the_machine_can_read_a_document(store: FileStore, tmp_path: Path) -> None:
    store.create("jobs/a/job.json", {"url": "https://example.com/?token=secret"})
    store.put("jobs/a/status.json", {})
    for path in (tmp_path / "a store").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_what_is_left_of_a_killed_writer_is_never_listed_and_swept_when_a_day_old(
    store: FileStore, tmp_path: Path
) -> None:
    store.create("jobs/a.json", {})
    old, new = tmp_path / "a store/.tmp/1-old", tmp_path / "a store/.tmp/1-new"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert list(FileStore(tmp_path / "a store").names("")) == ["jobs/a.json"]
    assert (old.exists(), new.exists()) == (False, True)


def test_a_neighbour_with_a_lower_letter_than_the_slash_comes_first(store: FileStore) -> None:
    for name in ("a/x.json", "a-b/x.json", "a.json", "a0.json"):
        store.create(name, {})
    assert list(store.names("")) == ["a-b/x.json", "a.json", "a/x.json", "a0.json"]
    assert list(store.names("", after="a.json")) == ["a/x.json", "a0.json"]


def test_a_folder_is_no_document(store: FileStore) -> None:
    store.create("jobs/a/job.json", {})
    assert store.read("jobs/a") is None
    assert store.read("jobs/a/job.json/x") is None
    with pytest.raises(ServiceError, match=r"jobs/a/job\.json/x"):
        store.create("jobs/a/job.json/x", {})


def test_a_document_that_somebody_edited_badly_is_named(store: FileStore, tmp_path: Path) -> None:
    store.create("jobs/a.json", {})
    path = tmp_path / "a store/jobs/a.json"
    for text, match in (("{", "is not JSON"), ("[]", "no JSON object"), ("", "is not JSON")):
        path.write_text(text)
        with pytest.raises(ServiceError, match=f"jobs/a.json .*{match}"):
            store.read("jobs/a.json")
    path.write_text(json.dumps({"by": "hand"}))
    found = store.read("jobs/a.json")
    assert found is not None and found.body == {"by": "hand"}


def test_a_segment_that_lost_a_line_is_an_error_and_never_fewer_outcomes(
    store: FileStore, tmp_path: Path
) -> None:
    store.append("l/r-0.jsonl", [{"key": "a"}, {"key": "b"}])
    path = tmp_path / "a store/l/r-0.jsonl"
    whole = path.read_bytes()
    for torn in (whole[:-5], whole[: whole.rindex(b"{")], b"", whole + b"[]\n", whole + b'{"key":"c"}\n'):
        path.write_bytes(torn)
        with pytest.raises(ServiceError, match=r"l/r-0\.jsonl"):
            store.lines("l/r-0.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_of_somebody_else_is_denied(store: FileStore, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Denied, match="who owns"):
            store.create("jobs/a.json", {})
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_a_service_error_and_leaves_nothing(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServiceError, match=r"No space left on device\. Free some"):
        store.create("a.json", {})
    monkeypatch.undo()
    assert list(store.names("")) == []
    assert store.create("a.json", {})
