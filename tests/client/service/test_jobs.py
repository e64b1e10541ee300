"""batchlab.service.jobs: what the jobs of a store answer, without any door."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from batchlab.api import LISTED_FAILURES
from batchlab.backend import Hope, JobQuery
from batchlab.document import load_document
from batchlab.errors import DocumentError, NotFound
from batchlab.job_index import index_name
from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab.records import JobRecords, queued
from batchlab.report import Artifact, Figures, build_report
from batchlab.service import listing
from batchlab.service.core import Service
from batchlab.service.follow import look
from batchlab.service.jobs import Jobs
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.store import Store
from batchlab.stores import open_store
from tests.client.service.scenes import Scene, Scripted
from tests.servers import S3Server

MANY = int(os.environ.get("BATCHLAB_TEST_JOBS", "10000"))
LISTED_SECONDS = 2.0
ALBUM = {
    "type": "zip-export",
    "output": "s3://exports/x",
    "params": {"items": ["https://photos.example.com/1.jpg"]},
}


@pytest.fixture
def scene() -> Scene:
    return Scene(job_types=("self-test",), public_base_url="https://jobs.example.com")


@pytest.fixture
def jobs(scene: Scene) -> Jobs:
    return Jobs(scene.service)


def end(scene: Scene, records: JobRecords, outcomes: list[Outcome], *artifacts: Artifact) -> None:
    """As a run would: report, then status."""
    now = scene.store.now()
    report = build_report(
        records.document(), outcomes, artifacts, Figures(started_at=now, ended_at=now + timedelta(seconds=60))
    )
    records.create_report(1, report)
    scene.move(
        records,
        report.state,
        ended_at=report.ended_at,
        expires_at=now + timedelta(days=7),
        counts=report.counts,
    )


def archive(name: str = "album.zip") -> Artifact:
    return Artifact(name=name, url=f"s3://exports/x/{name}?secret=1", size_bytes=5, members=2)


def test_a_job_tells_what_it_delivered_with_a_link_for_each_file(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit(title="Ana & Ben")
    end(scene, records, [Done(key="1"), Done(key="2")], archive("a-1.zip"), archive("a-2.zip"))
    info = jobs.get(records.id)
    assert (info.state, info.title, info.counts.done) == (State.SUCCEEDED, "Ana & Ben", 2)
    assert [each.url for each in info.artifacts] == ["s3://exports/x/a-1.zip", "s3://exports/x/a-2.zip"]
    assert info.page is not None
    download = info.page.replace("/s/", "/d/")
    assert [each.link for each in info.artifacts] == [f"{download}/1", f"{download}/2"]
    assert jobs.link(records.id).downloads == (f"{download}/1", f"{download}/2")


def test_the_one_file_of_a_job_has_the_short_link(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit()
    end(scene, records, [Done(key="1")], archive())
    link = jobs.link(records.id)
    assert link.downloads == (link.page.replace("/s/", "/d/"),)
    assert link.expires_at == scene.store.now() + timedelta(days=7)


def test_a_polled_answer_stays_small_whatever_the_job(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit()
    end(scene, records, [Failed(key=f"{n}", kind=Kind.MISSING, message="gone") for n in range(5_000)])
    report = jobs.get(records.id).report
    assert report is not None
    assert (len(report.items), report.items_omitted, len(report.failures)) == (0, 5_000, LISTED_FAILURES)
    assert len(jobs.get(records.id).model_dump_json()) < 60_000


def test_items_come_in_pages_and_by_outcome(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit()
    outcomes: list[Outcome] = [
        Failed(key=f"{n:03d}", kind=Kind.MISSING, message="gone") if n % 10 == 0 else Done(key=f"{n:03d}")
        for n in range(100)
    ]
    end(scene, records, outcomes)
    for outcome, expected in ((None, 100), ("failed", 10), ("done", 90), ("skipped", 0)):
        keys: list[str] = []
        cursor = None
        while True:
            page = jobs.items(records.id, outcome=outcome, limit=7, cursor=cursor)
            keys += [item.key for item in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert len(keys) == expected and keys == sorted(set(keys))


@pytest.mark.parametrize(("cancelled", "rest"), [(True, "skipped"), (False, "failed")])
def test_a_large_job_that_was_cut_short_lists_each_item_as_its_report_counts_it(
    scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, cancelled: bool, rest: str
) -> None:
    monkeypatch.setattr("batchlab.report.ITEMS_INLINE", 3)
    records = scene.submit()
    scene.plan(records, *"abcdefghij")
    scene.settle(records, Done(key="a"), Failed(key="b", kind=Kind.MISSING, message="gone"), Done(key="c"))
    scene.move(records, State.RUNNING)
    if cancelled:
        scene.runner.hopes.clear()
        jobs.cancel(records.id)
    else:
        scene.runner.hopes[records.id] = Hope.OVER
        look(scene.service, records.id)
    expected = [("a", "done"), ("b", "failed"), ("c", "done"), *((key, rest) for key in "defghij")]
    assert [(item.key, item.outcome) for item in jobs.items(records.id).items] == expected
    for outcome in ("done", "failed", "skipped"):
        found = jobs.items(records.id, outcome=outcome).items
        assert [item.key for item in found] == [key for key, its in expected if its == outcome]


def test_items_of_a_running_job_are_those_that_have_ended(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit()
    scene.plan(records, "a", "b", "c")
    scene.settle(records, Done(key="b", size_bytes=7))
    scene.move(records, State.RUNNING)
    assert [(item.key, item.size_bytes) for item in jobs.items(records.id).items] == [("b", 7)]


def test_a_cursor_of_the_generation_before_asks_to_begin_again(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit()
    end(
        scene,
        records,
        [Failed(key="a", kind=Kind.MISSING, message="gone"), Failed(key="b", kind=Kind.MISSING, message="")],
    )
    cursor = jobs.items(records.id, limit=1).next
    jobs.retry(records.id)
    with pytest.raises(DocumentError, match="Begin again"):
        jobs.items(records.id, cursor=cursor)


def test_there_is_a_link_only_to_what_was_delivered_and_is_still_there(scene: Scene, jobs: Jobs) -> None:
    waiting, empty, delivered = scene.submit(), scene.submit(), scene.submit()
    end(scene, empty, [Failed(key="a", kind=Kind.MISSING, message="gone")])
    end(scene, delivered, [Done(key="a")], archive())
    for job, said in ((waiting, "once it has ended"), (empty, "nothing was delivered")):
        with pytest.raises(DocumentError, match=said):
            jobs.link(job.id)
    assert jobs.link(delivered.id)
    scene.store.pass_time(days=8)
    assert jobs.get(delivered.id).artifacts[0].link is None
    with pytest.raises(DocumentError, match="expired"):
        jobs.link(delivered.id)


def test_without_a_public_address_the_setting_is_named() -> None:
    scene = Scene(job_types=("self-test",))
    records = scene.submit()
    end(scene, records, [Done(key="a")], archive())
    info = Jobs(scene.service).get(records.id)
    assert (info.page, info.artifacts[0].link) == (None, None)
    with pytest.raises(DocumentError, match="BATCHLAB_PUBLIC_BASE_URL"):
        Jobs(scene.service).link(records.id)


def test_a_type_or_place_that_is_not_listed_is_refused_before_anything_is_written(
    scene: Scene, jobs: Jobs
) -> None:
    with pytest.raises(DocumentError, match="BATCHLAB_JOB_TYPES") as refused:
        jobs.submit(load_document(ALBUM))
    assert len(refused.value.problems) == 3, "type, output and source"
    assert list(scene.store.names("")) == []


def test_cancel_and_retry_answer_with_the_job(scene: Scene, jobs: Jobs) -> None:
    records = scene.submit()
    scene.plan(records, "a")
    assert jobs.cancel(records.id).state == State.CANCELLING
    end(scene, records, [Failed(key="a", kind=Kind.MISSING, message="gone")])
    assert jobs.cancel(records.id).state == State.FAILED, "it had ended"
    assert (again := jobs.retry(records.id)).generation == 2 and again.state == State.QUEUED
    with pytest.raises(DocumentError, match="only a partial, failed or cancelled"):
        jobs.retry(records.id)


@pytest.mark.parametrize(
    "job", ["", "x", "../../etc", "01kaz3m5d8r2w9y4b7e1h6n0qs", "01KAZ3M5D8R2W9Y4B7E1H6N0QS"]
)
def test_a_job_that_is_none_is_not_found_whatever_is_asked(jobs: Jobs, job: str) -> None:
    for ask in (jobs.get, jobs.items, jobs.logs, jobs.cancel, jobs.retry, jobs.link, jobs.replay):
        with pytest.raises(NotFound):
            ask(job)  # type: ignore[operator]


def test_a_search_for_one_job_of_a_state_reads_many_at_once(
    scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(60):
        scene.submit()
    asked: list[int] = []

    def counted(listed: Any, number: int) -> Any:
        asked.append(number)
        return islice(listed, number)

    monkeypatch.setattr(listing, "islice", counted)
    assert jobs.list(JobQuery(state=State.FAILED, limit=1)).jobs == ()
    assert len(asked) == 2, "one by one they take longer than a function lives"


def test_a_search_for_a_state_reads_so_far_and_then_says_where_to_go_on(
    scene: Scene, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [scene.submit() for _ in range(30)]
    scene.move(made[0], State.FAILED)
    monkeypatch.setattr(listing, "MOST_READ", 10)
    found, cursor, pages = [], None, 0
    while True:
        page = jobs.list(JobQuery(state=State.FAILED, limit=5, cursor=cursor))
        found += [job.id for job in page.jobs]
        pages, cursor = pages + 1, page.next
        if cursor is None:
            break
    assert found == [made[0].id]
    assert pages == 3


def test_a_damaged_or_deleted_job_hides_no_other(scene: Scene, jobs: Jobs) -> None:
    deleted, damaged, good = scene.submit(), scene.submit(), scene.submit()
    for name in list(scene.store.names(f"{deleted.folder}/")):
        scene.store.delete(name)
    scene.store.put(f"{damaged.folder}/status.json", {"state": "dancing"})
    assert [job.id for job in jobs.list(JobQuery()).jobs] == [good.id]


def fill(store: Store, count: int, read: int) -> None:
    """So many jobs in the index, the newest `read` of them with the documents that a list reads."""

    def write(number: int) -> None:
        document = load_document({"type": "self-test", "tags": {"event": str(number % 100)}})
        made = store.now()
        if number >= count - read:
            records = JobRecords(store, document.id)
            records.create_document(document)
            records.create_status(queued(document, made).model_copy(update={"state": State.SUCCEEDED}))
        store.create(index_name(document, made), {})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(count)))


@pytest.mark.slow
def test_the_first_page_of_ten_thousand_jobs_is_quick(
    moto_s3: S3Server, moto_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_s3.environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment({**os.environ, "BATCHLAB_STORE": f"s3://{moto_bucket}/jobs"})
    store = open_store(settings.store, settings=settings)
    fill(store, MANY, read=500)
    jobs = Jobs(Service.of_settings(settings, Scripted(), store))
    jobs.list(JobQuery(limit=1))  # connects
    for limit in (50, 500):
        begun, used = time.monotonic(), time.process_time()
        page = jobs.list(JobQuery(limit=limit))
        seconds, cpu_seconds = time.monotonic() - begun, time.process_time() - used
        print(f"{MANY:,} jobs, the first {limit}: {seconds:.2f} s, of CPU with moto's {cpu_seconds:.2f} s")
        assert len(page.jobs) == limit and page.next
        # CPU, because the machine may be busy with something else; moto is in this process, and there is no network
        assert limit > 50 or cpu_seconds < LISTED_SECONDS
