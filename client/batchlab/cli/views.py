"""What the looking commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from batchlab.api import ItemInfo
from batchlab.cli.places import pretty
from batchlab.cli.tables import ago, state_coloured, table
from batchlab.report import Report, render
from batchlab.status import Counts, Status, stalled
from batchlab.words import counted, duration, printable, size


def status_text(status: Status, report: Report | None, now: datetime) -> str:
    """The report of a job that has ended; of another one where it stands."""
    if report is not None:
        lines = [render(report)]
        if report.failures:
            lines.append(f"  -> Each of them: batchlab items {status.id} --failed")
        lines.append(f"  Ended {ago(report.ended_at, now)}.")
        return "\n".join(lines)
    word = "stalled" if stalled(status, now) else str(status.state)
    lines = [f"{status.type} {status.id} {state_coloured(word)}: {_progress(status)}"]
    if status.title:
        lines.append(f"  {printable(status.title)}")
    since = [f"made {ago(status.created_at, now)}"]
    if status.last_progress_at:
        since.append(f"last progress {ago(status.last_progress_at, now)}")
    if status.resume_at:
        since.append(f"goes on at {status.resume_at:%Y-%m-%d %H:%M} UTC")
    lines.append("  " + ", ".join(since))
    if status.message:
        lines.append(f"  {printable(status.message)}")
    if word == "stalled":
        lines.append(
            f"  No progress for 5 minutes: look at the process that runs it, then: batchlab retry {status.id}"
        )
    return "\n".join(lines)


def status_as_json(status: Status, report: Report | None, now: datetime) -> str:
    """The status with `stalled`, and with `report` (null until the job has ended)."""
    return _json(
        {
            **status.model_dump(mode="json"),
            "stalled": stalled(status, now),
            "report": report.model_dump(mode="json") if report else None,
        }
    )


def items_text(lines: Sequence[ItemInfo], *, failed_only: bool) -> str:
    if not lines:
        return "No item has failed." if failed_only else "No item has ended yet."
    if failed_only:
        rows = [(line.key, line.kind, str(line.attempts), line.message) for line in lines]
        return table(("KEY", "KIND", "ATTEMPTS", "WHY"), rows)
    rows_of_all = [
        (
            line.key,
            line.outcome,
            str(line.attempts),
            size(line.size_bytes) if line.size_bytes else "",
            duration(line.seconds) if line.seconds else "",
            f"{line.kind}: {line.message}" if line.kind else line.message,
        )
        for line in lines
    ]
    return table(("KEY", "OUTCOME", "ATTEMPTS", "SIZE", "TOOK", "WHY"), rows_of_all)


def items_as_json(lines: Sequence[ItemInfo]) -> str:
    return _json([line.model_dump(mode="json") for line in lines])


def jobs_text(statuses: Sequence[Status], now: datetime, store_url: str) -> str:
    if not statuses:
        return f"No such job in {pretty(store_url)}."
    rows = [
        (
            status.id,
            "stalled" if stalled(status, now) else str(status.state),
            status.type,
            _fraction(status.counts),
            ago(status.created_at, now),
            status.title,
        )
        for status in statuses
    ]
    return table(("ID", "STATE", "TYPE", "DONE", "MADE", "TITLE"), rows)


def jobs_as_json(statuses: Sequence[Status], now: datetime) -> str:
    return _json([{**status.model_dump(mode="json"), "stalled": stalled(status, now)} for status in statuses])


def _progress(status: Status) -> str:
    counts = status.counts
    if not counts.total:
        return "not planned yet."
    parts = [f"{counts.done:,} of {counted(counts.total, status.type)} done"]
    parts += [f"{counts.failed:,} failed"] if counts.failed else []
    parts += [f"{counts.in_flight:,} in flight"] if counts.in_flight else []
    return ", ".join(parts) + "."


def _fraction(counts: Counts) -> str:
    return f"{counts.done:,}/{counts.total:,}" if counts.total else ""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
