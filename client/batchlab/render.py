"""A report as about a dozen lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from batchlab.words import counted, duration, printable, size

if TYPE_CHECKING:
    from batchlab.report import Report

LINES_SHOWN = 3  # artifacts and recommendations; the report has them all
KINDS_SHOWN = 4
MESSAGE_CHARACTERS = 160
SUMMARY_LINES_SHOWN = 8  # of what the job type says itself


def render(report: Report) -> str:
    """About a dozen lines for a terminal, without a newline at the end; nothing in it is obeyed by one."""
    return "\n".join(printable(line) for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.type} {report.id} {report.state}: {report.message}"
    if report.title:
        yield f"  {report.title}"
    figures = [f"{size(report.size_bytes)} in {duration(report.seconds)}"]
    if report.megabytes_per_second:
        figures.append(f"{report.megabytes_per_second:.1f} MB/s")
    if report.peak_rss_mib:
        figures.append(f"peak memory {report.peak_rss_mib:,.0f} MiB")
    if report.runs > 1:
        figures.append(f"{report.runs} runs, {report.interrupted} interrupted")
    yield "  " + ", ".join(figures)
    for artifact in report.artifacts[:LINES_SHOWN]:
        files = "file" if artifact.members == 1 else "files"
        members = f", {artifact.members:,} {files}" if artifact.members is not None else ""
        yield f"  {artifact.name} ({size(artifact.size_bytes)}{members}): {artifact.url}"
    if len(report.artifacts) > LINES_SHOWN:
        yield f"  and {len(report.artifacts) - LINES_SHOWN:,} more"
    for line in report.facts.get("summary", ())[:SUMMARY_LINES_SHOWN]:
        yield f"  {line}"
    if report.error:
        yield f"  {report.error}"
    yield from _failure_lines(report)
    for advice in report.recommendations[:LINES_SHOWN]:
        yield f"  -> {advice}"


def _failure_lines(report: Report) -> Iterator[str]:
    failed = report.counts.failed
    if not failed:
        return
    yield f"{counted(failed, report.type)} {'is' if failed == 1 else 'are'} missing:"
    for kind, count in list(report.failures_by_kind.items())[:KINDS_SHOWN]:
        examples = [f for f in report.failures if f.kind is kind][:2]
        more = f", and {count - len(examples):,} more" if count > len(examples) else ""
        said = shorten(examples[0].message) if examples else ""
        yield f"  {kind} ({count:,}): {', '.join(shorten(f.key) for f in examples)}{more}. {said}"
    if len(report.failures_by_kind) > KINDS_SHOWN:
        yield f"  and {len(report.failures_by_kind) - KINDS_SHOWN} other kinds"


def shorten(text: str) -> str:
    """At most MESSAGE_CHARACTERS of it."""
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"
