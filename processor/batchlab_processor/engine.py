"""One run of one job: plan (saved) -> skip what is settled -> work -> collect -> report.

The engine is the only caller of a job type's verbs. It promises that every key of the plan ends with exactly
one outcome, that Done is recorded only when the effect survives a kill, and that it leaves no thread behind.

A run may be one phase of this: `plan`; `work` on one shard, which delivers nothing and ends no job; `collect`,
which works on whatever no shard has settled, and goes on as any run does.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from batchlab.errors import BatchlabError, DocumentError
from batchlab.kinds import ItemError
from batchlab.lease import Lease
from batchlab.outcome import Failed
from batchlab.records import JobRecords
from batchlab.report import Artifact, Report, Stopped, build_report
from batchlab.status import exit_code
from batchlab.words import counted
from batchlab_processor import accounting, saved_plan
from batchlab_processor.context import RunContext, Services
from batchlab_processor.door import Door, End
from batchlab_processor.errors import classify
from batchlab_processor.interrupt import EXIT_INTERRUPTED, on_signal
from batchlab_processor.item_watch import ItemWatch
from batchlab_processor.job import STARTS_OVER, Entry, JobFailed, JobType, Plan, StartOver
from batchlab_processor.keeper import Keeper
from batchlab_processor.progress import Progress
from batchlab_processor.recovery import PLAIN_CRASHES, earlier, look_back
from batchlab_processor.run_ledger import RunLedger
from batchlab_processor.schedule import Rules, RunStopped, StopReason
from batchlab_processor.schedules import Schedules
from batchlab_processor.slices import slice_of
from batchlab_processor.status_writer import StatusWriter

TAKEN_OVER = "Another run has taken over this job."

__all__ = ["Door", "End", "preview", "run"]

logger = logging.getLogger("batchlab")


def run(records: JobRecords, job: JobType[Any, Any], door: Door) -> End:
    """Runs the job to its end, or goes on where an earlier run stopped, or does one phase of it; see End.

    Raises DocumentError when the job cannot be run so, and ServiceError or Denied when the store cannot be used;
    the job can then be started again.
    """
    status = records.status()
    if status.ended:
        code = exit_code(status.state) if door.phase in ("all", "collect") else 0
        return End(status.state, code, records.report(status.generation), "It had ended.")
    if door.phase == "work":
        _check_shard(records, door, status.generation)
        if job.durable(records.document().params_as(job.params)) == "job":
            return End(status.state, 0, message="This job delivers in one piece: all its work is collect's.")
    lease = records.lease(status.generation, door.run, shard=door.number, waiting=door.waiting)
    if lease is None:
        return End(status.state, 0, message="Another run works on this job; this one stood aside.")
    with lease:
        if records.status().generation == status.generation:
            this = _Run(records, job, door, lease)
            with on_signal(this.on_signal):
                return this.go()
    return run(records, job, door)  # the job was retried while we waited; the lease is another's


def _check_shard(records: JobRecords, door: Door, generation: int) -> None:
    document = records.document()
    if door.shard.count > document.shards:
        raise DocumentError(f"--shard: {door.shard} of a job whose document says shards: {document.shards}.")
    if not records.planned(generation):
        raise DocumentError(f"--phase work: job {records.id} has no plan yet. Run --phase plan first.")


def preview(records: JobRecords, job: JobType[Any, Any], door: Door) -> Sequence[str]:
    """What a dry run says: the plan is made and not kept. Raises BatchlabError when it cannot be made.

    `records` is in a store of its own, which the caller throws away.
    """
    lease = records.lease(records.status().generation, door.run)
    assert lease is not None
    with lease:
        this = _Run(records, job, door, lease)
        try:
            return job.preview(this.make_plan())
        except JobFailed as error:
            raise BatchlabError(str(error)) from None
        finally:
            this.context.clean_up()


_STOPPED: dict[StopReason, Stopped] = {
    StopReason.CANCEL: "cancelled",
    StopReason.FAILURES: "max_failures",
    StopReason.AUTH: "max_failures",
    StopReason.DEADLINE: "deadline",
}
_NO_ERRORS = (StopReason.CANCEL, StopReason.DEADLINE)


class _Run:
    def __init__(self, records: JobRecords, job: JobType[Any, Any], door: Door, lease: Lease) -> None:
        self.records, self.job, self.door, self.lease = records, job, door, lease
        self.document = records.document()
        self.standing = StatusWriter(records, lease, door.clock, door.phase, door.number)
        self.generation = self.standing.status.generation
        self.limits = self.document.limits
        self.params: Any = self.document.params_as(job.params)
        self.durable = job.durable(self.params)
        self.schedules = Schedules(self.limits, door.clock, share=door.shard.count)
        self.progress = Progress(door.clock)
        self.plan: Plan[Any] = Plan([])
        self._too_late = False
        self._collected = False
        self.ledger = RunLedger(
            records.store,
            records.id,
            self.generation,
            door.run,
            job,
            durable=self.durable,
            workers=self.limits.workers,
        )
        self.services = Services(
            document=self.document,
            generation=self.generation,
            params=self.params,
            storage=door.storage,
            store=records.store,
            authority=door.authority,
            clock=door.clock,
            progress=self.progress,
            ledger=self.ledger,
            passwords=door.passwords,
            entries=door.entries,
            confirm=self._confirm,
            earlier=lambda: earlier(records, self.generation),
            map=self.schedules.map,
            phase=door.phase,
            stop=self.schedules.stop,
        )
        self.context = RunContext(self.services)
        self.watch = ItemWatch(
            job, self.context, self.ledger, self.progress, door.display, lambda: self.schedules.stopped
        )

    # -- the straight line ---------------------------------------------------------------------------------

    def go(self) -> End:
        report = self.records.report(self.generation)
        if report is not None:  # killed between report and status
            return self._end_with(report)
        self._look_back()
        self.standing.begin()
        artifacts: Sequence[Artifact] = ()
        stop: RunStopped | None = None
        try:
            self.door.display.start(self.document, self.progress)
            self.door.follow(self.progress)
            with Keeper(self._show, self._keep, self.door.keep_seconds):
                self._look_for_stop()
                self._load_or_make_plan()
                if self.door.phase != "plan":
                    artifacts = self._work_and_collect()
        except RunStopped as wish:
            if wish.reason is StopReason.BROKEN and wish.error is not None:
                raise wish.error from None
            if wish.resumable:
                return self._leave(wish)
            stop = wish
        except BatchlabError as broken:
            if not isinstance(broken, saved_plan.BadPlan):
                raise  # the store is gone: nothing can be said about the job now
            stop = RunStopped(StopReason.FATAL, broken.message)
        except Exception as cause:
            message = str(cause) if isinstance(cause, JobFailed) else classify(cause).message
            stop = RunStopped(StopReason.FATAL, message)
            if isinstance(cause, ItemError | JobFailed):
                logger.warning("The job stops: %s", message)
            else:
                logger.exception("The job stops: %s", message)
        finally:
            self.context.clean_up()
            self.door.display.stop()
            with contextlib.suppress(BatchlabError):  # the store may be what is gone
                self.ledger.flush()
        if self.door.phase == "work" or (self.door.phase == "plan" and stop is None):
            return self._end_phase(stop)
        return self._finish(artifacts, stop)

    def _look_back(self) -> None:
        runs = self.records.runs(self.generation)
        self.history = look_back(runs, self.door.crashed, self.ledger.ended(), self.door.number)
        self._announce([])
        for failed in self.history.convicted.values():
            self.ledger.convict(failed)

    def _load_or_make_plan(self) -> None:
        if self.history.plain_crashes >= PLAIN_CRASHES:
            raise JobFailed(
                f"Planning or collecting killed its process {PLAIN_CRASHES} times ({self.history.signal})."
            )
        saved = self.records.plan(self.generation)
        if saved is not None:
            self.plan = saved_plan.from_json(saved, self.job)
        else:
            self.plan = self.make_plan()
            saved_plan.check(self.plan)
            document = saved_plan.to_document(self.plan, self.job, self.params)
            self.records.save_plan(self.generation, document)
        entries = self.plan.entries
        staged = any(isinstance(entry, Entry) and entry.stage for entry in entries)
        if self.document.shards > 1 and (staged or self.durable == "job"):
            raise JobFailed(f"shards: this {self.document.type} job runs on one machine. Leave shards out.")
        self.context.facts, self.context.planned = self.plan.facts, entries
        self.context.slice = slice_of(entries, self.door.shard)
        if self.door.phase == "plan":
            self.progress.plan(entries, {})

    def make_plan(self) -> Plan[Any]:
        """A passing fault while planning (a manifest's server that is away) is tried again like an item's."""
        plan = self.schedules.attempt(lambda: self.job.plan(self.context))
        if isinstance(plan, Failed):
            raise JobFailed(plan.message)
        return plan

    def _work_and_collect(self) -> Sequence[Artifact]:
        for _ in range(STARTS_OVER):
            try:
                return self._round()
            except StartOver as wish:
                self.schedules.start_over()
                logger.warning("Starting over: %s", wish)
        try:
            return self._round()
        except StartOver as wish:
            raise JobFailed(f"{wish} (after starting over {STARTS_OVER} times)") from None

    def _round(self) -> Sequence[Artifact]:
        """From what is settled by now to what was delivered. Raises StartOver when the job type wishes so."""
        works = self.door.phase == "work"
        mine = self.context.slice
        entries = self.plan.entries[mine.start : mine.stop]
        settled = accounting.settled(entries, self.ledger, self.job, self.context)
        self.progress.plan(entries, settled)
        rules = Rules(
            workers=self.limits.workers,
            ahead_bytes=self.limits.ahead_bytes,
            ordered=self.job.ordered and not works,
            deadline=self.standing.deadline(self.limits.deadline),
            max_failures=self.limits.failures_allowed(len(self.plan.entries)),
        )
        schedule = self.schedules.new_main(
            entries, rules, settled=settled, suspects=self.history.suspects, announce=self._announce
        )
        with self.schedules.pool(schedule, self.watch.work, watcher=self.watch) as pool:
            try:
                artifacts = [] if works else self.job.collect(pool.outcomes(), self.context)
                for _ in pool.outcomes():  # what the job type did not take itself
                    pass
                if works:
                    self.job.shard_ended(self.context)
            except BaseException:
                self.schedules.stop.set()  # what is in flight need not go on
                raise
        self._check_lease()  # a signal comes too late: it is delivered
        self._collected = True
        return artifacts

    def _end_phase(self, stop: RunStopped | None) -> End:
        """Planning or a shard's work is over; what came of the job is for collect to say."""
        self.ledger.close()
        if self.lease.lost.is_set():
            return self._leave(RunStopped(StopReason.LEASE_LOST, TAKEN_OVER))
        if stop is not None:
            self.records.ask_to_stop(self.generation, stop.reason, stop.message)
        self._announce([], ended=True)
        self._keep()
        counts = self.progress.snapshot().counts
        said = f"Shard {self.door.shard}" if self.door.phase == "work" else "Planned"
        what = f"{counts.ended:,} of {counted(counts.total, self.document.type)} ended."
        return End(self.standing.status.state, 0, message=f"{said}: {stop.message if stop else what}")

    def _finish(self, artifacts: Sequence[Artifact], stop: RunStopped | None) -> End:
        self.ledger.close()
        if self.lease.lost.is_set():
            return self._leave(RunStopped(StopReason.LEASE_LOST, TAKEN_OVER))
        main, now = self.schedules.main, self.door.clock.now()
        if stop is None and main is not None:
            stop = main.stopped  # by the deadline, else collect would not have got here
        report = build_report(
            self.document,
            accounting.every_outcome(self.plan.entries, main.known() if main else {}),
            artifacts,
            accounting.figures(
                self.progress,
                main.waited_seconds if main else {},
                self.history,
                self.standing.status.started_at or now,
                now,
            ),
            generation=self.generation,
            stopped=_STOPPED.get(stop.reason) if stop else None,
            error=stop.message if stop and stop.reason not in _NO_ERRORS else None,
            effects_survive=self.durable != "job" or self._collected,
            environment=self.door.environment,
            facts=self.context.report_facts,
            sink=self.context.report_facts.pop("sink", None),
            unfinished=self.context.report_facts.pop("unfinished", None),
        )
        return self._end_with(self.records.create_report(self.generation, report))

    def _end_with(self, report: Report) -> End:
        self.standing.end_with(report)
        return End(report.state, exit_code(report.state), report, report.message)

    def _leave(self, stop: RunStopped) -> End:
        """The run ends, the job does not."""
        self.ledger.close()
        state = self.standing.status.state
        if stop.reason is not StopReason.PAUSE:
            return End(state, EXIT_INTERRUPTED, message=stop.message)
        wish = stop.error.retry_after_seconds if isinstance(stop.error, ItemError) else None
        resume_at = self.standing.pause(wish)
        message = f"{stop.message} The job goes on at {resume_at:%Y-%m-%d %H:%M} UTC."
        return End(state, self.door.paused_exit_code, message=message)

    def _announce(self, keys: list[str], *, ended: bool = False) -> None:
        """Which items may be in flight from now on, for the run after this one."""
        body = {
            "in_flight": keys,
            "deaths": self.history.deaths,
            "plain_crashes": self.history.plain_crashes,
            "number": self.door.number,
            "ended": ended,
        }
        self.records.save_run(self.generation, self.door.run, body)

    # -- stopping ------------------------------------------------------------------------------------------

    def on_signal(self, name: str) -> None:
        self.schedules.stop_all(
            StopReason.INTERRUPT, f"Interrupted ({name}). Start it again and it goes on where it was."
        )
        try:
            self.ledger.flush()
        except BatchlabError as error:
            logger.warning("The ledger could not be written yet: %s", error)

    def _confirm(self) -> None:
        self._check_lease()
        if self.schedules.stopped is not None:
            raise self.schedules.stopped

    def _check_lease(self) -> None:
        if self.lease.lost.is_set():
            raise RunStopped(StopReason.LEASE_LOST, TAKEN_OVER)

    # -- what others see, and what they wish -----------------------------------------------------------------

    def _show(self) -> None:
        self.door.display.show(self.progress.snapshot())

    def _keep(self) -> None:
        if self.lease.lost.is_set():
            self.schedules.stop_all(StopReason.LEASE_LOST, TAKEN_OVER)
            return
        self.ledger.flush()
        self._look_for_stop()
        stopped = self.schedules.stopped
        cancelled = stopped is not None and stopped.reason is StopReason.CANCEL
        self.standing.keep(self.progress.snapshot(), cancelled=cancelled)

    def _look_for_stop(self) -> None:
        """Somebody wishes to cancel, or another shard met what ends the whole job."""
        wish = self.records.stop_wish(self.generation) if self.schedules.stopped is None else None
        if wish is not None:
            too_late = not self.schedules.stop_all(StopReason(wish["reason"]), wish["message"])
            if too_late and not self._too_late and self.door.phase != "work":
                logger.warning("The wish to cancel came too late: only the delivery was left.")
            self._too_late = too_late  # not for good: the job type may start over
