"""`_missing.csv`: which photos are not in the archive, and why, for whoever opens it in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batchlab.kinds import POLICIES, ItemError, Kind
from batchlab.outcome import Failed, Skipped

COLUMNS = ("name", "id", "kind", "reason", "attempts")
MISSING_BYTES = 2048  # a line of the table is shorter: a name, an id, a sentence
# Source: OWASP, "CSV Injection". A spreadsheet takes a cell that begins with one of them for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]*[^\s'\"<>.,:;]")
_SKIPPED = {
    "not_started": "The job ended before this photo was started.",
    "stage": "An earlier stage of the job failed.",
}


@dataclass(frozen=True)
class Missing:
    """One photo that is not in the archive."""

    name: str  # the name it would have had there
    id: str
    kind: str
    reason: str
    attempts: int


class NothingDelivered(ItemError):
    """No photo could be delivered, so there is no archive; the kind is the one most photos have."""

    def __init__(self, rows: Sequence[Missing]) -> None:
        counts = Counter(row.kind for row in rows).most_common()
        kinds = [Kind(kind) for kind, _ in counts if kind in set(Kind)] or [
            Kind.TIMEOUT
        ]  # none was even started
        said = [
            "No photo could be delivered, so there is no archive.",
            f"Missing: {', '.join(f'{count:,} {kind}' for kind, count in counts)}.",
            rows[0].reason if rows else "",
            POLICIES[kinds[0]].cure,
        ]
        super().__init__(kinds[0], " ".join(filter(None, said)))


def missing(outcome: Failed | Skipped, name: str, photo_id: str) -> Missing:
    """What the customer is told of an outcome that is not Done."""
    if isinstance(outcome, Failed):
        # The table goes to the customer: where the photo was kept is none of theirs.
        reason = _URL.sub(lambda _: name, outcome.message)
        return Missing(name, photo_id, str(outcome.kind), reason, outcome.attempts)
    return Missing(name, photo_id, outcome.reason, _SKIPPED[outcome.reason], outcome.attempts)


def missing_csv(rows: Sequence[Missing]) -> bytes:
    """The table with a header line, in UTF-8 with the mark by which Excel knows it, lines ended by CR LF."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(_cell(value) for value in (row.name, row.id, row.kind, row.reason, str(row.attempts)))
    return text.getvalue().encode("utf-8-sig", errors="replace")


def _cell(value: str) -> str:
    line = " ".join(value.splitlines())
    return "'" + line if value.startswith(_FORMULA) or line.lstrip().startswith(_FORMULA) else line
