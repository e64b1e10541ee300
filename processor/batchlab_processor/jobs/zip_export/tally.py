"""What became of the photos, as far as their outcomes have been seen."""

from __future__ import annotations

from datetime import datetime

from batchlab.outcome import Failed, Skipped
from batchlab_processor.job import Context
from batchlab_processor.jobs.zip_export.missing import Missing, missing

NAMES_IN_REPORT = 10_000  # as many as the report has failures


class Tally:
    """Counts what is delivered, and lists what is missing by the names the customer knows."""

    def __init__(self, ctx: Context) -> None:
        self._photos: dict[str, list[str]] = ctx.facts["photos"]
        self._report_facts = ctx.report_facts
        self._report_facts.pop("missing", None)  # of a round that was started over
        self.date = datetime.fromisoformat(ctx.facts["submitted"])
        self.delivered = 0
        self.missing: list[Missing] = []

    def miss(self, outcome: Failed | Skipped) -> None:
        """One more photo is not in the archive."""
        name, photo_id = self._photos.get(outcome.key, (outcome.key, ""))
        self.missing.append(missing(outcome, name, photo_id))
        if len(self.missing) <= NAMES_IN_REPORT:  # the report's failures have keys only
            self._report_facts.setdefault("missing", {})[outcome.key] = name
