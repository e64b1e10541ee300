"""What a run accounts for: what was settled before it, the one outcome of every key, and its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.report import Figures
from batchlab_processor.environment import peak_rss_mib
from batchlab_processor.job import Context, Entry, JobType
from batchlab_processor.progress import Progress
from batchlab_processor.recovery import History
from batchlab_processor.run_ledger import RunLedger

Entries = Sequence[Entry[Any] | Failed]


def settled(entries: Entries, ledger: RunLedger, job: JobType[Any, Any], ctx: Context) -> dict[str, Outcome]:
    """What needs no work any more: settled by the job type's word, or failed before."""
    found: dict[str, Outcome] = {}
    for entry in entries:
        if isinstance(entry, Failed):
            continue
        failed = ledger.failed(entry.key)
        if failed is not None:
            found[entry.key] = failed
            continue
        result = job.settled(entry.key, entry.item, ctx)
        if result is not None:
            known = ledger.done(entry.key) or Done(key=entry.key, size_bytes=entry.size_bytes or 0)
            found[entry.key] = known.model_copy(update={"result": result})
    return found


def every_outcome(entries: Entries, known: Mapping[str, Outcome]) -> list[Outcome]:
    """One outcome for every key of the plan, in plan order; what has none was not started."""
    return [
        entry
        if isinstance(entry, Failed)
        else known.get(entry.key) or Skipped(key=entry.key, reason="not_started")
        for entry in entries
    ]


def figures(
    progress: Progress,
    waited: Mapping[str, float],
    history: History,
    started_at: datetime,
    ended_at: datetime,
) -> Figures:
    """`waited`: seconds that workers had nothing to do, by reason; those after failed attempts are added."""
    seconds = Counter(progress.waited_seconds)
    seconds.update(waited)
    return Figures(
        started_at=started_at,
        ended_at=ended_at,
        peak_rss_mib=peak_rss_mib(),
        downloaded_bytes=progress.downloaded_bytes,
        uploaded_bytes=progress.uploaded_bytes,
        run_seconds=progress.elapsed_seconds,
        waited_seconds={reason: round(waited, 1) for reason, waited in seconds.items() if waited >= 0.05},
        runs=history.runs + 1,
        interrupted=history.interrupted,
    )
