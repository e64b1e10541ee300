"""What became of each item, from the report of a job that has ended or from the ledger of one that has not."""

from __future__ import annotations

from collections.abc import Iterable

from batchlab.api import ItemInfo
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.records import JobRecords, outcomes_of
from batchlab.report import Report


def items_of(records: JobRecords, *, failed_only: bool) -> list[ItemInfo]:
    """The items of the job's generation, in the order of the plan where the report has them all."""
    status = records.status()
    report = records.report(status.generation) if status.ended else None
    if report is None or (report.items_omitted and not failed_only):
        outcomes = outcomes_of(records, status.generation)
        if report is not None and not report.counts.skipped:
            outcomes = _with_the_rest_done(records, status.generation, outcomes)
        lines = list(_of_outcomes(outcomes.values()))
    else:
        lines = list(_of_report(report, failed_only=failed_only))
    return [line for line in lines if line.outcome == "failed"] if failed_only else lines


def _with_the_rest_done(
    records: JobRecords, generation: int, recorded: dict[str, Outcome]
) -> dict[str, Outcome]:
    """In the order of the plan: the ledger of a job that delivers as a whole has failures only, so the rest is done."""
    planned: dict[str, Outcome] = {}
    for line in (records.plan(generation) or {}).get("entries", []):
        if "failed" in line:  # found while planning
            failed = Failed.model_validate(line["failed"])
            planned[failed.key] = failed
        else:
            planned[line["key"]] = Done(key=line["key"], size_bytes=line.get("size_bytes") or 0)
    return {**planned, **recorded}


def _of_report(report: Report, *, failed_only: bool) -> Iterable[ItemInfo]:
    failures = {failure.key: failure for failure in report.failures}
    took = {item.key: item for item in report.items}
    for key in failures if failed_only else took:
        item, failure = took.get(key), failures.get(key)
        yield ItemInfo(
            key=key,
            outcome=item.outcome if item else "failed",
            attempts=failure.attempts if failure else item.attempts if item else 0,
            size_bytes=item.size_bytes if item else 0,
            seconds=item.seconds if item else 0.0,
            kind=str(failure.kind) if failure else "",
            message=failure.message if failure else "",
            recoverable=failure.recoverable if failure else False,
        )


def _of_outcomes(outcomes: Iterable[Outcome]) -> Iterable[ItemInfo]:
    for outcome in outcomes:
        failed = outcome if isinstance(outcome, Failed) else None
        yield ItemInfo(
            key=outcome.key,
            outcome=outcome.outcome,
            attempts=outcome.attempts,
            size_bytes=outcome.size_bytes,
            seconds=outcome.seconds,
            kind=str(failed.kind) if failed else "",
            message=failed.message if failed else outcome.reason if isinstance(outcome, Skipped) else "",
            recoverable=failed.recoverable if failed else False,
        )
