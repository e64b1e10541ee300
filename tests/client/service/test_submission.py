"""batchlab.service.submission: a job is accepted once, taken up wherever it was left, cancelled and retried."""

from __future__ import annotations

import json
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from batchlab.authority import Authority
from batchlab.backend import Hope
from batchlab.document import JobDocument
from batchlab.errors import DocumentError, KeyTaken, ServiceError
from batchlab.ids import new_id
from batchlab.job_index import list_jobs
from batchlab.page import open_pages, token
from batchlab.records import JobRecords, submit_locally
from batchlab.service import submission
from batchlab.service.core import Service
from batchlab.service.submission import submit, sweep
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.store import JSON
from batchlab.stores import open_store
from tests.client.service.scenes import START, Scene, Scripted, self_test
from tests.servers import S3Server


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_submitted_job_is_listed_queued_has_a_page_and_is_with_the_runner(scene: Scene) -> None:
    records = scene.submit(title="Anna and Ben", tags={"event": "42"})
    assert records.status().state is State.QUEUED
    assert [job.id for job in list_jobs(scene.store)] == [records.id]
    assert "Anna and Ben" in str(scene.service.pages.get(f"{token(records)}/index.html"))
    assert scene.runner.started == [records.id]
    assert scene.names("watch/")


def test_the_documents_are_written_in_the_order_that_makes_every_kill_harmless(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    create = scene.store.create

    def noting(name: str, body: JSON) -> str:
        written.append(name.replace(document.id, "ID").split("-")[0])
        return create(name, body)

    document = self_test(idempotency_key="order-7")
    monkeypatch.setattr(scene.store, "create", noting)
    submit(scene.service, document)
    assert [name.split("/")[0] for name in written] == ["keys", "pending", "jobs", "index", "jobs", "jobs"]
    assert [name for name in written if name.startswith("jobs/")] == [
        "jobs/ID/job.json",
        "jobs/ID/status.json",
        "jobs/ID/page.json",
    ]


def test_one_key_and_one_content_are_one_job_however_often_it_is_submitted(scene: Scene) -> None:
    first = scene.submit(idempotency_key="order-7")
    again = scene.submit(idempotency_key="order-7")
    assert again.id == first.id
    assert len(list(list_jobs(scene.store))) == 1


def test_one_key_and_another_content_are_refused_and_nothing_is_written(scene: Scene) -> None:
    scene.submit(idempotency_key="order-7", title="one")
    before = scene.names("")
    with pytest.raises(KeyTaken, match="Use a new key"):
        scene.submit(idempotency_key="order-7", title="two")
    assert scene.names("") == before


def test_an_id_that_belongs_to_another_document_is_refused_and_is_not_pending(scene: Scene) -> None:
    first = scene.submit(title="one")
    scene.service.store.delete(f"pending/{first.id}")
    with pytest.raises(DocumentError, match="exists with another content"):
        scene.submit(id=first.id, title="two")
    assert scene.names("pending/") == []


def test_a_key_whose_job_was_never_written_gets_the_job_of_its_next_submission(scene: Scene) -> None:
    lost = self_test(idempotency_key="order-7")

    class Killed(BaseException):
        pass

    def die(self: JobRecords, document: JobDocument) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobRecords, "create_document", die)
        with pytest.raises(Killed):
            submit(scene.service, lost)
    records = scene.submit(idempotency_key="order-7")
    assert records.id == lost.id
    assert scene.runner.started == [lost.id]


def test_a_job_that_is_with_the_runner_is_not_started_again_by_a_repetition(scene: Scene) -> None:
    records = scene.submit()
    records.drop_pending()
    submit(scene.service, records.document())
    assert scene.runner.started == [records.id]
    assert scene.names("pending/") == []


def test_a_job_that_nobody_was_ever_asked_to_run_is_started_when_it_is_submitted(scene: Scene) -> None:
    document = self_test()
    submit_locally(scene.store, document)
    submit(scene.service, document)
    assert scene.runner.started == [document.id]


def test_a_job_that_has_ended_is_not_started_again(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.SUCCEEDED)
    scene.runner.hopes.clear()
    submit(scene.service, records.document())
    assert scene.runner.started == [records.id]
    assert scene.names("pending/") == []


def test_a_grant_is_kept_with_the_job(scene: Scene) -> None:
    records = submit(scene.service, self_test(), Authority(http_hosts=("photos.example",)))
    assert records.grant() == Authority(http_hosts=("photos.example",))


@pytest.mark.parametrize("where", ["memory", "file", "bucket"])
def test_many_submissions_with_one_key_at_once_are_one_job(
    where: str, tmp_path: object, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = int(os.environ.get("BATCHLAB_TEST_SUBMITS", "20"))
    url = f"file://{tmp_path}" if where == "file" else f"memory://{secrets.token_hex(4)}"
    if where == "bucket":
        url = f"s3://{request.getfixturevalue('moto_bucket')}/store"
        server: S3Server = request.getfixturevalue("moto_s3")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
    settings = replace(Settings.from_environment(os.environ), store=url)
    runner = Scripted()
    store = open_store(settings.store, settings=settings)
    service = Service.of_settings(settings, runner, store)
    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda _: submit(service, self_test(idempotency_key="order-7")).id, range(count)))
    assert len(ids) == 1
    assert [job.id for job in list_jobs(store)] == list(ids)
    assert set(runner.started) == ids


# -- the sweeper -----------------------------------------------------------------------------------------------


def test_a_submission_killed_before_its_runner_was_told_is_taken_up_after_a_minute(scene: Scene) -> None:
    records = submit_pending(scene)
    scene.store.pass_time(seconds=59)
    assert sweep(scene.service) == 0
    scene.store.pass_time(seconds=1)
    assert sweep(scene.service) == 1
    assert scene.runner.started == [records.id]
    assert records.status().created_at == START
    assert scene.service.pages.get(f"{token(records)}/index.html")
    assert [job.created_at for job in list_jobs(scene.store)] == [START]


def submit_pending(scene: Scene) -> JobRecords:
    """A submission killed right after job.json."""
    document = self_test()
    records = JobRecords(scene.store, document.id)
    records.create_pending()
    records.create_document(document)
    return records


def test_what_was_never_accepted_is_forgotten_after_a_quarter_of_an_hour(scene: Scene) -> None:
    JobRecords(scene.store, new_id()).create_pending()
    scene.store.pass_time(minutes=14)
    sweep(scene.service)
    assert len(scene.names("pending/")) == 1
    scene.store.pass_time(minutes=1)
    sweep(scene.service)
    assert scene.names("pending/") == []


def test_a_job_that_has_ended_is_no_longer_pending(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.FAILED)
    scene.runner.hopes[records.id] = Hope.UNKNOWN
    scene.store.pass_time(minutes=2)
    sweep(scene.service)
    assert scene.names("pending/") == []
    assert scene.runner.started == [records.id]


def test_a_job_that_waits_or_runs_is_left_alone(scene: Scene) -> None:
    records = scene.submit()
    scene.store.pass_time(minutes=30)
    for hope in (Hope.WAITING, Hope.RUNNING):
        scene.runner.hopes[records.id] = hope
        assert sweep(scene.service) == 0
    assert scene.names("pending/") == [f"pending/{records.id}"]


def test_a_paused_job_goes_on_when_its_time_has_come(scene: Scene) -> None:
    records = scene.submit()
    resume_at = scene.store.time.replace(hour=14)
    scene.move(records, State.RUNNING, resume_at=resume_at)
    records.save_pending(resume_at)
    scene.runner.hopes[records.id] = Hope.UNKNOWN
    scene.store.pass_time(minutes=119)
    assert sweep(scene.service) == 0
    scene.store.pass_time(minutes=1)
    assert sweep(scene.service) == 1
    assert scene.runner.started == [records.id, records.id]


def test_a_job_that_cannot_be_taken_up_does_not_hold_up_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = submit_pending(scene), submit_pending(scene)
    start = scene.runner.start

    def refuse_the_first(records: JobRecords) -> None:
        if records.id == first.id:
            raise ServiceError("AWS Batch takes no more jobs just now.")
        start(records)

    monkeypatch.setattr(scene.runner, "start", refuse_the_first)
    scene.store.pass_time(minutes=1)
    assert sweep(scene.service) == 1
    assert scene.runner.started == [second.id]
    assert first.id in caplog.text


# -- cancel and retry ------------------------------------------------------------------------------------------


def test_a_cancelled_job_that_nobody_runs_ends_at_once(scene: Scene) -> None:
    records = scene.submit()
    scene.runner.hopes[records.id] = Hope.OVER
    status = submission.cancel(scene.service, records)
    assert status.state is State.CANCELLED
    assert scene.runner.stopped == [records.id] * 2
    assert scene.report(records).stopped == "cancelled"


def test_a_cancelled_job_that_runs_is_cancelling_until_its_run_ends_it(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING)
    with records.lease(1, "run-1") or pytest.fail("no lease"):
        scene.runner.hopes[records.id] = Hope.RUNNING
        assert submission.cancel(scene.service, records).state is State.CANCELLING
        assert records.cancel_requested(1)


def test_cancelling_what_has_ended_changes_nothing(scene: Scene) -> None:
    records = scene.submit()
    ended = scene.move(records, State.SUCCEEDED)
    assert submission.cancel(scene.service, records) == ended
    assert not records.cancel_requested(1)


def test_a_retry_is_a_new_generation_with_the_runner(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.PARTIAL)
    records.drop_pending()
    status = submission.retry(scene.service, records)
    assert (status.state, status.generation) == (State.QUEUED, 2)
    assert scene.runner.started == [records.id] * 2
    assert json.loads(str(scene.service.pages.get(f"{token(records)}/status.json"), "utf-8"))


def test_a_retry_killed_after_its_first_write_starts_nothing_and_leaves_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: JobRecords) -> None:
        raise Killed

    records = scene.submit()
    scene.move(records, State.FAILED)
    records.drop_pending()
    with monkeypatch.context() as patch:
        patch.setattr(JobRecords, "start_retry", die)
        with pytest.raises(Killed):
            submission.retry(scene.service, records)
    scene.store.pass_time(minutes=2)
    scene.runner.hopes.clear()
    sweep(scene.service)
    assert records.status().generation == 1
    assert scene.names("pending/") == []


def test_a_retry_killed_before_its_runner_was_told_is_taken_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = scene.submit()
    scene.move(records, State.FAILED)
    records.drop_pending()
    scene.runner.hopes.clear()
    with monkeypatch.context() as patch:
        patch.setattr(submission, "complete", lambda *_: None)
        submission.retry(scene.service, records)
    scene.store.pass_time(minutes=1)
    assert sweep(scene.service) == 1
    assert scene.runner.started == [records.id] * 2


def test_a_running_job_is_not_retried(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING)
    with pytest.raises(DocumentError, match="only a partial, failed or cancelled job"):
        submission.retry(scene.service, records)
    assert scene.runner.started == [records.id]


def test_the_pages_lie_in_the_store_unless_a_place_is_named(scene: Scene) -> None:
    records = scene.submit()
    assert open_pages(scene.settings, scene.store).get(f"{token(records)}/status.json") is not None
