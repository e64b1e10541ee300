"""What the looking commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from batchlab.api import Estimate, ItemInfo, JobInfo, JobSummary, Link
from batchlab.cli.tables import ago, state_coloured, table
from batchlab.report import render
from batchlab.status import Counts
from batchlab.words import counted, duration, printable, size


def status_text(job: JobInfo, now: datetime, options: str = "") -> str:
    """The report of a job that has ended; of another one where it stands.

    `options` are what a command needs to find the job again, such as " --store s3://bucket/jobs".
    """
    if job.report is not None:
        retry = f"batchlab retry {job.id}"  # as the report's advice has it, which knows no options
        lines = [render(job.report).replace(retry, retry + options)]
        if job.report.failures:
            lines.append(f"  -> Each of them: batchlab items {job.id} --failed{options}")
        lines.append(f"  Ended {ago(job.report.ended_at, now)}.")
        return "\n".join([*lines, *_page_lines(job)])
    word = "stalled" if job.stalled else str(job.state)
    lines = [f"{job.type} {job.id} {state_coloured(word)}: {_progress(job)}"]
    if job.title:
        lines.append(f"  {printable(job.title)}")
    since = [f"made {ago(job.created_at, now)}"]
    if job.last_progress_at:
        since.append(f"last progress {ago(job.last_progress_at, now)}")
    if job.resume_at:
        since.append(f"goes on at {job.resume_at:%Y-%m-%d %H:%M} UTC")
    lines.append("  " + ", ".join(since))
    if job.message:
        lines.append(f"  {printable(job.message)}")
    if word == "stalled":
        lines.append(
            f"  No progress for 5 minutes: look at the process that runs it, then: batchlab retry {job.id}{options}"
        )
    return "\n".join([*lines, *_page_lines(job)])


def _page_lines(job: JobInfo) -> list[str]:
    return [f"  The customer's page: {printable(job.page)}"] if job.page else []


def as_json(found: BaseModel | Sequence[BaseModel]) -> str:
    """What was found as an object, or as a list of them."""
    if isinstance(found, BaseModel):
        return _json(found.model_dump(mode="json"))
    return _json([each.model_dump(mode="json") for each in found])


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


def jobs_text(jobs: Sequence[JobSummary], now: datetime, place: str) -> str:
    if not jobs:
        return f"No such job in {place}."
    rows = [
        (
            job.id,
            "stalled" if job.stalled else str(job.state),
            job.type,
            _fraction(job.counts),
            ago(job.created_at, now),
            job.title,
        )
        for job in jobs
    ]
    return table(("ID", "STATE", "TYPE", "DONE", "MADE", "TITLE"), rows)


def link_text(link: Link) -> str:
    lines = [f"page      {printable(link.page)}"]
    lines += [f"download  {printable(download)}" for download in link.downloads]
    if link.expires_at is not None:
        lines.append(f"until     {link.expires_at:%Y-%m-%d %H:%M} UTC")
    return "\n".join(lines)


def estimate_text(found: Estimate, job_type: str) -> str:
    """One line of figures, then what they rest on and what is not known."""
    figures = [counted(found.items, job_type)] if found.items is not None else []
    figures += [size(found.size_bytes)] if found.size_bytes else []
    figures += [f"about {duration(found.seconds)}"] if found.seconds is not None else []
    if found.dollars is not None:
        figures.append("nothing to pay" if not found.dollars else f"about ${max(found.dollars, 0.01):,.2f}")
    lines = [", ".join(figures) or "Nothing can be said beforehand."]
    lines += [f"  {printable(each)}" for each in found.assumptions]
    lines += [f"  Not known: {printable(each)}" for each in found.unknown]
    return "\n".join(lines)


def _progress(job: JobInfo) -> str:
    counts = job.counts
    if not counts.total:
        return "not planned yet."
    parts = [f"{counts.done:,} of {counted(counts.total, job.type)} done"]
    parts += [f"{counts.failed:,} failed"] if counts.failed else []
    parts += [f"{counts.in_flight:,} in flight"] if counts.in_flight else []
    return ", ".join(parts) + "."


def _fraction(counts: Counts) -> str:
    return f"{counts.done:,}/{counts.total:,}" if counts.total else ""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
