"""Pages of what became of a job's items. Those of the job that was asked for last are kept, so that only the first
page of a large one is read together from plan and ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from batchlab.api import ItemInfo, ItemPage
from batchlab.errors import DocumentError
from batchlab.items import ItemsSource
from batchlab.records import JobRecords
from batchlab.service.cursors import cursor_of, place_of

LONGEST_PAGE = 10_000
OUTCOMES = ("done", "failed", "skipped")

# The values of an ItemInfo, in the order of its fields: a third of its memory.
Line = tuple[object, ...]
_FIELDS = tuple(ItemInfo.model_fields)
_values: Callable[[ItemInfo], Line] = attrgetter(*_FIELDS)
_KEY, _OUTCOME = _FIELDS.index("key"), _FIELDS.index("outcome")


@dataclass(frozen=True)
class _Kept:
    """The items of one job, and what they were read from: they are those for as long as that is the same."""

    source: ItemsSource
    lines: list[Line]


class ItemPages:
    """Answers from one store; safe to share between threads, of which two at once may read the same."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def page(self, records: JobRecords, *, outcome: str | None, limit: int, cursor: str | None) -> ItemPage:
        """At most `limit` items behind the cursor, those with `outcome` only. Raises NotFound and DocumentError.

        The cursor is an item's key: while a job runs, items come in between the pages.
        """
        if outcome is not None and outcome not in OUTCOMES:
            raise DocumentError(f"outcome: {outcome!r} is none of {', '.join(OUTCOMES)}.")
        if not 1 <= limit <= LONGEST_PAGE:
            raise DocumentError(f"limit: {limit} is out of range: 1 to {LONGEST_PAGE:,}.")
        after = place_of(cursor)
        lines = self._lines(records, failed_only=outcome == "failed", keep=limit)
        rest = islice(lines, _position(lines, after) + 1 if after else 0, None)
        wanted: Iterator[Line] = (line for line in rest if outcome in (None, line[_OUTCOME]))
        page = list(islice(wanted, limit))
        more = next(wanted, None) is not None
        items = tuple(ItemInfo.model_validate(dict(zip(_FIELDS, line, strict=True))) for line in page)
        return ItemPage(items=items, next=cursor_of(items[-1].key) if more else None)

    def _lines(self, records: JobRecords, *, failed_only: bool, keep: int) -> list[Line]:
        """All items; those of more than one page of `keep` are remembered."""
        kept = self._kept
        source = ItemsSource.of(records, failed_only=failed_only, known=kept.source if kept else None)
        if kept and kept.source == source:
            return kept.lines
        lines = [_values(item) for item in source.items(records)]
        if len(lines) > keep:
            self._kept = _Kept(source, lines)
        return lines


def _position(lines: list[Line], key: str) -> int:
    for position, line in enumerate(lines):
        if line[_KEY] == key:
            return position
    raise DocumentError("cursor: the job was retried meanwhile. Begin again without a cursor.")
