"""What a job would take, before it is submitted: items, bytes, seconds, dollars, and what cannot be known.

docs/client.md states the arithmetic; every assumption that a figure rests on is said beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from batchlab.api import Estimate
from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.jobs import params_model
from batchlab.jobs.contact_sheets import ContactSheetsParams
from batchlab.jobs.self_test import SelfTestParams
from batchlab.jobs.zip_export import ItemSpec, Manifest, ZipExportParams
from batchlab.prices import OURS, Prices, Usage, cost, read_prices
from batchlab.sampling import sizes_of, spread
from batchlab.settings import Settings
from batchlab.words import counted, size

START_SECONDS = 20.0  # a container begins, plans and ends; waiting for a machine is not included
ANSWER_SECONDS = 0.15  # before a source's first byte: a look at it and the request
WORKER_BYTES_PER_SECOND = 12e6  # of one download: 100 Mbit/s
MACHINE_BYTES_PER_SECOND = 250e6  # with TLS on 2 vCPUs, docs/performance.md
PART_BYTES = 8 * 1024**2  # of an upload, up to 80 GB
SHEETS_PER_MINUTE = 26.0  # on 2 vCPUs, docs/performance.md
DEFAULT_VCPUS = 2  # of the job definition that deploy.sh makes


@dataclass
class _Figures:
    """What is found out about one job; None: not known, and `unknown` says why."""

    items: int | None = None
    size_bytes: int | None = None
    sampled: int = 0
    seconds: float | None = None
    gets: Counter[str] = field(default_factory=Counter)  # by scheme
    written_bytes: int | None = None
    assumptions: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def estimate(
    document: JobDocument, settings: Settings, *, authority: Authority | None = None, prices: Path = OURS
) -> Estimate:
    """What `document` would take. Sources without a size are sampled as far as `authority` lets them be read.

    `authority` None: what the settings list. Raises UsageError for a price table that is none.
    """
    table = read_prices(prices)
    allowed = authority or Authority.of_settings(settings)
    model = params_model(document.type)
    params = None if model is None else document.typed_params
    figures = _Figures()
    match params:
        case ZipExportParams():
            _of_zip(params, document, figures, allowed, settings)
        case ContactSheetsParams():
            _of_sheets(params, document, figures)
        case SelfTestParams():
            figures.size_bytes, figures.seconds, figures.written_bytes = 0, START_SECONDS, 0
            figures.unknown.append("How many checks there are, the test itself says.")
        case _:
            figures.unknown.append(f"How many items a {document.type} job has, only its plan knows.")
    dollars = _dollars(document, figures, settings, table)
    return Estimate(
        items=figures.items,
        size_bytes=figures.size_bytes,
        sampled=figures.sampled,
        seconds=None if figures.seconds is None else round(figures.seconds, 1),
        dollars=dollars,
        priced_at=table.priced_at,
        assumptions=tuple(figures.assumptions),
        unknown=tuple(figures.unknown),
    )


def _of_zip(
    params: ZipExportParams,
    document: JobDocument,
    figures: _Figures,
    authority: Authority,
    settings: Settings,
) -> None:
    photos = [item for item in params.items if isinstance(item, ItemSpec)]
    lists = [item for item in params.items if isinstance(item, Manifest)]
    uncounted = sum(item.count is None for item in lists)
    folders = len(params.items) - len(photos) - len(lists)
    listed = sum(item.count or 0 for item in lists)
    if uncounted:
        figures.unknown.append(
            f"How many photos a manifest without a count lists: {uncounted} of the entries."
        )
    if folders:
        figures.unknown.append(f"What lies below a prefix is not counted: {folders} of the entries.")
    if not (uncounted or folders):
        figures.items = len(photos) + listed
    for photo in photos:
        figures.gets[photo.url.partition("://")[0].lower()] += 2
    _size_up(photos, listed, figures, authority, settings)
    if figures.items is None or figures.size_bytes is None:
        return
    figures.written_bytes = figures.size_bytes
    figures.seconds = _seconds(document, figures.items, figures.size_bytes, figures)


def _size_up(
    photos: list[ItemSpec], listed: int, figures: _Figures, authority: Authority, settings: Settings
) -> None:
    """Given sizes are added up; the others are guessed from some that are looked at."""
    given = [photo.size for photo in photos if photo.size is not None]
    others = [photo.url for photo in photos if photo.size is None]
    total = sum(given)
    guessed = len(others) + listed
    if guessed and others:
        urls = [others[position] for position in spread(len(others))]
        found = [length for length in sizes_of(urls, authority, settings) if length is not None]
        figures.sampled = len(urls)
        if len(found) < len(urls):
            figures.unknown.append(
                f"{len(urls) - len(found)} of {len(urls)} looked at did not say how large they are."
            )
    else:
        found = given if guessed else []
    if guessed and not found:
        figures.unknown.append("How large the photos are: name their size, or let some be looked at.")
        return
    if guessed:
        mean = sum(found) / len(found)
        figures.assumptions.append(f"A photo without a size has {size(mean)}, the mean of {len(found)}.")
        total += round(mean * guessed)
    if figures.items is not None:
        figures.size_bytes = total


def _of_sheets(params: ContactSheetsParams, document: JobDocument, figures: _Figures) -> None:
    named = None if params.only_participant_refs is None else len(params.only_participant_refs)
    bounds = [bound for bound in (named, params.limit_participants) if bound is not None]
    if not bounds:
        figures.unknown.append("How many participants there are, only the database or the manifest knows.")
        return
    figures.items = min(bounds)
    figures.assumptions += [
        f"At most {counted(figures.items, document.type)}; who is left out is not known.",
        f"A machine makes {SHEETS_PER_MINUTE:.0f} sheets a minute (docs/performance.md).",
    ]
    figures.seconds = START_SECONDS + figures.items / document.shards * 60 / SHEETS_PER_MINUTE
    figures.unknown.append(
        "How large the photos are that the sheets are made of, and so the cost of moving them."
    )


def _seconds(document: JobDocument, items: int, size_bytes: int, figures: _Figures) -> float:
    limits = document.limits
    machines = min(document.shards, max(items, 1))
    figures.assumptions.append(
        f"Each of {limits.workers * machines} downloads waits {ANSWER_SECONDS} s for an answer and gets "
        f"{WORKER_BYTES_PER_SECOND / 1e6:.0f} MB/s; a machine moves at most {MACHINE_BYTES_PER_SECOND / 1e6:.0f} MB/s."
    )
    downloads = (items * ANSWER_SECONDS + size_bytes / WORKER_BYTES_PER_SECOND) / (limits.workers * machines)
    bandwidth = size_bytes / MACHINE_BYTES_PER_SECOND / machines
    pauses = [limits.min_interval.total_seconds()] if limits.min_interval else []
    pauses += [1 / limits.starts_per_second] if limits.starts_per_second else []
    pace = items / machines * max(pauses, default=0.0)
    return START_SECONDS + max(downloads, bandwidth, pace)


def _dollars(document: JobDocument, figures: _Figures, settings: Settings, prices: Prices) -> float | None:
    if settings.store.startswith("file://"):
        figures.assumptions.append("It runs on this machine, which costs nothing more.")
        return 0.0
    if figures.seconds is None:
        figures.unknown.append("What it costs, because its time is not known.")
        return None
    on_demand = document.resources.queue == "express"
    vcpus = document.resources.vcpus or DEFAULT_VCPUS
    output = (document.output or "").partition("://")[0].lower()
    written = figures.written_bytes or 0
    leaves = output not in ("", "s3")
    usage = Usage(
        vcpu_hours=vcpus * document.shards * figures.seconds / 3600,
        on_demand=on_demand,
        gets=dict(figures.gets),
        puts={output: ceil(written / PART_BYTES) + 2} if output else {},
        egress_bytes=written if leaves else 0,
    )
    kind = "on demand" if on_demand else "on Spot"
    figures.assumptions.append(
        f"{document.shards} x {vcpus} vCPUs {kind}, prices of {prices.priced_at} for {prices.region}; "
        + ("what is written leaves AWS" if leaves else "buckets are in the same region")
        + "; sources are read for nothing more than their requests."
    )
    return round(cost(usage, prices), 4)
