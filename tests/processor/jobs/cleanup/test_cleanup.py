"""batchlab_processor.jobs.cleanup: artifacts and documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batchlab import timer
from batchlab.document import load_document
from batchlab.job_index import list_jobs
from batchlab.ledger import LedgerWriter
from batchlab.outcome import Done
from batchlab.records import JobRecords, submit_locally
from batchlab.service.log_files import log_file, log_folder
from batchlab.store import Store
from batchlab_processor.storage import Storage
from tests.processor.jobs.cleanup.laboratory import DAY, PHOTO, Laboratory, deleted, report

OLD = 91 * DAY


def test_what_has_expired_is_deleted_and_its_job_says_so(laboratory: Laboratory) -> None:
    records = laboratory.job()
    laboratory.store.create(f"{records.folder}/page.json", {"token": "a" * 32})
    laboratory.store.create(f"pages/{'a' * 32}/index.html", {})
    cleaned = laboratory.clean()
    assert cleaned.state == "succeeded"
    assert deleted(cleaned) == {"artifacts": 1, "artifact_bytes": 2}
    assert laboratory.there() == []
    assert records.status().state == "expired"
    assert records.report(1) is not None
    assert laboratory.store.read(f"pages/{'a' * 32}/index.html") is not None
    assert cleaned.facts["summary"][0].startswith("Deleted: 1 artifacts (2 B)")


def test_whoever_wants_to_hear_of_it_does_when_the_service_looks_next(laboratory: Laboratory) -> None:
    asked = laboratory.job(notify=[{"email": "ana@example.com", "events": ["expired"]}])
    laboratory.job()
    laboratory.clean()
    assert [due.job_id for due in timer.due(laboratory.store)] == [asked.id]


def test_expiry_counts_from_the_end_and_nothing_else_ends_what_was_delivered(laboratory: Laboratory) -> None:
    fresh = laboratory.job(ended=timedelta(hours=11))
    for_ever = laboratory.job(ended=80 * DAY, expires=None)
    told = laboratory.job(ended=DAY, expires="12h")
    laboratory.moved(told, "succeeded", laboratory.store.now() - DAY, expires_at=laboratory.store.now() + DAY)
    assert deleted(laboratory.clean()) == {}
    assert len(laboratory.there()) == 3
    assert {records.status().state for records in (fresh, for_ever, told)} == {"succeeded"}


def test_more_time_that_was_given_later_counts(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = laboratory.job(ended=timedelta(hours=1))
    laboratory.clean()
    status, now = records.status(), laboratory.store.now()
    records.save_status(status.model_copy(update={"expires_at": now + 2 * DAY}))
    monkeypatch.setattr(laboratory.store, "now", lambda: now + DAY)
    assert deleted(laboratory.clean()) == {}
    monkeypatch.setattr(laboratory.store, "now", lambda: now + 3 * DAY)
    assert deleted(laboratory.clean())["artifacts"] == 1


@pytest.mark.parametrize("state", ["queued", "starting", "running", "cancelling"])
def test_a_job_that_has_not_ended_is_never_touched(laboratory: Laboratory, state: str) -> None:
    records = laboratory.job(state, ended=400 * DAY)
    before = laboratory.documents(records)
    laboratory.clean()
    assert len(laboratory.there()) == 1
    assert [name for name in laboratory.documents(records) if "lease" not in name] == before
    assert records.status().state == state


def test_all_generations_of_a_retried_job_go_together(laboratory: Laboratory) -> None:
    records = laboratory.job("partial", ended=3 * DAY)
    records.start_retry()
    at = laboratory.store.now() - DAY
    second = laboratory.deliver(f"{records.id}/g2/album.zip")
    laboratory.moved(records, "succeeded", at)
    records.create_report(2, report(records.status(), at, [second]))
    assert deleted(laboratory.clean())["artifacts"] == 2
    assert laboratory.there() == []


def test_a_job_that_is_retried_meanwhile_keeps_everything(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = laboratory.job("partial")
    real = Storage.probe

    def probe(storage: Storage, url: str, **more: Any) -> Any:  # the last look before anything is deleted
        if records.status().state == "partial":
            records.start_retry()
        return real(storage, url, **more)

    monkeypatch.setattr(Storage, "probe", probe)
    assert deleted(laboratory.clean()) == {}
    assert len(laboratory.there()) == 1
    assert records.status().state == "queued"


def test_an_archive_that_jobs_share_stays_until_none_of_them_names_it(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = ("reuse/0123/album.zip",)
    first = laboratory.job(delivers=shared)
    laboratory.job(delivers=shared, ended=timedelta(hours=1))
    cleaned = laboratory.clean()
    assert deleted(cleaned) == {}
    assert cleaned.facts["left"] == [
        f"{laboratory.output}/reuse/0123/album.zip is what another job delivered, too, or may be about to."
    ]
    assert first.status().state == "expired"
    assert laboratory.there() == list(shared)
    tomorrow = laboratory.store.now() + DAY
    monkeypatch.setattr(laboratory.store, "now", lambda: tomorrow)
    assert deleted(laboratory.clean())["artifacts"] == 1
    assert laboratory.there() == []


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_shared_archive_stays_while_a_job_may_be_about_to_name_it(
    laboratory: Laboratory, state: str
) -> None:
    laboratory.job(delivers=("reuse/0123/album.zip",))
    laboratory.job(state, delivers=())
    assert deleted(laboratory.clean()) == {}
    assert laboratory.there() == ["reuse/0123/album.zip"]


def test_two_jobs_that_have_both_expired_do_not_keep_each_others_archive(laboratory: Laboratory) -> None:
    for _ in range(2):
        laboratory.job(delivers=("reuse/0123/album.zip",))
    laboratory.clean()
    assert laboratory.there() == []


def test_what_somebody_else_put_there_stays(laboratory: Laboratory) -> None:
    records = laboratory.job()
    laboratory.deliver(f"{records.id}/g1/album.zip", content=b"the customer's own")
    laboratory.job(delivers=("of-another-type.zip",))
    laboratory.deliver("of-another-type.zip", made_by="contact-sheets")
    laboratory.deliver("unnamed.zip")
    laboratory.job(delivers=("without-a-word.zip",))
    laboratory.deliver("without-a-word.zip", made_by="")
    cleaned = laboratory.clean()
    assert deleted(cleaned) == {}
    assert len(laboratory.there()) == 4
    assert any(f"is not what job {records.id} delivered" in line for line in cleaned.facts["left"])


def test_nothing_outside_of_the_listed_places_is_deleted_and_its_job_keeps_its_documents(
    laboratory: Laboratory,
) -> None:
    records = laboratory.job(ended=OLD)
    confined = replace(laboratory, roots=())
    cleaned = confined.clean()
    assert deleted(cleaned) == {}
    assert any("BATCHLAB_OUTPUT_ROOTS" in line for line in cleaned.facts["left"])
    assert records.status().state == "succeeded"
    assert len(laboratory.there()) == 1
    assert deleted(laboratory.clean())["artifacts"] == 1


def test_a_dry_run_says_what_would_go_and_changes_nothing(laboratory: Laboratory) -> None:
    laboratory.job()
    laboratory.job(ended=OLD, idempotency_key="a")
    before = sorted(laboratory.store.names(""))
    bodies = [laboratory.store.read(name) for name in before]
    cleaned = laboratory.clean(dry_run=True)
    assert deleted(cleaned) == {"artifacts": 2, "artifact_bytes": 4, "documents": 5}
    assert cleaned.facts["summary"][0].startswith("Would delete: 2 artifacts")
    assert [laboratory.store.read(name) for name in before] == bodies
    strange = set(laboratory.store.names("")) - set(before)
    assert all(cleaned.id in name for name in strange)
    assert len(laboratory.there()) == 2
    assert deleted(laboratory.clean())["artifacts"] == 2


def test_a_second_cleanup_finds_nothing(laboratory: Laboratory) -> None:
    laboratory.job()
    laboratory.job(ended=OLD, expires=None)
    laboratory.clean()
    cleaned = laboratory.clean()
    assert (cleaned.counts.total, deleted(cleaned)) == (0, {})


def test_old_documents_go_all_of_them(laboratory: Laboratory) -> None:
    old = laboratory.job(ended=OLD, expires=None, idempotency_key="a", tags={"event": "7"})
    young = laboratory.job(ended=89 * DAY, expires=None, idempotency_key="b")
    for name in ("g1/ledger/a-0.jsonl", "g1/runs/a.json", "g1/plan-2.json"):
        laboratory.store.create(f"{old.folder}/{name}", {"volumes": []})
    laboratory.store.append(f"{old.folder}/g1/ledger/b-0.jsonl", [])
    laboratory.store.delete(f"{old.folder}/g1/ledger/a-0.jsonl")
    laboratory.store.create(f"{old.folder}/page.json", {"token": "a" * 32})
    laboratory.store.create(f"pages/{'a' * 32}/index.html", {})
    laboratory.store.create(f"pages/{'b' * 32}/index.html", {})
    before = laboratory.documents(young)
    cleaned = laboratory.clean()
    assert laboratory.documents(old) == []
    assert set(laboratory.documents(young)) == {*before, f"{young.folder}/cleaned.json"}
    assert len(list(laboratory.store.names("keys/"))) == 1
    assert list(laboratory.store.names("pages/")) == [f"pages/{'b' * 32}/index.html"]
    assert deleted(cleaned)["documents"] == 10
    assert len(laboratory.there()) == 2, "what never expires is not ours to delete"
    again = load_document({"type": "self-test", "idempotency_key": "a"})
    assert submit_locally(laboratory.store, again).id == again.id, "the key is free"


def test_what_runs_on_this_machine_logged_goes_with_the_documents(
    laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    old, young = laboratory.job(ended=OLD, expires=None), laboratory.job(ended=89 * DAY, expires=None)
    for records in (old, young):
        log_file(laboratory.store.url, records.id).close()
    laboratory.clean(dry_run=True)
    assert len(list(log_folder(laboratory.store.url).iterdir())) == 2
    laboratory.clean()
    assert [path.name for path in log_folder(laboratory.store.url).iterdir()] == [f"{young.id}.jsonl"]


def test_a_key_that_has_become_another_jobs_stays(laboratory: Laboratory) -> None:
    laboratory.job(ended=OLD, expires=None, idempotency_key="a")
    [key] = laboratory.store.names("keys/")
    laboratory.store.put(key, {"id": "another", "digest": "", "at": ""})
    laboratory.clean()
    assert list(laboratory.store.names("keys/")) == [key]


def test_documents_are_kept_as_long_as_what_was_delivered(laboratory: Laboratory) -> None:
    records = laboratory.job(ended=OLD, expires="100d")
    laboratory.clean()
    assert records.status().state == "succeeded"
    assert records.report(1) is not None


def test_documents_are_kept_for_ever_when_told_so(laboratory: Laboratory) -> None:
    records = laboratory.job(ended=3000 * DAY, expires=None)
    assert deleted(laboratory.clean(keep_documents=None)) == {}
    assert records.status().state == "succeeded"


def test_other_documents_of_the_store_are_nobodys_business(laboratory: Laboratory) -> None:
    laboratory.job(ended=OLD)
    strange = ["jobs.json", "jobs/notes.json", "index/notes.json", "keys/mine.json", "pages/logo/x.json"]
    for name in strange:
        laboratory.store.create(name, {})
    laboratory.clean()
    assert [name for name in strange if laboratory.store.read(name) is None] == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_somebody_else_put_among_the_documents_of_a_job_stays(
    laboratory: Laboratory, dry_run: bool
) -> None:
    old = laboratory.job(ended=OLD, expires=None)
    strange = [
        f"{old.folder}/{name}"
        for name in ("notes.txt", "g1/album.zip", "backup/job.json", "g1/ledger/old/a.jsonl", "G1/a.json")
    ]
    for name in strange:
        laboratory.store.create(name, {})
    ours = [name for name in laboratory.documents(old) if name not in strange]
    assert deleted(laboratory.clean(dry_run=dry_run)) == {"documents": len(ours)}
    assert sorted(laboratory.documents(old)) == sorted([*strange, *(ours if dry_run else [])])


class Killed(BaseException):
    """As if the process were gone."""


class _Mortal:
    """A store that lets the run be killed at its `turn`th deletion, before or after it."""

    def __init__(self, store: Store, turn: int, *, after: bool) -> None:
        self._store, self._turn, self._after, self.deletions = store, turn, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, name: str) -> None:
        self.deletions += 1
        if self.deletions == self._turn and not self._after:
            raise Killed
        self._store.delete(name)
        if self.deletions == self._turn:
            raise Killed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("turn", range(1, 7))
def test_killed_at_any_document_the_next_cleanup_deletes_the_rest(
    laboratory: Laboratory, turn: int, after: bool
) -> None:
    records = laboratory.job(ended=OLD, expires=None, idempotency_key="a")
    mortal: Any = _Mortal(laboratory.store, turn, after=after)
    with pytest.raises(Killed):
        replace(laboratory, store=mortal).clean()
    listed = {each.id for each in list_jobs(laboratory.store)}
    assert (records.id in listed) == bool(laboratory.documents(records)), "else nobody would find the rest"
    laboratory.clean()
    assert laboratory.documents(records) == []
    assert list(laboratory.store.names("keys/")) == []


def test_killed_before_the_archive_is_gone_the_next_cleanup_deletes_it(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = laboratory.job()

    def delete(storage: Storage, url: str) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "delete", delete)
        with pytest.raises(Killed):
            laboratory.clean()
    assert records.status().state == "expired"
    assert len(laboratory.there()) == 1
    assert deleted(laboratory.clean())["artifacts"] == 1
    assert laboratory.there() == []


def test_a_damaged_job_is_named_and_the_others_are_cleaned(laboratory: Laboratory) -> None:
    damaged = laboratory.job()
    laboratory.store.put(f"{damaged.folder}/status.json", {"state": "succeeded"})
    laboratory.job()
    cleaned = laboratory.clean()
    assert cleaned.state == "partial"
    assert [(failure.key, failure.kind) for failure in cleaned.failures] == [(damaged.id, "corrupt")]
    assert deleted(cleaned)["artifacts"] == 1


def test_it_does_not_clean_up_after_itself_while_it_runs(laboratory: Laboratory) -> None:
    document = load_document({"type": "cleanup"})
    records = submit_locally(laboratory.store, document)
    laboratory.moved(records, "running", laboratory.store.now() - OLD)
    cleaned = laboratory.clean(records=records)
    assert cleaned.id == records.id
    assert cleaned.counts.total == 0


def sheets(laboratory: Laboratory, ended: timedelta, *named: str) -> JobRecords:
    """A job that delivered two pages, both of them in its ledger and `named` in its report."""
    records = laboratory.job(
        job_type="contact-sheets",
        params={"domain": "d", "manifest": PHOTO},
        delivers=named,
        ended=ended,
    )
    laboratory.deliver("d/1/contact%20sheet.jpg", "contact-sheets")
    laboratory.deliver("d/1/contact%20sheet-2.jpg", "contact-sheets", content=b"second")
    keys = ["d/1/contact sheet.jpg", "d/1/contact sheet-2.jpg"]
    made = {"keys": keys, "page_bytes": [2, 6], "size_bytes": 8}
    writer = LedgerWriter(laboratory.store, records.id, 1, "run")
    writer.record(Done(key="1", result=made))
    writer.close()
    return records


def test_sheets_that_the_report_does_not_name_expire_with_the_others(laboratory: Laboratory) -> None:
    sheets(laboratory, DAY, "d/1/contact%20sheet.jpg")
    laboratory.deliver("d/1/contact%20sheet-3.jpg", "contact-sheets")
    cleaned = laboratory.clean()
    assert (deleted(cleaned)["artifacts"], deleted(cleaned)["artifact_bytes"]) == (2, 8)
    assert laboratory.there() == ["d/1/contact%20sheet-3.jpg"]


def test_sheets_that_only_the_ledger_of_another_job_names_stay(laboratory: Laboratory) -> None:
    sheets(laboratory, DAY, "d/1/contact%20sheet.jpg")
    sheets(laboratory, timedelta(hours=1))
    assert deleted(laboratory.clean()) == {}
    assert len(laboratory.there()) == 2


def test_jobs_of_every_type_are_cleaned(laboratory: Laboratory, tmp_path: Path) -> None:
    sheets = {"domain": "d", "manifest": PHOTO}
    records = laboratory.job(job_type="contact-sheets", params=sheets, delivers=("d/1/contact-sheet.jpg",))
    own = laboratory.job(job_type="self-test", ended=OLD, delivers=())
    laboratory.clean()
    assert laboratory.there() == []
    assert records.status().state == "expired"
    assert laboratory.documents(own) == []
    assert JobRecords(laboratory.store, own.id).plan(1) is None
