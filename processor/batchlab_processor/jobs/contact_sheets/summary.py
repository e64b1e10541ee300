"""What the report says besides: the two things that can go wrong, apart, and the keys of the sheets."""

from __future__ import annotations

from collections import Counter
from typing import Any

from batchlab.outcome import Done, Failed, Outcome
from batchlab.words import counted
from batchlab_processor.jobs.contact_sheets.participant import Made
from batchlab_processor.jobs.contact_sheets.updates import Told, Update

SHEETS_LISTED = 10_000  # as many as the report has items


class Summary:
    """Counts outcomes as they come."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.made: dict[str, Made] = {}  # by reference
        self._counts: Counter[str] = Counter()
        self._errors: list[dict[str, Any]] = []
        self._unreadable = 0

    def add(self, outcome: Outcome) -> None:
        self._counts[outcome.outcome] += 1
        if isinstance(outcome, Failed):
            self._error(outcome.key, "generation", outcome.kind, outcome.message)
        if not isinstance(outcome, Done):
            return
        made: Made = outcome.result
        self._counts["unchanged"] += made.unchanged
        self.made[outcome.key] = made
        for problem in made.unreadable:
            self._unreadable += 1
            self._error(outcome.key, "photo", problem.kind, f"{problem.photo}: {problem.message}")
        if made.id is not None:
            self.updates.append(Update(made.id, outcome.key, made.keys[0], len(made.keys), made.made_at))

    def facts(self, told: Told, plan: dict[str, Any], reasons: dict[str, str]) -> dict[str, Any]:
        """What `ctx.report_facts` is to hold."""
        if told.problem:
            self._error(None, "database", "database", told.problem)
        done, failed = self._counts["done"], self._counts["failed"]
        left_out = plan["left_out"]
        facts: dict[str, Any] = {
            "participants": {
                "found": plan["participants"],
                "processed": done + failed,
                "left_out": {reason: len(references) for reason, references in left_out.items()},
                "unknown": plan["unknown"],
            },
            "generation": {
                "succeeded": done,
                "failed": failed,
                "unchanged": self._counts["unchanged"],
                "unreadable_photos": self._unreadable,
            },
            "database_updates": {"succeeded": told.succeeded, "failed": len(told.pending)},
            "errors": self._errors,
            "sheets": {key: list(made.keys) for key, made in list(self.made.items())[:SHEETS_LISTED]},
            "summary": list(self._lines(told, left_out, reasons)),
        }
        if told.pending:
            facts["unfinished"] = (
                f"{len(told.pending):,} database updates are pending: `batchlab db apply` makes them."
            )
        return facts

    def _lines(self, told: Told, left_out: dict[str, list[str]], reasons: dict[str, str]) -> list[str]:
        unchanged = self._counts["unchanged"]
        same = f", {unchanged:,} of them unchanged" if unchanged else ""
        lines = [f"sheets: {self._counts['done']:,} made{same}, {self._counts['failed']:,} failed"]
        if self.updates:
            lines.append(f"database: {told.succeeded:,} rows updated, {len(told.pending):,} pending")
        if self._unreadable:
            lines.append(f"photos that could not be read: {self._unreadable:,}")
        lines += [
            f"left out: {counted(len(references), 'contact-sheets')}, {reasons.get(reason, reason)}"
            for reason, references in left_out.items()
        ]
        return lines

    def _error(self, reference: str | None, stage: str, kind: str, message: str) -> None:
        if len(self._errors) < SHEETS_LISTED:
            self._errors.append(
                {"reference": reference, "stage": stage, "kind": str(kind), "message": message}
            )
