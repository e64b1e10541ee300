"""What was measured, and the tables of docs/performance.md made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    size_bytes: int  # of the archive
    wall_seconds: float
    cpu_seconds: float  # user and system of the whole process tree, start included
    peak_rss_mib: float  # of the largest process; never less than the benchmark has itself
    server_cpu_seconds: float  # what source and sink took meanwhile

    @property
    def cpu_seconds_per_gb(self) -> float:
        return self.cpu_seconds / self.size_bytes * 1e9

    @property
    def server_cpu_seconds_per_gb(self) -> float:
        return self.server_cpu_seconds / self.size_bytes * 1e9

    @property
    def megabytes_per_second(self) -> float:
        return self.size_bytes / 1e6 / self.wall_seconds


Pairs = Sequence[tuple[Measured, Measured]]  # ours, and a peer's right after


def runs_table(rows: Sequence[tuple[str, Sequence[Measured]]]) -> str:
    """Medians, a row each, as Markdown."""
    lines = [
        "| export | runs | wall s | MB/s | CPU-s | CPU-s/GB | peak MiB | source and sink CPU-s/GB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, runs in rows:
        lines.append(
            f"| {name} | {len(runs)} | {median(run.wall_seconds for run in runs):.1f} "
            f"| {median(run.megabytes_per_second for run in runs):.0f} "
            f"| {median(run.cpu_seconds for run in runs):.2f} "
            f"| {median(run.cpu_seconds_per_gb for run in runs):.1f} "
            f"| {median(run.peak_rss_mib for run in runs):.0f} "
            f"| {median(run.server_cpu_seconds_per_gb for run in runs):.1f} |"
        )
    return "\n".join(lines)


def peers_tables(found: Mapping[str, Mapping[str, Pairs]]) -> str:
    """Two tables, as Markdown: medians, and ratios pair by pair. `found`: by protocol, then by peer."""
    protocols = list(found)
    heads = [f"{protocol}: MB/s | CPU-s/GB | peak MiB" for protocol in protocols]
    lines = [f"| export by | {' | '.join(heads)} |", _rule(3 * len(protocols))]
    first = found[protocols[0]]
    lines.append(f"| ours | {' | '.join(_medians(_ours(found[protocol])) for protocol in protocols)} |")
    for peer in first:
        cells = (_medians([pair[1] for pair in found[protocol][peer]]) for protocol in protocols)
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    heads = [f"{protocol}: their CPU / ours | our speed / theirs" for protocol in protocols]
    lines += ["", f"| ours beside | {' | '.join(heads)} |", _rule(2 * len(protocols))]
    for peer in first:
        lines.append(f"| {peer} | {' | '.join(_ratios(found[protocol][peer]) for protocol in protocols)} |")
    return "\n".join(lines)


def _rule(columns: int) -> str:
    return "|---|" + "--:|" * columns


def _ours(found: Mapping[str, Pairs]) -> list[Measured]:
    return [pair[0] for pairs in found.values() for pair in pairs]


def _medians(runs: Sequence[Measured]) -> str:
    return (
        f"{median(run.megabytes_per_second for run in runs):.0f} "
        f"| {median(run.cpu_seconds_per_gb for run in runs):.1f} "
        f"| {median(run.peak_rss_mib for run in runs):.0f}"
    )


def _ratios(pairs: Pairs) -> str:
    def cell(ratio: Callable[[Measured, Measured], float]) -> str:
        each = [ratio(*pair) for pair in pairs]
        return f"{median(each):.1f} ({min(each):.1f}-{max(each):.1f})"

    cpu = cell(lambda ours, theirs: theirs.cpu_seconds_per_gb / ours.cpu_seconds_per_gb)
    speed = cell(lambda ours, theirs: ours.megabytes_per_second / theirs.megabytes_per_second)
    return f"{cpu} | {speed}"
