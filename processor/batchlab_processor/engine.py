"""One run of one job: plan (saved) -> skip what is settled -> work -> collect -> report.

The engine is the only caller of a job type's verbs. It promises that every key of the plan ends with exactly
one outcome, that Done is recorded only when the effect survives a kill, and that it leaves no thread behind.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from batchlab.authority import Authority
from batchlab.errors import BatchlabError
from batchlab.kinds import ItemError, Kind
from batchlab.lease import Lease, Waiting
from batchlab.outcome import Failed, Outcome
from batchlab.records import JobRecords
from batchlab.report import Artifact, Environment, Report, Stopped, build_report
from batchlab.status import State, exit_code
from batchlab_processor import accounting, saved_plan
from batchlab_processor.clock import Clock
from batchlab_processor.context import RunContext, Services, no_entries, no_passwords
from batchlab_processor.display import Display, Quiet
from batchlab_processor.errors import classify
from batchlab_processor.interrupt import EXIT_INTERRUPTED, on_signal
from batchlab_processor.job import Earlier, Entry, JobFailed, JobType, Plan, StartOver
from batchlab_processor.keeper import Keeper
from batchlab_processor.logs import item_logger
from batchlab_processor.progress import Progress
from batchlab_processor.recovery import PLAIN_CRASHES, look_back
from batchlab_processor.run_ledger import RunLedger
from batchlab_processor.schedule import Rules, RunStopped, StopReason
from batchlab_processor.schedules import Schedules
from batchlab_processor.storage import Storage
from batchlab_processor.supervisor import new_run

STARTS_OVER = 2  # an upload that is gone a third time goes each time
LONGEST_PAUSE_SECONDS = 7 * 86400.0  # whatever a server wishes
PAUSE_SECONDS = 3600.0  # when a quota is used up and nobody says until when
logger = logging.getLogger("batchlab")


@dataclass(frozen=True)
class Door:
    """What a run is given from outside; nothing in the engine reads the environment or makes a client."""

    storage: Storage
    authority: Authority
    clock: Clock = dataclasses.field(default_factory=Clock)
    display: Display = dataclasses.field(default_factory=Quiet)
    passwords: Callable[[str], str] = no_passwords
    entries: Callable[[str, str], Any] = no_entries
    run: str = dataclasses.field(default_factory=new_run)
    crashed: str = ""  # "<run>:<signal>" when the supervisor saw the run before this one crash
    paused_exit_code: int = EXIT_INTERRUPTED  # 0 in AWS Batch: a pause is no failure of the container
    keep_seconds: float = 2.0  # how often ledger, progress and the wish to cancel are looked after
    waiting: Waiting | None = dataclasses.field(
        default_factory=Waiting
    )  # for a live lease; None: do not wait
    environment: Environment = dataclasses.field(default_factory=Environment)


@dataclass(frozen=True)
class End:
    """How a run ended; `state` is not an ended one when the run was interrupted, paused or stood aside."""

    state: State
    exit_code: int
    report: Report | None = None
    message: str = ""


def run(records: JobRecords, job: JobType[Any, Any], door: Door) -> End:
    """Runs the job to its end, or goes on where an earlier run stopped; see End.

    Raises ServiceError or Denied when the store cannot be used; the job can then be started again.
    """
    status = records.status()
    if status.ended:
        return End(status.state, exit_code(status.state), records.report(status.generation), "It had ended.")
    lease = records.lease(status.generation, door.run, waiting=door.waiting)
    if lease is None:
        return End(status.state, 0, message="Another run works on this job; this one stood aside.")
    with lease:
        if records.status().generation == status.generation:
            this = _Run(records, job, door, lease)
            with on_signal(this.on_signal):
                return this.go()
    return run(records, job, door)  # the job was retried while we waited; the lease is another's


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
}


class _Run:
    def __init__(self, records: JobRecords, job: JobType[Any, Any], door: Door, lease: Lease) -> None:
        self.records, self.job, self.door, self.lease = records, job, door, lease
        self.document = records.document()
        self.status = records.status()
        self.generation = self.status.generation
        self.limits = self.document.limits
        self.params = job.params.model_validate(self.document.params)
        self.durable = job.durable(self.params)
        self.schedules = Schedules(self.limits, door.clock)
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
            earlier=self._earlier,
            map=self.schedules.map,
            stop=self.schedules.stop,
        )
        self.context = RunContext(self.services)

    # -- the straight line ---------------------------------------------------------------------------------

    def go(self) -> End:
        report = self.records.report(self.generation)
        if report is not None:  # killed between report and status
            return self._end_with(report)
        self._look_back()
        self._advance(
            State.RUNNING, started_at=self.status.started_at or self.door.clock.now(), resume_at=None
        )
        artifacts: Sequence[Artifact] = ()
        stopped: Stopped | None = None
        error: str | None = None
        try:
            self.door.display.start(self.document, self.progress)
            with Keeper(self._show, self._keep, self.door.keep_seconds):
                self._look_for_cancel()
                self._load_or_make_plan()
                artifacts = self._work_and_collect()
        except RunStopped as stop:
            if stop.reason is StopReason.BROKEN and stop.error is not None:
                raise stop.error from None
            if stop.resumable:
                return self._leave(stop)
            stopped = _STOPPED.get(stop.reason)
            error = None if stopped == "cancelled" else stop.message
        except BatchlabError as broken:
            if not isinstance(broken, saved_plan.BadPlan):
                raise  # the store is gone: nothing can be said about the job now
            error = broken.message
        except Exception as cause:
            error = str(cause) if isinstance(cause, JobFailed) else classify(cause).message
            if isinstance(cause, ItemError | JobFailed):
                logger.warning("The job stops: %s", error)
            else:
                logger.exception("The job stops: %s", error)
        finally:
            self.context.clean_up()
            self.door.display.stop()
        return self._finish(artifacts, stopped or self._deadline_passed(), error)

    def _look_back(self) -> None:
        runs = self.records.runs(self.generation)
        self.history = look_back(runs, self.door.crashed, self.ledger.ended())
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
            self.records.save_plan(self.generation, saved_plan.to_json(self.plan))
        self.context.facts, self.context.planned = self.plan.facts, self.plan.entries

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
        entries = self.plan.entries
        settled = accounting.settled(entries, self.ledger, self.job, self.context)
        self.progress.plan(entries, settled)
        rules = Rules(
            workers=self.limits.workers,
            ahead_bytes=self.limits.ahead_bytes,
            ordered=self.job.ordered,
            deadline=self._deadline(),
            max_failures=self.limits.failures_allowed(len(entries)),
        )
        schedule = self.schedules.new_main(
            entries, rules, settled=settled, suspects=self.history.suspects, announce=self._announce
        )
        with self.schedules.pool(schedule, self._work, watcher=self) as pool:
            try:
                artifacts = self.job.collect(pool.outcomes(), self.context)
                for _ in pool.outcomes():  # what the job type did not take itself
                    pass
            except BaseException:
                self.schedules.stop.set()  # what is in flight need not go on
                raise
        self._check_lease()  # a signal comes too late: it is delivered
        self._collected = True
        return artifacts

    def _finish(self, artifacts: Sequence[Artifact], stopped: Stopped | None, error: str | None) -> End:
        self.ledger.close()
        if self.lease.lost.is_set():
            return self._leave(RunStopped(StopReason.LEASE_LOST, "Another run has taken over this job."))
        main, now = self.schedules.main, self.door.clock.now()
        report = build_report(
            self.document,
            accounting.every_outcome(self.plan.entries, main.known() if main else {}),
            artifacts,
            accounting.figures(
                self.progress,
                main.waited_seconds if main else {},
                self.history,
                self.status.started_at or now,
                now,
            ),
            generation=self.generation,
            stopped=stopped,
            error=error,
            effects_survive=self.durable != "job" or self._collected,
            environment=self.door.environment,
            facts=self.context.report_facts,
            sink=self.context.report_facts.pop("sink", None),
            unfinished=self.context.report_facts.pop("unfinished", None),
        )
        return self._end_with(self.records.create_report(self.generation, report))

    def _end_with(self, report: Report) -> End:
        self._advance(
            report.state,
            counts=report.counts,
            ended_at=report.ended_at,
            resume_at=None,
            message=report.message,
            artifacts=tuple(artifact.name for artifact in report.artifacts),
        )
        self.records.drop_pending()  # of an earlier pause: nobody need start this generation again
        return End(report.state, exit_code(report.state), report, report.message)

    def _leave(self, stop: RunStopped) -> End:
        """The run ends, the job does not."""
        self.ledger.close()
        if stop.reason is not StopReason.PAUSE:
            return End(self.status.state, EXIT_INTERRUPTED, message=stop.message)
        wish = stop.error.retry_after_seconds if isinstance(stop.error, ItemError) else None
        pause_seconds = min(wish or PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        resume_at = self.door.clock.now() + timedelta(seconds=pause_seconds)
        self._advance(self.status.state, resume_at=resume_at)
        self.records.save_pending(not_before=resume_at)
        message = f"{stop.message} The job goes on at {resume_at:%Y-%m-%d %H:%M} UTC."
        return End(self.status.state, self.door.paused_exit_code, message=message)

    # -- items ---------------------------------------------------------------------------------------------

    def _work(self, entry: Entry[Any], attempt: int) -> tuple[Any, int]:
        view = self.context.for_item(entry, attempt)
        result = self.job.work(entry.item, view)
        return result, view.size_bytes

    def started(self, entry: Entry[Any]) -> None:
        self.progress.started(entry.key)

    def failed_attempt(
        self,
        entry: Entry[Any],
        tries: int,
        error: ItemError,
        cause: BaseException,
        delay_seconds: float | None,
    ) -> None:
        log = item_logger(self.document.id, entry.key, tries)
        if delay_seconds is None:
            log.warning("%s", error, exc_info=cause if error.kind is Kind.BUG else None, extra={"told": True})
            return
        self.progress.waiting("rate_limit" if error.kind is Kind.RATE_LIMIT else "backoff", delay_seconds)
        log.info("%s; trying again in %.1f s", str(error).rstrip("."), delay_seconds)

    def gave_up(self, entry: Entry[Any], failed: Failed) -> None:
        view = self.context.for_item(entry, failed.attempts)
        try:
            self.job.gave_up(entry.key, entry.item, failed, view)
        except (JobFailed, BatchlabError):
            raise
        except Exception as cause:
            error = classify(cause)
            if self.schedules.stopped is not None and error.kind is not Kind.BUG:
                raise self.schedules.stopped from None  # an interrupted call is not a failed one
            view.log.warning("%s", error, exc_info=cause if error.kind is Kind.BUG else None)
            raise JobFailed(error.message) from cause

    def ended(self, entry: Entry[Any], outcome: Outcome) -> None:
        self.ledger.record(outcome)
        self.progress.ended(outcome)
        self.door.display.ended(outcome)

    def _announce(self, keys: list[str]) -> None:
        body = {"in_flight": keys, "deaths": self.history.deaths, "plain_crashes": self.history.plain_crashes}
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
            raise RunStopped(StopReason.LEASE_LOST, "Another run has taken over this job.")

    def _deadline(self) -> float | None:
        """The clock's monotonic seconds at which no further item starts; counted from the generation's start."""
        if self.limits.deadline is None or self.status.started_at is None:
            return None
        left = self.status.started_at + self.limits.deadline - self.door.clock.now()
        return self.door.clock.monotonic() + left.total_seconds()

    def _deadline_passed(self) -> Stopped | None:
        stop = self.schedules.main.stopped if self.schedules.main is not None else None
        return "deadline" if stop is not None and stop.reason is StopReason.DEADLINE else None

    # -- what it knows -----------------------------------------------------------------------------------

    def _earlier(self) -> Earlier | None:
        ended = [
            (generation, report)
            for generation in range(self.generation - 1, 0, -1)
            if (report := self.records.report(generation)) is not None
        ]
        if not ended:
            return None
        generation, report = next((one for one in ended if one[1].artifacts), ended[0])
        plan = self.records.plan(generation)
        return Earlier(generation, report, plan["facts"] if plan else {})

    # -- what others see -----------------------------------------------------------------------------------

    def _show(self) -> None:
        self.door.display.show(self.progress.snapshot())

    def _keep(self) -> None:
        if self.lease.lost.is_set():
            self.schedules.stop_all(StopReason.LEASE_LOST, "Another run has taken over this job.")
            return
        self.ledger.flush()
        self._look_for_cancel()
        stopped = self.schedules.stopped
        cancelled = stopped is not None and stopped.reason is StopReason.CANCEL
        snapshot = self.progress.snapshot()
        self.records.save_progress(self.generation, 0, snapshot.counts, snapshot.last_progress_at)
        state = State.CANCELLING if cancelled else self.status.state
        self._advance(state, counts=snapshot.counts, last_progress_at=snapshot.last_progress_at)

    def _look_for_cancel(self) -> None:
        if self.schedules.stopped is None and self.records.cancel_requested(self.generation):
            too_late = not self.schedules.stop_all(StopReason.CANCEL, "Cancelled.")
            if too_late and not self._too_late:
                logger.warning("The wish to cancel came too late: only the delivery was left.")
            self._too_late = too_late  # not for good: the job type may start over

    def _advance(self, state: State, **changes: Any) -> None:
        standing = self.records.save_status(self.status.model_copy(update={"state": state, **changes}))
        if standing.generation == self.generation:
            self.status = standing
        else:  # the job was retried, so somebody else has ended this generation
            self.lease.lost.set()
