"""Jobs in every state a customer can meet, made of the documents that a real job leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from batchlab.document import load_document
from batchlab.kinds import Kind
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Artifact, Failure, Report
from batchlab.status import Counts, State
from batchlab.store import Store

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egnp.exe safe\u2066 name.jpg",
    "x" * 200,
    "👩‍👩‍👧‍👦 Familie 🏴󠁧󠁢󠁥󠁮󠁧󠁿 früh.jpg",
    "&lt;b&gt; &amp; {title} \ufffc %s.jpg",
    "صورة العائلة.jpg",
)


def new_job(store: Store, **more: Any) -> JobRecords:
    """A queued export of 5,000 photos that are kept for a week."""
    document = {
        "type": "zip-export",
        "title": "Anna & Ben, 14 June",
        "params": {"items": ["https://photos.example/1.jpg"]},
        "output": "r2://delivery/zips",
        "expires": "7d",
        **more,
    }
    return submit_locally(store, load_document({k: v for k, v in document.items() if v is not None}))


def move(records: JobRecords, state: State, **more: Any) -> None:
    """The job's status, written as a run does."""
    records.save_status(records.status().model_copy(update={"state": state, **more}))


def run(records: JobRecords, *, state: State = State.RUNNING, share: float = 0.4, **more: Any) -> None:
    """A quarter of an hour into its work, with `share` of it done."""
    now = records.store.now()
    counts = Counts(
        total=5000,
        done=int(4990 * share),
        failed=3 if share else 0,
        total_bytes=20_000_000_000,
        done_bytes=int(20_000_000_000 * share),
    )
    move(
        records,
        state,
        **{"started_at": now - timedelta(minutes=15), "last_progress_at": now, "counts": counts, **more},
    )


def end(
    records: JobRecords,
    state: State = State.SUCCEEDED,
    *,
    missing: int = 0,
    names: tuple[str, ...] = (),
    parts: int = 1,
    not_started: int = 0,
    ago: timedelta = timedelta(hours=2),
    folder: str = "r2://delivery/zips",
) -> None:
    """The job's generation ends, with so many artifacts and so many photos missing."""
    now, generation, document = records.store.now(), records.status().generation, records.document()
    kinds = [Kind.MISSING, Kind.CORRUPT, Kind.TIMEOUT, Kind.TOO_LARGE]
    called = [*names, *(f"IMG_{number:04}.jpg" for number in range(missing - len(names)))]
    counts = Counts(total=5000, done=5000 - missing - not_started, failed=missing, skipped=not_started)
    delivered = parts if state in (State.SUCCEEDED, State.PARTIAL) else 0
    artifacts = tuple(
        Artifact(
            name="album.zip" if delivered == 1 else f"album-{number}.zip",
            url=f"{folder}/{records.id}/g{generation}/album-{number}.zip",
            size_bytes=1_204_311_987,
            content_type="application/zip",
            members=counts.done // delivered,
        )
        for number in range(1, delivered + 1)
    )
    report = Report(
        id=records.id,
        type=document.type,
        title=document.title,
        state=state,
        generation=generation,
        started_at=now - ago - timedelta(minutes=20),
        ended_at=now - ago,
        seconds=1200,
        counts=counts,
        failures=tuple(
            Failure(
                key=f"{number:04}",
                kind=kinds[number % 4],
                message="https://photos.example/secret.jpg answered 404",
            )
            for number in range(missing)
        ),
        skipped_by_reason={"not_started": not_started} if not_started else {},
        artifacts=artifacts,
        facts={"missing": {f"{number:04}": name for number, name in enumerate(called)}},
    )
    records.create_report(generation, report)
    move(records, state, counts=counts, ended_at=now - ago)


def _retried(store: Store, then: Callable[[JobRecords], None]) -> JobRecords:
    records = new_job(store)
    end(records, State.PARTIAL, missing=20)
    records.start_retry()
    then(records)
    return records


def _cleaned(records: JobRecords) -> None:
    end(records, ago=timedelta(days=8))
    move(records, State.EXPIRED)


def _with(store: Store, act: Callable[[JobRecords], None], **more: Any) -> JobRecords:
    records = new_job(store, **more)
    act(records)
    return records


STATES: dict[str, Callable[[Store], JobRecords]] = {
    "queued": new_job,
    "starting": lambda store: _with(store, lambda job: move(job, State.STARTING)),
    "counting": lambda store: _with(store, lambda job: run(job, counts=Counts())),
    "running": lambda store: _with(store, run),
    "running-without-eta": lambda store: _with(store, lambda job: run(job, share=0.0)),
    "stalled": lambda store: _with(
        store, lambda job: run(job, last_progress_at=job.store.now() - timedelta(minutes=9))
    ),
    "waiting-for-a-quota": lambda store: _with(
        store, lambda job: run(job, resume_at=job.store.now() + timedelta(hours=3))
    ),
    "cancelling": lambda store: _with(store, lambda job: run(job, state=State.CANCELLING)),
    "succeeded": lambda store: _with(store, end),
    "succeeded-for-ever": lambda store: _with(store, end, expires=None),
    "partial": lambda store: _with(store, lambda job: end(job, State.PARTIAL, missing=5)),
    "partial-many": lambda store: _with(
        store, lambda job: end(job, State.PARTIAL, missing=260, not_started=40)
    ),
    "several-volumes": lambda store: _with(store, lambda job: end(job, parts=4)),
    "failed": lambda store: _with(store, lambda job: end(job, State.FAILED, missing=3)),
    "cancelled": lambda store: _with(store, lambda job: end(job, State.CANCELLED)),
    "expired": lambda store: _with(store, lambda job: end(job, ago=timedelta(days=8))),
    "expired-by-cleanup": lambda store: _with(store, _cleaned),
    "retry-running-with-an-older-download": lambda store: _retried(store, run),
    "retry-failed-with-an-older-download": lambda store: _retried(
        store, lambda job: end(job, State.FAILED, missing=3, ago=timedelta(0))
    ),
    "delivers-no-file": lambda store: _with(store, lambda job: end(job, parts=0)),
    "german": lambda store: _with(
        store, lambda job: end(job, State.PARTIAL, missing=5), language="de", title="Anna und Ben, 14. Juni"
    ),
    "german-running": lambda store: _with(store, run, language="de", title=None),
    "hostile": lambda store: _with(
        store,
        lambda job: end(job, State.PARTIAL, missing=len(HOSTILE), names=HOSTILE),
        title='</title></h1><script>alert("1")</script>' + "W" * 150,
    ),
}
