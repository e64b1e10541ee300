"""The documents of a job: which come first, which win, and how jobs are found again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batchlab.authority import Authority
from batchlab.document import JobDocument, load_document
from batchlab.errors import BatchlabError, DocumentError, NotFound, ServiceError
from batchlab.ids import new_id
from batchlab.job_index import index_name, list_jobs
from batchlab.records import JobRecords, queued, submit_locally
from batchlab.status import Counts, State, Status
from batchlab.store import JSON, Store
from batchlab.stores.memory import MemoryStore
from tests.client.stores.every import EVERY, opened


class Breaking(MemoryStore):
    """A store whose n-th write fails, as if the process had been killed there."""

    def __init__(self) -> None:
        super().__init__("breaking")
        self.writes_left = 10**9
        self.time = datetime(2026, 5, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def _write(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise ServiceError("Killed.")

    def create(self, name: str, body: JSON) -> str:
        self._write()
        return super().create(name, body)

    def put(self, name: str, body: JSON) -> str:
        self._write()
        return super().put(name, body)


@pytest.fixture
def store() -> Breaking:
    return Breaking()


@pytest.fixture(params=EVERY)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request.param, request, tmp_path) as store:
        yield store


def _document(**fields: object) -> JobDocument:
    return load_document({"type": "self-test", **fields})


def _status(records: JobRecords, state: State, **fields: object) -> Status:
    return records.status().model_copy(update={"state": state, **fields})


def test_a_submitted_job_is_there_queued_and_listed(real: Store) -> None:
    document = _document(title="Ñandú", tags={"event": "a/b.c d", ".": "..", "é": ""})
    records = submit_locally(real, document, Authority(http_hosts=("example.com",)))
    assert records.document() == document
    assert records.grant() == Authority(http_hosts=("example.com",))
    assert (records.status().state, records.status().generation) == (State.QUEUED, 1)
    [listed] = list_jobs(real)
    assert (listed.id, listed.type, listed.tags) == (document.id, "self-test", document.tags)
    assert abs(listed.created_at - records.status().created_at) < timedelta(milliseconds=1)


def test_the_longest_tags_fit_every_store(real: Store) -> None:
    document = _document(tags={f"{number}" + "é" * 10: "é" * 15 for number in range(5)})
    submit_locally(real, document)
    [listed] = list_jobs(real, tag=("3" + "é" * 10, "é" * 15))
    assert listed.tags == document.tags


@pytest.mark.parametrize("with_id", [True, False])
def test_a_submission_that_broke_off_anywhere_is_completed_by_its_repetition(
    store: Breaking, with_id: bool
) -> None:
    for writes in range(6):
        fields: dict[str, object] = {"idempotency_key": f"key {writes}"}
        if with_id:
            fields["id"] = new_id()
        store.writes_left = writes
        with contextlib.suppress(ServiceError):
            submit_locally(store, _document(**fields))
        store.writes_left = 10**9
        store.time += timedelta(seconds=1)
        records = submit_locally(store, _document(**fields))
        assert records.document().idempotency_key == f"key {writes}"
        assert records.status().state is State.QUEUED
        assert [listed.id for listed in list_jobs(store)].count(records.id) == 1
    assert len(list(list_jobs(store))) == 6


def test_many_submissions_with_one_key_are_one_job(real: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: submit_locally(real, _document(idempotency_key="one")).id, range(8)))
    assert len(ids) == 1
    assert [listed.id for listed in list_jobs(real)] == list(ids)


def test_one_key_for_two_documents_is_an_error_that_names_the_job(store: Breaking) -> None:
    first = submit_locally(store, _document(idempotency_key="k", title="one"))
    with pytest.raises(DocumentError, match=first.id):
        submit_locally(store, _document(idempotency_key="k", title="two"))


def test_another_document_under_an_id_changes_nothing_not_even_the_grant(store: Breaking) -> None:
    document = _document(title="one")
    records = submit_locally(store, document)
    before = {name: store.read(name) for name in store.names("")}
    with pytest.raises(DocumentError, match="another content"):
        submit_locally(store, document.model_copy(update={"title": "two"}), Authority())
    assert {name: store.read(name) for name in store.names("")} == before
    assert records.grant() is None


def test_a_status_only_goes_forward(store: Breaking) -> None:
    records = submit_locally(store, _document())
    running = records.save_status(_status(records, State.RUNNING))
    assert records.save_status(running.model_copy(update={"state": State.STARTING})) == running
    more = records.save_status(running.model_copy(update={"counts": Counts(total=3, done=1)}))
    assert records.status().counts.done == more.counts.done == 1
    failed = records.save_status(_status(records, State.FAILED))
    assert records.save_status(_status(records, State.SUCCEEDED)) == failed
    assert records.save_status(running) == failed


def test_of_two_that_end_a_job_one_end_stands(real: Store) -> None:
    records = submit_locally(real, _document())
    ends = [State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED]
    with ThreadPoolExecutor(4) as pool:
        seen = set(pool.map(lambda end: records.save_status(_status(records, end)).state, ends))
    assert seen == {records.status().state}


def test_a_retry_starts_the_next_generation_once(store: Breaking) -> None:
    records = submit_locally(store, _document())
    with pytest.raises(DocumentError, match="queued"):
        records.start_retry()
    records.save_status(_status(records, State.PARTIAL, counts=Counts(total=2, done=1)))
    with ThreadPoolExecutor(8) as pool:

        def retry(_: int) -> int:
            try:
                return records.start_retry().generation
            except DocumentError:  # it saw the new generation already
                return 2

        assert set(pool.map(retry, range(8))) == {2}
    assert (records.status().state, records.status().counts) == (State.QUEUED, Counts())


def test_asking_twice_to_cancel_is_asking_once(store: Breaking) -> None:
    records = submit_locally(store, _document())
    assert not records.cancel_requested(1)
    records.ask_to_cancel(1)
    records.ask_to_cancel(1)
    assert records.cancel_requested(1)
    assert not records.cancel_requested(2)


def test_what_ends_one_shard_asks_all_to_stop_and_the_first_wish_counts(store: Breaking) -> None:
    records = submit_locally(store, _document())
    assert records.stop_wish(1) is None
    records.ask_to_stop(1, "fatal", "The upload is refused.")
    records.ask_to_cancel(1)
    wish = records.stop_wish(1)
    assert wish is not None
    assert (wish["reason"], wish["message"]) == ("fatal", "The upload is refused.")
    assert not records.cancel_requested(1)


def test_a_job_is_at_work_while_a_run_or_a_shard_holds_a_lease(store: Breaking) -> None:
    records = submit_locally(store, _document())
    assert not records.at_work(1)
    for shard in (0, 3):
        lease = records.lease(1, "run", shard=shard)
        assert lease is not None
        assert records.at_work(1)
        assert not records.at_work(2)
        lease.release()
        assert not records.at_work(1)


def test_jobs_are_listed_newest_first_by_type_tag_and_age_without_reading_them(
    store: Breaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for number in range(6):
        store.time += timedelta(hours=1)
        document = _document(tags={"parity": str(number % 2)})
        store.create(index_name(document, store.time), {})
        made.append(document.id)
    store.create("index/not-ours", {})
    monkeypatch.setattr(store, "read", None)
    newest_first = made[::-1]
    assert [listed.id for listed in list_jobs(store)] == newest_first
    assert [listed.id for listed in list_jobs(store, tag=("parity", "1"))] == newest_first[::2]
    assert list(list_jobs(store, job_type="zip-export")) == []
    assert [listed.id for listed in list_jobs(store, since=store.time - timedelta(hours=1))] == newest_first[
        :2
    ]
    third = list(list_jobs(store))[2]
    assert [listed.id for listed in list_jobs(store, after=third.name)] == newest_first[3:]


def test_a_job_that_is_not_there_is_not_found_and_the_list_command_is_named(store: Breaking) -> None:
    for ask in (JobRecords(store, "x").document, JobRecords(store, "x").status):
        with pytest.raises(NotFound, match="batchlab list"):
            ask()


def test_a_document_of_a_newer_version_is_named_and_not_a_traceback(store: Breaking) -> None:
    records = submit_locally(store, _document())
    status = queued(records.document(), store.now()).model_dump(mode="json")
    store.put(f"jobs/{records.id}/status.json", {**status, "mood": "fine"})
    with pytest.raises(BatchlabError, match=r"status\.json .*mood.*newer version"):
        records.status()
