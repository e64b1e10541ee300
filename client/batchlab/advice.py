"""What to do next, by rule, in plain words. Each rule looks at a finished report and says one thing or nothing.

`BY_KIND` answers for the items that failed; `RULES` for what the figures show.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

from batchlab.durations import format_duration
from batchlab.kinds import POLICIES, Kind
from batchlab.words import counted, duration

if TYPE_CHECKING:
    from batchlab.limits import Limits
    from batchlab.report import Report

MANY_FAILING = 0.30  # formats.md: over 30 % failing is worth a warning
LONG_ITEM_SECONDS = 180.0  # formats.md: so is an item of more than 3 minutes
SLOW_MEGABYTES_PER_SECOND = 1.0  # a tenth of what one download from ordinary object storage gives
ENOUGH_BYTES = 20_000_000  # below this the speed is only latency
MEMORY_NEAR = 0.85  # of the limit: the next larger photo may end the process
MUCH_WAITING = 0.20  # of the workers' time
EXAMPLES = 3

# {items} is "1 photo" or "12 photos", {retry} the command.
BY_KIND: dict[Kind, str] = {
    Kind.MISSING: "Not at the source: {items}. Upload again, then run `{retry}`.",
    Kind.EXPIRED_URL: "Links that had expired: {items}. Submit the job again with fresh links.",
    Kind.AUTH: "Access refused: {items}. Check what the credentials may read, or submit again with fresh links.",
    Kind.RATE_LIMIT: "Refused because we asked too fast: {items}. {slower}, then run `{retry}`.",
    Kind.NETWORK: "Lost to network faults: {items}. Run `{retry}` when the source is reachable.",
    Kind.TIMEOUT: "Took too long to arrive: {items}. Run `{retry}` when the source is less busy.",
    Kind.API_ERROR: "Lost to errors of the source's server: {items}. Run `{retry}` later.",
    Kind.DATABASE: "Lost to database faults: {items}. Check the database, then run `{retry}`.",
    Kind.CORRUPT: "Damaged at the source: {items}. Upload again, then run `{retry}`.",
    Kind.CHANGED: "Changed while being read: {items}. Run `{retry}` when nobody is uploading.",
    Kind.TOO_LARGE: "Over a limit: {items}. Raise the limit that the message names, or leave it out.",
    Kind.BUG: "A defect in the job type: {items}. Please report it with the log.",
}

Rule = Callable[["Report", "Limits"], str | None]


def recommendations(report: Report, limits: Limits) -> tuple[str, ...]:
    """What the reader can do, most pressing first; () when all is well. Messages are already free of secrets."""
    said = [text for rule in RULES if (text := rule(report, limits))]
    said += [_for_kind(report, limits, kind) for kind in report.failures_by_kind]
    return tuple(said)


def _for_kind(report: Report, limits: Limits, kind: Kind) -> str:
    items = counted(report.failures_by_kind[kind], report.type)
    if kind is Kind.BLOCKED_URL:  # the message prints the setting that would allow it
        blocked = (f.message for f in report.failures if f.kind is kind)
        by_reason = {message.rpartition(" is not allowed: ")[2]: message for message in blocked}
        return f"Not allowed to be read: {items}. " + " ".join(list(by_reason.values())[:EXAMPLES])
    if kind not in BY_KIND:
        return f"{kind}: {items}. {POLICIES[kind].cure}"
    return BY_KIND[kind].format(items=items, retry=_retry(report), slower=_slower(report, limits))


def _stopped_by_max_failures(report: Report, limits: Limits) -> str | None:
    if report.stopped != "max_failures":
        return None
    return (
        f"The job stopped early: more failed than limits.max_failures ({limits.max_failures}) allows. "
        f"Mend what the failures name, then run `{_retry(report)}`."
    )


def _stopped_by_deadline(report: Report, limits: Limits) -> str | None:
    if report.stopped != "deadline":
        return None
    deadline = format_duration(limits.deadline) if limits.deadline else "unset"
    return (
        f"The deadline came first: raise limits.deadline ({deadline}) or limits.workers ({limits.workers})."
    )


def _many_failing(report: Report, limits: Limits) -> str | None:
    total, failed = report.counts.total, report.counts.failed
    if total < 4 or failed <= MANY_FAILING * total:
        return None
    kind = next(iter(report.failures_by_kind))
    return (
        f"{100 * failed // total} % failed, most often as {kind}: look for a common cause before you retry."
    )


def _not_started(report: Report, limits: Limits) -> str | None:
    left = report.skipped_by_reason.get("not_started", 0)
    return f"Never started: {counted(left, report.type)}. `{_retry(report)}` takes them." if left else None


def _waited_for_the_source(report: Report, limits: Limits) -> str | None:
    if Kind.RATE_LIMIT in report.failures_by_kind:
        return None  # said with the failures
    waited = report.waited_seconds.get("rate_limit", 0.0)
    if waited <= MUCH_WAITING * report.seconds * limits.workers:
        return None
    return f"Workers waited {duration(waited)} because the source asked us to slow down. {_slower(report, limits)}."


def _slow_source(report: Report, limits: Limits) -> str | None:
    speed = report.download_megabytes_per_second
    if speed is None or report.size_bytes < ENOUGH_BYTES or speed >= SLOW_MEGABYTES_PER_SECOND:
        return None
    return (
        f"The source sends only {speed:.2f} MB/s in all. Run the job nearer to it, or try more than "
        f"{limits.workers} limits.workers if it is the single connection that is slow."
    )


def _slow_items(report: Report, limits: Limits) -> str | None:
    if not report.slowest or report.slowest[0].seconds < LONG_ITEM_SECONDS:
        return None
    slow = report.slowest[0]
    usual = median(item.seconds for item in report.items or report.slowest)
    return f"{slow.key} took {duration(slow.seconds)} ({duration(usual)} is usual): look at its source."


def _memory_near_limit(report: Report, limits: Limits) -> str | None:
    peak, limit = report.peak_rss_mib, report.environment.memory_mib
    if peak is None or limit is None or peak < MEMORY_NEAR * limit:
        return None
    return (
        f"Memory came near its limit ({peak:,.0f} of {limit:,} MiB): use fewer limits.workers "
        f"(now {limits.workers}) or more resources.memory_mib."
    )


def _interrupted(report: Report, limits: Limits) -> str | None:
    if report.interrupted < 3:
        return None
    return (
        f"It took {report.runs} runs, {report.interrupted} of them interrupted. If those were Spot reclaims, "
        "the express queue runs on demand; if the process died, the log says why."
    )


RULES: tuple[Rule, ...] = (
    _stopped_by_max_failures,
    _stopped_by_deadline,
    _many_failing,
    _not_started,
    _waited_for_the_source,
    _slow_source,
    _slow_items,
    _memory_near_limit,
    _interrupted,
)


def _retry(report: Report) -> str:
    return f"batchlab retry {report.id}"


def _slower(report: Report, limits: Limits) -> str:
    """Half the speed at which it ran while it was not waiting, in one significant digit."""
    waited = report.waited_seconds.get("rate_limit", 0.0) / max(1, limits.workers)
    ran = report.counts.done / max(0.1, report.seconds - waited)
    if limits.starts_per_second:
        ran = min(ran, limits.starts_per_second) if ran else limits.starts_per_second
    now = f"now {limits.starts_per_second:g}" if limits.starts_per_second else "now unset"
    return f"Set limits.starts_per_second to {float(f'{max(ran / 2, 0.01):.1g}'):g} ({now})"
