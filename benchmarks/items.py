"""What pages of a large job's items cost: time, and the most memory that Python held, of each page.

scripts/bench items                        100,000 items, 1,000 a page, in a store of this machine
scripts/bench items --running              of a job that has not ended
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path
from statistics import median

from batchlab.document import load_document
from batchlab.ledger import LedgerWriter
from batchlab.outcome import Done
from batchlab.records import JobRecords, submit_locally
from batchlab.report import Figures, build_report
from batchlab.service.jobs import Jobs
from batchlab.stores.file import FileStore

_SEGMENT = 200  # outcomes that quick work fills a segment with


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench items", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--limit", type=int, default=1_000, help="items of a page (1,000)")
    parser.add_argument("--pages", type=int, default=20, help="pages that are asked for (20)")
    parser.add_argument("--running", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        records = _job(FileStore(Path(directory)), options.items, ended=not options.running)
        seconds, _ = _pages(records, options.limit, options.pages)
        tracemalloc.start()  # takes its own time, so in a second round
        _, peaks = _pages(records, options.limit, options.pages)
    print(f"{options.items:,} items, {options.limit:,} a page{', running' * options.running}:")
    print(f"  first page  {seconds[0] * 1e3:7.1f} ms  {peaks[0]:6.1f} MB")
    print(f"  each other  {median(seconds[1:]) * 1e3:7.1f} ms  {max(peaks[1:]):6.1f} MB")


def _pages(records: JobRecords, limit: int, pages: int) -> tuple[list[float], list[float]]:
    """(seconds, MB at most) of each page; memory is what was held at the moment of the most, kept pages included."""
    jobs = Jobs(_Service(records))  # type: ignore[arg-type]  of a service it asks for the store alone
    seconds, peaks, cursor = [], [], None
    for _ in range(pages):
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()
        begun = time.perf_counter()
        page = jobs.items(records.id, limit=limit, cursor=cursor)
        seconds.append(time.perf_counter() - begun)
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        cursor = page.next
    return seconds, peaks


class _Service:
    def __init__(self, records: JobRecords) -> None:
        self.store = records.store


def _job(store: FileStore, count: int, *, ended: bool) -> JobRecords:
    """A job whose ledger knows every item."""
    records = submit_locally(store, load_document({"type": "self-test"}))
    keys = [f"ceremony/IMG_{number:07}.jpg" for number in range(count)]
    records.save_plan(1, {"entries": [{"key": key, "size_bytes": 4_000_000} for key in keys]})
    ledger = LedgerWriter(store, records.id, 1, "run", every_outcomes=_SEGMENT)
    outcomes = [Done(key=key, attempts=1, size_bytes=4_000_000, seconds=0.25) for key in keys]
    for outcome in outcomes:
        ledger.record(outcome)
    ledger.close()
    if ended:
        now = store.now()
        report = build_report(records.document(), outcomes, (), Figures(started_at=now, ended_at=now))
        records.create_report(1, report)
        status = records.status().model_copy(update={"state": report.state, "ended_at": now})
        records.save_status(status)
    return records


if __name__ == "__main__":
    main()
