"""cleanup: deletes what has expired. Artifacts whose `expires` has passed, uploads that dead jobs left, old documents.

plan      looks at every job of the store, and changes nothing
work      cleans up after one job; again is no error
collect   what was deleted, and what was left and why, stands in the report

A job at work is never touched: of jobs that have not ended only the uploads are given up, after days without any
progress, and under their lease. A job is made `expired` by compare-and-set before anything of it is deleted, so
that it cannot be retried meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar

from pydantic import BaseModel

from batchlab.errors import BatchlabError, Damaged, Denied, NotFound, ServiceError
from batchlab.jobs.cleanup import CleanupParams
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab.records import JobRecords
from batchlab.report import Artifact
from batchlab.service.log_files import drop_log
from batchlab.status import State, Status
from batchlab.timer import watch
from batchlab.words import size
from batchlab_processor.job import Context, Entry, JobType, Plan
from batchlab_processor.jobs.cleanup.artifacts import Named, Verdict, delivered, judge
from batchlab_processor.jobs.cleanup.documents import documents_of
from batchlab_processor.jobs.cleanup.finding import Finding, Indexed, indexed, look, remember
from batchlab_processor.jobs.cleanup.uploads import end_uploads

_MOST_LINES = 100  # of what was left, in the report
_MOST_SHOWN = 5  # of them, shown to people

_LEFT: dict[Verdict, str] = {
    "refused": "{url} lies in no listed place. Add it to BATCHLAB_OUTPUT_ROOTS, or delete it yourself.",
    "foreign": "{url} is not what job {job} delivered.",
    "named": "{url} is what another job delivered, too, or may be about to.",
}


class Removed(BaseModel):
    """What was deleted after one job; in a dry run what would have been."""

    artifacts: int = 0
    artifact_bytes: int = 0
    uploads: int = 0
    documents: int = 0
    left: tuple[str, ...] = ()  # what stays, and why


class Cleanup(JobType[Finding, Removed]):
    """See the module's text; an item is a job after which there is something to clean up."""

    name: ClassVar[str] = "cleanup"
    summary: ClassVar[str] = "Deletes what has expired: artifacts, uploads of dead jobs, old documents."
    params: ClassVar[type[BaseModel]] = CleanupParams
    item: ClassVar[type[BaseModel]] = Finding
    result: ClassVar[type[BaseModel]] = Removed

    def __init__(self) -> None:
        self._named = Named()

    def plan(self, ctx: Context) -> Plan[Finding]:
        def find(job: Indexed) -> Finding | None:
            with _in_our_words():
                return look(ctx.store, job, ctx.params)

        jobs = [job for job in indexed(ctx.store) if job.id != ctx.document.id]
        entries: list[Entry[Finding] | Failed] = []
        for job, found in ctx.map(find, jobs):
            if isinstance(found, Failed):
                entries.append(found.model_copy(update={"key": job.id}))
            elif found is not None:
                entries.append(Entry(job.id, found))
        return Plan(entries, {"jobs": len(jobs)})

    def work(self, item: Finding, ctx: Context) -> Removed:
        records = JobRecords(ctx.store, item.job)
        with _in_our_words():
            return self._after_end(item, records, ctx) if item.ended else _give_up(item, records, ctx)

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """The counts stand in the report's facts; nothing is delivered."""
        total = Removed()
        for outcome in outcomes:
            if isinstance(outcome, Done):
                total = _sum(total, outcome.result)
        counts = total.model_dump(exclude={"left"})
        dry = ctx.params.dry_run
        ctx.report_facts["would_delete" if dry else "deleted"] = counts
        ctx.report_facts["left"] = list(total.left[:_MOST_LINES])
        said = (
            f"{'Would delete' if dry else 'Deleted'}: {total.artifacts:,} artifacts ({size(total.artifact_bytes)}), "
            f"{total.uploads:,} unfinished uploads, {total.documents:,} documents; "
            f"looked at {ctx.facts['jobs']:,} jobs."
        )
        ctx.report_facts["summary"] = [said, *total.left[:_MOST_SHOWN]]
        return []

    def _after_end(self, item: Finding, records: JobRecords, ctx: Context) -> Removed:
        dry = ctx.params.dry_run
        removed = Removed()
        status: Status | None = None
        with suppress(NotFound):  # only a place in the index is left of it
            status = records.status()
        if status is not None and item.generation:
            if status.generation != item.generation or not status.ended:
                return removed  # it was retried since it was found
            if "uploads" in item.steps:
                generations = range(1, status.generation + 1)
                count, left = end_uploads(
                    records, generations, ctx, ended=True, confirm=lambda: _look_for_stop(ctx)
                )
                removed = _sum(removed, Removed(uploads=count, left=tuple(left)))
                if not dry and "documents" not in item.steps:
                    remember(records, status, uploads=True)
            if "artifacts" in item.steps:
                gone, all_judged = self._artifacts(records, status, ctx)
                removed = _sum(removed, gone)
                if not all_judged:
                    return removed  # its documents are all that says what it left where
        if "documents" not in item.steps or not (status is None or dry or _expire(records, status)):
            return removed
        count = 0
        for name in documents_of(records, item.index):
            if not dry:
                _look_for_stop(ctx)
                ctx.store.delete(name)
            count += 1
        if not dry:
            drop_log(ctx.store.url, records.id)
        return _sum(removed, Removed(documents=count))

    def _artifacts(self, records: JobRecords, status: Status, ctx: Context) -> tuple[Removed, bool]:
        """What was deleted; and whether nothing is left that this job type may not reach."""
        artifacts = delivered(records, status)
        verdicts = [(each, judge(each, status, self._named, ctx)) for each in artifacts]
        left = tuple(
            _LEFT[verdict].format(url=each.url, job=status.id)
            for each, verdict in verdicts
            if verdict in _LEFT
        )
        doomed = [each for each, verdict in verdicts if verdict == "delete"]
        reached = all(verdict != "refused" for _, verdict in verdicts)
        removed = Removed(
            artifacts=len(doomed), artifact_bytes=sum(each.size_bytes for each in doomed), left=left
        )
        if ctx.params.dry_run:
            return removed, reached
        if not reached:
            return Removed(left=left), False
        if artifacts and not _expire(records, status):
            return Removed(), False
        for each in doomed:
            _look_for_stop(ctx)
            ctx.storage.delete(each.url)
        remember(records, status, artifacts=True)
        if records.document().notify:  # whoever wants to hear of it is told by the service, if there is one
            watch(records.store, records.id, records.store.now())
        return removed, True


def _expire(records: JobRecords, status: Status) -> bool:
    """Whether the job is `expired` now; False when it was retried meanwhile."""
    stands = records.save_status(status.model_copy(update={"state": State.EXPIRED}))
    return stands.state is State.EXPIRED and stands.generation == status.generation


def _give_up(item: Finding, records: JobRecords, ctx: Context) -> Removed:
    """Ends the uploads of a job that has shown no sign of life; should it go on, it begins them again."""
    generations = range(item.generation, item.generation + 1)
    if ctx.params.dry_run:
        count, left = end_uploads(records, generations, ctx, ended=False, confirm=lambda: None)
        return Removed(uploads=count, left=tuple(left))
    lease = records.lease(item.generation, f"cleanup-{ctx.document.id}")
    if lease is None:
        return Removed(left=(f"Job {item.job} is being worked on.",))
    with lease:
        status = records.status()
        if status.generation != item.generation or status.ended:
            return Removed()

        def confirm() -> None:
            _look_for_stop(ctx)
            if lease.lost.is_set():
                raise ItemError(Kind.NETWORK, f"Job {item.job} is being worked on again.")

        count, left = end_uploads(records, generations, ctx, ended=False, confirm=confirm)
    return Removed(uploads=count, left=tuple(left))


def _look_for_stop(ctx: Context) -> None:
    if ctx.stop.is_set():
        raise ItemError(Kind.NETWORK, "The run stopped before all was deleted.")


def _sum(one: Removed, other: Removed) -> Removed:
    counts = {name: getattr(one, name) + getattr(other, name) for name in Removed.model_fields}
    return Removed(**counts)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Errors of the store are the item's, so that one damaged document does not keep all others."""
    try:
        yield
    except BatchlabError as error:
        raise ItemError(_kind(error), error.message) from error


def _kind(error: BatchlabError) -> Kind:
    if isinstance(error, Damaged):
        return Kind.CORRUPT
    if isinstance(error, Denied):
        return Kind.AUTH
    return Kind.API_ERROR if isinstance(error, ServiceError) else Kind.VALIDATION
