"""The end of a job that no run will end: every item is accounted for, in the words of whoever is left."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

from batchlab.kinds import Kind
from batchlab.lease import Lease
from batchlab.outcome import Failed, Outcome, Skipped
from batchlab.records import JobRecords, at_its_end, outcomes_of
from batchlab.report import Figures, Report, build_report
from batchlab.standing import standing
from batchlab.status import Status
from batchlab.store import JSON

WORDLESS = "Its container ended without a word, and no other took it up. A retry works on it again."


def end_without_a_run(records: JobRecords) -> bool:
    """The generation has ended: as cancelled when somebody wished so, else with what the ledger says.

    False, and nothing has changed, when a run holds a lease or the generation had ended.
    """
    generation = records.status().generation
    lease = records.lease(generation, f"end-{secrets.token_hex(4)}")
    if lease is None:
        return False
    with lease:
        status = records.status()
        if status.ended or status.generation != generation:
            return False
        report = records.report(generation)  # a run may have been killed between report and status
        if report is None:
            report = _report(records, status)
        return _end(records, status, report, lease)


def _end(records: JobRecords, status: Status, report: Report, lease: Lease) -> bool:
    if lease.lost.is_set():
        return False
    report = records.create_report(status.generation, report)
    ended = {"state": report.state, **at_its_end(records.document(), report)}
    records.save_status(status.model_copy(update=ended))
    records.drop_pending()
    return True


def _report(records: JobRecords, status: Status) -> Report:
    plan = records.plan(status.generation)
    cancelled = records.cancel_requested(status.generation)
    runs = records.runs(status.generation)
    now = records.store.now()
    last_words = records.stop_wish(status.generation) or {"reason": "", "message": ""}
    error = None if plan or cancelled else WORDLESS
    if last_words["reason"] not in (
        "",
        "cancel",
    ):  # a shard met what ends the whole job, before its container died
        error = last_words["message"]
    return build_report(
        records.document(),
        _outcomes(plan or {}, outcomes_of(records, status.generation), cancelled=cancelled),
        (),
        Figures(
            started_at=status.started_at or now,
            # of the last that anybody saw of it, so that the hours until somebody looked are no time of work
            ended_at=now if cancelled else standing(records, status).last_progress_at or now,
            runs=len(runs),
            interrupted=sum(not run.get("ended") for run in runs.values()),
        ),
        generation=status.generation,
        stopped="cancelled" if cancelled else None,
        error=error,
        # "own" effects survive a kill, which is not to say that anybody can have them before collect
        effects_survive=(plan or {}).get("durable") == "item",
    )


def _outcomes(plan: JSON, known: Mapping[str, Outcome], *, cancelled: bool) -> Iterator[Outcome]:
    """One for every key of the plan (batchlab_processor.saved_plan), in plan order."""
    for entry in plan.get("entries", ()):
        if "failed" in entry:
            yield Failed.model_validate(entry["failed"])
        elif entry["key"] in known:
            yield known[entry["key"]]
        elif cancelled:
            yield Skipped(key=entry["key"], reason="not_started")
        else:
            yield Failed(key=entry["key"], kind=Kind.CRASH, message=WORDLESS)
