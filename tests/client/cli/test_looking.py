from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from batchlab.document import JobDocument
from batchlab.ids import IdMaker
from batchlab.kinds import Kind
from batchlab.ledger import LedgerWriter
from batchlab.outcome import Done, Failed, Skipped
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Artifact, Figures, build_report
from batchlab.settings import Settings
from batchlab.status import Counts, State
from batchlab.store import Store
from batchlab.stores import open_store
from tests.client.cli.conftest import Command

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "state" / "batchlab").as_uri(), settings=Settings())


def make_job(store: Store, *, age: timedelta = timedelta(0), **fields: Any) -> JobRecords:
    params = {"items": ["https://example.com/1.jpg"]}
    body = {"type": "zip-export", "params": params, "output": "s3://bucket/exports", **fields}
    document = JobDocument(id=IdMaker().new(NOW - age), **body)
    with mock.patch.object(store, "now", return_value=NOW - age):
        return submit_locally(store, document)


def end_job(records: JobRecords, *outcomes: Done | Failed | Skipped, delivered: bool = True) -> None:
    artifacts = [Artifact(name="album.zip", url="s3://bucket/exports/album.zip", size_bytes=10)]
    report = build_report(
        records.document(),
        outcomes,
        artifacts if delivered else [],
        Figures(started_at=NOW, ended_at=NOW),
        effects_survive=False,
    )
    records.create_report(1, report)
    records.save_status(
        records.status().model_copy(update={"state": report.state, "counts": report.counts, "ended_at": NOW})
    )


MISSING = Failed(key="2.jpg", kind=Kind.MISSING, message="https://example.com/2.jpg: 404", attempts=1)
ONE = Done(key="1.jpg", attempts=2, seconds=1.5, size_bytes=2_000_000)


def test_the_status_of_an_ended_job_is_its_report(batchlab: Command, store: Store) -> None:
    job = make_job(store, title="Ana & Ben")
    end_job(job, ONE, MISSING)
    ran = batchlab("status", job.id)
    assert ran.code == 0
    assert "partial: 1 of 2 photos done; 1 is missing." in ran.out
    assert f"batchlab items {job.id} --failed" in ran.out


def test_advice_to_retry_finds_the_job_again_where_it_was_looked_for(
    batchlab: Command, store: Store, tmp_path: Path
) -> None:
    elsewhere = (tmp_path / "elsewhere").as_uri()
    job = make_job(open_store(elsewhere, settings=Settings()))
    end_job(job, ONE, MISSING.model_copy(update={"kind": Kind.NETWORK}))
    said = batchlab("status", job.id, "--store", elsewhere).out
    assert f"`batchlab retry {job.id} --store {elsewhere}`" in " ".join(said.split())


def test_the_status_of_a_running_job_counts_what_has_ended(batchlab: Command, store: Store) -> None:
    job = make_job(store)
    counts = Counts(total=5000, done=1200, failed=3, in_flight=5)
    job.save_status(
        job.status().model_copy(
            update={"state": State.RUNNING, "counts": counts, "last_progress_at": datetime.now(UTC)}
        )
    )
    assert "running: 1,200 of 5,000 photos done, 3 failed, 5 in flight." in batchlab("status", "latest").out


def test_a_job_without_progress_for_five_minutes_is_shown_as_stalled(batchlab: Command, store: Store) -> None:
    job = make_job(store, age=timedelta(hours=1))
    moment = datetime.now(UTC) - timedelta(minutes=6)
    job.save_status(job.status().model_copy(update={"state": State.RUNNING, "last_progress_at": moment}))
    assert "stalled" in batchlab("status", job.id).out
    assert json.loads(batchlab("status", job.id, "--json").out)["stalled"] is True
    assert "stalled" in batchlab("list").out


def test_the_status_as_json_carries_the_report(batchlab: Command, store: Store) -> None:
    job = make_job(store)
    assert json.loads(batchlab("status", job.id, "--json").out)["report"] is None
    end_job(job, ONE)
    body = json.loads(batchlab("status", job.id, "--json").out)
    assert (body["state"], body["report"]["counts"]["done"]) == ("succeeded", 1)


def test_failed_items_are_shown_with_their_reason(batchlab: Command, store: Store) -> None:
    end_job(make_job(store), ONE, MISSING)
    out = batchlab("items", "latest", "--failed").out
    assert out.splitlines()[0].split() == ["KEY", "KIND", "ATTEMPTS", "WHY"]
    assert "2.jpg  missing  1         https://example.com/2.jpg: 404" in out
    assert "1.jpg" not in out


def test_all_items_are_shown_with_what_they_took(batchlab: Command, store: Store) -> None:
    end_job(make_job(store), ONE, MISSING, Skipped(key="3.jpg", reason="not_started"))
    lines = batchlab("items", "latest").out.splitlines()
    assert lines[1].split() == ["1.jpg", "done", "2", "2.0", "MB", "1.5", "s"]
    assert lines[2].split()[:2] == ["2.jpg", "failed"]
    assert lines[3].split()[:2] == ["3.jpg", "skipped"]


def test_items_of_a_running_job_come_from_its_ledger(batchlab: Command, store: Store) -> None:
    job = make_job(store)
    assert batchlab("items", job.id).out == "No item has ended yet.\n"
    ledger = LedgerWriter(store, job.id, 1, "run-1")
    ledger.record(ONE)
    ledger.record(MISSING)
    ledger.close()
    body = json.loads(batchlab("items", job.id, "--json").out)
    assert [(item["key"], item["outcome"], item["kind"]) for item in body] == [
        ("1.jpg", "done", ""),
        ("2.jpg", "failed", "missing"),
    ]


def test_jobs_are_listed_newest_first(batchlab: Command, store: Store) -> None:
    old = make_job(store, age=timedelta(days=2), title="Old")
    new = make_job(store, age=timedelta(minutes=5), title="New")
    lines = batchlab("list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", new.id, old.id]
    assert re.search(r"\b\d+ min ago", lines[1])
    assert "2 d ago" in lines[2]


def test_jobs_are_chosen_by_type_tag_state_and_age(batchlab: Command, store: Store) -> None:
    make_job(store, age=timedelta(days=9), title="nine days")
    make_job(store, age=timedelta(hours=2), title="tagged", tags={"event": "7"})
    make_job(store, age=timedelta(hours=1), title="test", type="self-test", params={})
    end_job(make_job(store, title="ended"), ONE)

    def titles(*options: str) -> list[str]:
        return [job["title"] for job in json.loads(batchlab("list", "--json", *options).out)]

    assert titles() == ["ended", "test", "tagged", "nine days"]
    assert titles("--type", "self-test") == ["test"]
    assert titles("--tag", "event=7") == ["tagged"]
    assert titles("--status", "succeeded") == ["ended"]
    assert titles("--since", "7d") == ["ended", "test", "tagged"]
    assert titles("--since", (NOW - timedelta(days=20)).date().isoformat()) == titles()
    assert titles("--limit", "1") == ["ended"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--status", "succeded"], "Did you mean succeeded?"),
        (["--tag", "event"], "NAME=VALUE"),
        (["--since", "yesterday"], "--since: expected"),
        (["--limit", "0"], "--limit: expected 1 or more"),
    ],
)
def test_a_wrong_choice_is_answered_with_what_was_expected(
    batchlab: Command, options: list[str], says: str
) -> None:
    ran = batchlab("list", *options)
    assert ran.code == 2
    assert says in ran.err


def test_a_terminal_is_not_obeyed_by_names_of_strangers(batchlab: Command, store: Store) -> None:
    key = "\x1b[2J\x07\r.jpg"
    end_job(make_job(store), Failed(key=key, kind=Kind.MISSING, message="\x07"), delivered=False)
    for command in (["items", "latest"], ["items", "latest", "--failed"], ["status", "latest"], ["list"]):
        assert not set(batchlab(*command).out) & set("\x1b\x07\r")


def test_an_unmistakable_beginning_names_a_job(batchlab: Command, store: Store) -> None:
    job = make_job(store, age=timedelta(days=400))
    make_job(store)
    assert batchlab("status", job.id[:8].upper()).code == 0


def test_a_beginning_of_several_ids_is_refused_with_them(batchlab: Command, store: Store) -> None:
    first = make_job(store, age=timedelta(seconds=2))
    second = make_job(store)
    ran = batchlab("status", first.id[:6])
    assert ran.code == 2
    assert first.id in ran.err
    assert second.id in ran.err


@pytest.mark.parametrize("text", ["latest", "@last", "01ab", "01jz8f3s2m9k4n5p6q7r8s9t0v"])
def test_a_job_that_is_not_there_ends_with_5(batchlab: Command, text: str) -> None:
    ran = batchlab("status", text)
    assert ran.code == 5
    assert len(ran.err.splitlines()) == 1


def test_what_can_be_no_id_ends_with_2(batchlab: Command) -> None:
    assert batchlab("status", "../../etc").code == 2
    assert batchlab("items", "").code == 2


def test_cancel_asks_the_run_to_stop_and_twice_is_once(batchlab: Command, store: Store) -> None:
    job = make_job(store)
    assert batchlab("cancel", job.id).code == 0
    assert batchlab("cancel", job.id).code == 0
    assert job.cancel_requested(1)


def test_a_job_that_has_ended_is_not_cancelled(batchlab: Command, store: Store) -> None:
    job = make_job(store)
    end_job(job, ONE)
    ran = batchlab("cancel", job.id)
    assert (ran.code, ran.out) == (0, f"Job {job.id} had ended before: succeeded.\n")
    assert not job.cancel_requested(1)


def test_one_damaged_or_deleted_job_hides_no_other(batchlab: Command, store: Store) -> None:
    whole, damaged, deleted = (make_job(store, age=timedelta(hours=hours)) for hours in (3, 2, 1))
    folder = Path(store.url.removeprefix("file://"), "jobs")
    (folder / damaged.id / "status.json").write_text("{bad")
    shutil.rmtree(folder / deleted.id)
    ran = batchlab("list")
    assert ran.code == 0
    assert whole.id in ran.out
    assert damaged.id not in ran.out and f"{damaged.id} is left out of a list: " in ran.err
    assert deleted.id not in ran.out + ran.err


def test_the_items_of_a_large_job_that_delivers_as_a_whole_are_all_listed(
    batchlab: Command, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchlab.report.ITEMS_INLINE", 2)
    job = make_job(store)
    gone = Failed(key="3.jpg", kind=Kind.MISSING, message="gone")
    entries = [{"key": "1.jpg", "item": {}, "size_bytes": 7}, {"key": "2.jpg", "item": {}}]
    job.save_plan(1, {"facts": {}, "entries": [*entries, {"failed": gone.model_dump(mode="json")}]})
    ledger = LedgerWriter(store, job.id, 1, "run-1")
    ledger.record(MISSING)
    ledger.close()
    end_job(job, ONE, MISSING, gone)
    body = json.loads(batchlab("items", job.id, "--json").out)
    assert [(item["key"], item["outcome"]) for item in body] == [
        ("1.jpg", "done"),
        ("2.jpg", "failed"),
        ("3.jpg", "failed"),
    ]
