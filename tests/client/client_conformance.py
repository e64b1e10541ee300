"""What holds for every client, whoever runs its jobs: file:///dir, an endpoint and AWS Batch are held to the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from batchlab.api import JobInfo
from batchlab.backend import JobQuery
from batchlab.client import Client
from batchlab.errors import DocumentError, KeyTaken, NotFound, WaitTimeout
from batchlab.ids import new_id
from batchlab.job import Job
from batchlab.status import State
from tests.sources import Source, photo

SECONDS = 120.0  # for a job of a moment, on a machine that does a lot else


def nothing(job: Job) -> None:
    """Somebody else runs the job."""


@dataclass
class Place:
    """A client, photos that its jobs may read, and where they may deliver."""

    client: Client
    source: Source
    output: str
    work: Callable[[Job], None] = nothing  # runs the job, where nobody else does
    opens: Callable[[str], bytes] | None = None  # what is behind a customer's link, where somebody serves it
    writes_logs: bool = True
    environment: dict[str, str] = field(default_factory=dict)  # of the client's process
    late: threading.Event = field(default_factory=threading.Event)  # from then on /late/ has its photos

    def __post_init__(self) -> None:
        def late(to: Any) -> None:
            to.good(photo(to.name)) if self.late.is_set() else to.answer(404, b"", "text/plain")

        self.source.add("late", late)

    def album(self, *paths: str, **fields: Any) -> dict[str, Any]:
        items = [{"url": self.source.url(path), "id": path.rpartition("/")[2]} for path in paths]
        return {"type": "zip-export", "output": self.output, "params": {"items": items}, **fields}

    def ended(self, document: dict[str, Any]) -> Job:
        """The job that the document asks for, at its end."""
        job = self.client.jobs.submit(document)
        self.work(job)
        job.wait(SECONDS)
        return job


class ClientConformance:
    """Subclasses give the fixture `place`, once for all tests."""

    @pytest.fixture(autouse=True)
    def environment(
        self, place: Place, no_account_of_the_developer: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in place.environment.items():
            monkeypatch.setenv(name, value)

    @pytest.fixture(scope="class")
    @classmethod
    def partial(cls, place: Place) -> Job:
        document = place.album(
            "/photo/1.jpg", "/late/2.jpg", title="Ana ♥ Ben", tags={"event": "7"}, expires="7d"
        )
        return place.ended(document)

    def test_many_submits_of_one_key_are_one_job_and_another_document_is_refused(self, place: Place) -> None:
        with ThreadPoolExecutor(8) as pool:
            jobs = list(
                pool.map(
                    lambda _: place.client.jobs.submit(
                        place.album("/photo/1.jpg"), idempotency_key="größe 7"
                    ),
                    range(8),
                )
            )
        assert len({job.id for job in jobs}) == 1
        with pytest.raises(KeyTaken, match=jobs[0].id):
            place.client.jobs.submit(place.album("/photo/2.jpg"), idempotency_key="größe 7")
        jobs[0].cancel()

    def test_the_same_document_again_is_the_same_job(self, place: Place, partial: Job) -> None:
        document = place.album("/photo/1.jpg", id=new_id())
        first, second = place.client.jobs.submit(document), place.client.jobs.submit(document)
        assert first.id == second.id == document["id"]
        first.cancel()

    def test_a_job_is_followed_to_its_end_and_accounts_for_every_photo(
        self, place: Place, partial: Job
    ) -> None:
        seen: list[JobInfo] = []
        info = place.client.jobs.get(partial.id).wait(SECONDS, on_progress=seen.append)
        assert seen[-1] == info
        assert (info.state, info.generation, info.title) == (State.PARTIAL, 1, "Ana ♥ Ben")
        assert (info.counts.total, info.counts.done, info.counts.failed) == (2, 1, 1)
        assert partial.exit_code == 3
        assert info.report is not None
        assert [failure.key for failure in info.report.failures] == ["2.jpg"]
        assert info.report.items == ()
        assert [artifact.name for artifact in info.artifacts] == ["album.zip"]
        assert info.artifacts[0].url.startswith(place.output)
        assert info.expires_at is not None

    def test_items_are_told_apart_by_what_became_of_them(self, partial: Job) -> None:
        assert {item.key: item.outcome for item in partial.items()} == {"1.jpg": "done", "2.jpg": "failed"}
        (failed,) = partial.items(status="failed")
        assert (failed.key, failed.kind) == ("2.jpg", "missing")
        with pytest.raises(DocumentError, match="outcome"):
            list(partial.items(status="lost"))

    def test_jobs_are_listed_newest_first_page_after_page(self, place: Place, partial: Job) -> None:
        more = [place.client.jobs.submit(place.album("/photo/1.jpg"), tags={"round": "2"}) for _ in range(3)]
        for job in more:
            job.cancel()
        pages, cursor = [], None
        while True:
            page = place.client.backend.list(JobQuery(limit=2, cursor=cursor))
            pages.append([job.id for job in page.jobs])
            cursor = page.next
            if cursor is None:
                break
        listed = [job for page in pages for job in page]
        assert all(len(page) == 2 for page in pages[:-1])
        assert sorted(listed[:3]) == [job.id for job in more]  # a bucket's clock counts whole seconds
        assert len(listed) == len(set(listed))
        assert partial.id in listed
        jobs = place.client.jobs
        assert [job.id for job in jobs.list(tag=("round", "2"), limit=2)] == listed[:2]
        assert {job.id for job in jobs.list(tag=("round", "2"))} == set(listed[:3])
        assert [job.id for job in jobs.list(status="partial", since=timedelta(hours=1))] == [partial.id]
        assert list(jobs.list(type="self-test")) == []
        assert [job.id for job in jobs.list()] == listed

    def test_a_cancelled_job_ends_and_delivers_nothing(self, place: Place) -> None:
        paths = [f"/photo/{number}.jpg" for number in range(100)]
        slow = {"workers": 1, "min_interval": "2s"}
        job = place.client.jobs.submit(place.album(*paths, limits=slow))
        assert job.cancel().state in (State.CANCELLING, State.CANCELLED)
        info = job.wait(SECONDS)
        assert (info.state, info.artifacts) == (State.CANCELLED, ())
        assert job.cancel().state is State.CANCELLED
        with pytest.raises(DocumentError, match="nothing"):
            job.link()

    def test_a_wait_that_is_too_short_leaves_the_job_alone(self, place: Place) -> None:
        paths = [f"/photo/{number}.jpg" for number in range(100)]
        job = place.client.jobs.submit(place.album(*paths, limits={"workers": 1, "min_interval": "2s"}))
        with pytest.raises(WaitTimeout, match="It goes on"):
            job.wait(timedelta(milliseconds=1))
        assert not job.refresh().ended
        with pytest.raises(DocumentError, match="once it has ended"):
            job.link()
        with pytest.raises(DocumentError, match="retried"):
            job.retry()
        job.cancel()
        job.wait(SECONDS)

    def test_a_link_leads_to_the_page_and_to_what_was_delivered(self, place: Place, partial: Job) -> None:
        link = partial.link()
        assert "/s/" in link.page
        assert link.page == partial.refresh().page
        assert link.downloads == (partial.info.artifacts[0].link,)
        assert link.expires_at == partial.info.expires_at
        if place.opens is not None:
            assert "Ana ♥ Ben".encode() in place.opens(link.page)
            assert place.opens(link.downloads[0]).startswith(b"PK")

    def test_logs_are_read_to_their_end(self, place: Place, partial: Job) -> None:
        lines = list(partial.logs(follow=True))
        assert bool(lines) == place.writes_logs
        assert list(partial.logs()) == lines

    def test_a_retry_takes_what_failed(self, place: Place) -> None:
        job = place.ended(place.album("/photo/1.jpg", "/late/3.jpg"))
        assert job.state is State.PARTIAL
        place.late.set()
        assert job.retry().generation == 2
        place.work(job)
        info = job.wait(SECONDS)
        assert (info.state, info.generation, info.counts.done) == (State.SUCCEEDED, 2, 2)
        with pytest.raises(DocumentError, match="succeeded"):
            job.retry()
        place.late.clear()

    def test_a_job_that_is_not_there_is_not_found_whatever_is_asked(self, place: Place) -> None:
        backend = place.client.backend
        for ask in (backend.get, backend.items, backend.logs, backend.cancel, backend.retry, backend.link):
            for job_id in ("01jz8f3s2m9k4n5p6q7r8s9t0v", "../x", ""):
                with pytest.raises(NotFound):
                    ask(job_id)  # type: ignore[operator]

    def test_everything_wrong_with_a_document_is_said_at_once(self, place: Place) -> None:
        wrong = place.album("/photo/1.jpg", titel="x", shards=0)
        wrong["params"]["items"].append("htps://example.com/2.jpg")
        with pytest.raises(DocumentError) as raised:
            place.client.jobs.submit(wrong)
        said = "\n".join(raised.value.problems)
        assert "titel: unknown field. Did you mean title?" in said
        assert "shards: 0 is too small" in said
        assert "params.items[1]" in said
        with pytest.raises(DocumentError):
            place.client.jobs.submit({"type": "zip-exprot"})

    def test_an_estimate_counts_without_submitting(self, place: Place) -> None:
        before = [job.id for job in place.client.jobs.list()]
        found = place.client.jobs.estimate(place.album("/photo/1.jpg", "/photo/2.jpg"))
        assert (found.items, found.size_bytes, found.sampled) == (2, 8000, 2)
        assert [job.id for job in place.client.jobs.list()] == before

    def test_nobody_is_told_twice_where_nobody_was_to_be_told(self, partial: Job) -> None:
        assert partial.replay() == 0


def opened(url: str) -> bytes:
    answer = httpx.get(url, follow_redirects=True, trust_env=False, timeout=30)
    answer.raise_for_status()
    return answer.content
