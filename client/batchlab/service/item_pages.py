"""Pages of what became of a job's items."""

from __future__ import annotations

from batchlab.api import ItemInfo, ItemPage
from batchlab.errors import DocumentError
from batchlab.items import items_of
from batchlab.records import JobRecords
from batchlab.service.cursors import cursor_of, place_of

LONGEST_PAGE = 10_000
OUTCOMES = ("done", "failed", "skipped")


def item_page(records: JobRecords, *, outcome: str | None, limit: int, cursor: str | None) -> ItemPage:
    """At most `limit` items behind the cursor, those with `outcome` only. Raises NotFound and DocumentError.

    The cursor is an item's key: while a job runs, items come in between the pages.
    """
    if outcome is not None and outcome not in OUTCOMES:
        raise DocumentError(f"outcome: {outcome!r} is none of {', '.join(OUTCOMES)}.")
    if not 1 <= limit <= LONGEST_PAGE:
        raise DocumentError(f"limit: {limit} is out of range: 1 to {LONGEST_PAGE:,}.")
    after = place_of(cursor)
    lines = items_of(records, failed_only=outcome == "failed")
    if after:
        lines = lines[_position(lines, after) + 1 :]
    wanted = [line for line in lines if outcome in (None, line.outcome)]
    page = wanted[:limit]
    return ItemPage(items=tuple(page), next=cursor_of(page[-1].key) if len(wanted) > limit else None)


def _position(lines: list[ItemInfo], key: str) -> int:
    for position, line in enumerate(lines):
        if line.key == key:
            return position
    raise DocumentError("cursor: the job was retried meanwhile. Begin again without a cursor.")
