"""How far a generation has come while several machines work on it: each writes its own, whoever reads adds up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from batchlab.records import JobRecords
from batchlab.shards import Phase
from batchlab.status import Counts, Status

WHOLE = 0  # the number under which a run writes that works on all items; shards count from 1
_READERS = 8


@dataclass(frozen=True)
class Share:
    """What one run says of its items."""

    number: int
    phase: Phase
    counts: Counts
    at: datetime | None  # of the last progress


def save_progress(records: JobRecords, generation: int, share: Share) -> None:
    """Replaces what the run of that number said before."""
    at = share.at.isoformat() if share.at else None
    body = {"phase": share.phase, "counts": share.counts.model_dump(mode="json"), "at": at}
    records.store.put(f"{records.folder}/g{generation}/progress/{share.number}.json", body)


def standing(records: JobRecords, status: Status) -> Status:
    """`status` with counts and time of progress as the runs themselves say; unchanged when the job has ended."""
    if status.ended:
        return status
    shares = _shares(records, status.generation)
    whole = next((share for share in shares if share.number == WHOLE), None)
    shards = [share for share in shares if share.number != WHOLE]
    if whole is not None and (whole.phase != "plan" or not shards):
        shards = [whole]  # it plans and nobody has begun, or it goes on where the shards ended
    if not shards:
        return status
    counts = sum((share.counts for share in shards[1:]), shards[0].counts)
    if whole is not None:  # not every shard has begun, but the plan knows them all
        counts = counts.model_copy(
            update={"total": whole.counts.total, "total_bytes": whole.counts.total_bytes}
        )
    seen = max((share.at for share in [*shards, *([whole] if whole else [])] if share.at), default=None)
    return status.model_copy(update={"counts": counts, "last_progress_at": seen or status.last_progress_at})


def _shares(records: JobRecords, generation: int) -> list[Share]:
    prefix = f"{records.folder}/g{generation}/progress/"
    names = list(records.store.names(prefix))
    with ThreadPoolExecutor(_READERS, "progress") as pool:
        found = zip(names, pool.map(records.store.read, names), strict=True)
        return [
            Share(
                number=int(name.removeprefix(prefix).removesuffix(".json")),
                phase=read.body.get("phase", "all"),
                counts=Counts.model_validate(read.body["counts"]),
                at=datetime.fromisoformat(read.body["at"]) if read.body["at"] else None,
            )
            for name, read in found
            if read is not None
        ]
