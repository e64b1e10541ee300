"""What became of each item, from the report of a job that has ended or from the ledger of one that has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchlab.api import ItemInfo
from batchlab.kinds import Kind
from batchlab.ledger import fold_segments, segments
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.records import JobRecords, outcomes_of
from batchlab.report import Failure, Report


@dataclass(frozen=True)
class ItemsSource:
    """What the items of a job are read from; from an equal one come the same items."""

    job_id: str
    generation: int
    failed_only: bool
    # Of a job that has not ended. They are written once, and never changed. None: the report stands, which is the last
    # word about the generation.
    segments: tuple[str, ...] | None
    report: Report | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, records: JobRecords, *, failed_only: bool, known: ItemsSource | None = None) -> ItemsSource:
        """The source as it is now. `known` spares reading the report once more. Raises NotFound."""
        status = records.status()
        if known and known == cls(records.id, status.generation, failed_only, None) and status.ended:
            return known
        report = records.report(status.generation) if status.ended else None
        names = None if report else tuple(segments(records.store, records.id, status.generation))
        return cls(records.id, status.generation, failed_only, names, report)

    def items(self, records: JobRecords) -> Iterator[ItemInfo]:
        """The items of the generation, in the order of the plan once it has ended."""
        found: Iterable[ItemInfo]
        if self.report is None:
            found = _of_outcomes(fold_segments(records.store, self.segments or ()).outcomes.values())
        elif self.report.items_omitted and not (self.failed_only and self._names_all_failures(self.report)):
            recorded = outcomes_of(records, self.generation)
            found = _of_outcomes(_all_outcomes(records, self.report, recorded))
        else:
            found = _of_report(self.report, failed_only=self.failed_only)
        return (item for item in found if item.outcome == "failed" or not self.failed_only)

    @staticmethod
    def _names_all_failures(report: Report) -> bool:
        return report.counts.failed <= len(report.failures)


def items_of(records: JobRecords, *, failed_only: bool) -> Iterator[ItemInfo]:
    """The items of the job's generation, in the order of the plan once it has ended."""
    return ItemsSource.of(records, failed_only=failed_only).items(records)


def _all_outcomes(records: JobRecords, report: Report, recorded: Mapping[str, Outcome]) -> Iterator[Outcome]:
    """One for each key of the plan, as many of each kind as the report counts.

    A ledger has no line for what a job that delivers as a whole has done, for what never began, and for what died with
    its container. Items start in the order of the plan, so of those without a line the first are the done ones.
    """
    entries = (records.plan(report.generation) or {}).get("entries", [])
    planned: dict[str, Any] = {}  # key -> bytes, or the failure that was found while planning
    for line in entries:
        failed = Failed.model_validate(line["failed"]) if "failed" in line else None
        planned[failed.key if failed else line["key"]] = failed or line.get("size_bytes") or 0
    known = dict(recorded) | {key: each for key, each in planned.items() if isinstance(each, Failed)}
    for failure in report.failures:
        if failure.key in planned and not isinstance(known.get(failure.key), Failed):
            known[failure.key] = _failed(failure)
    counted = Counter(outcome.outcome for outcome in known.values())
    done, failed_too = report.counts.done - counted["done"], report.counts.failed - counted["failed"]
    crashed = next((each for each in report.failures if each.kind == Kind.CRASH), None)
    reason: Any = next(iter(report.skipped_by_reason), "not_started")
    for key, size in planned.items():
        if key in known:
            yield known[key]
        elif done > 0:
            done -= 1
            yield Done(key=key, size_bytes=size)
        elif failed_too > 0:  # beyond those that the report names: a failure of any other kind has a line
            failed_too -= 1
            yield Failed(key=key, kind=Kind.CRASH, message=crashed.message if crashed else "")
        else:
            yield Skipped(key=key, reason=reason)


def _failed(failure: Failure) -> Failed:
    return Failed(key=failure.key, kind=failure.kind, message=failure.message, attempts=failure.attempts)


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
