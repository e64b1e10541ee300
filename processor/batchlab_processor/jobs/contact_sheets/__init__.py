"""contact-sheets: a printable sheet for every participant, and the database told of all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

from pydantic import BaseModel

from batchlab.jobs.contact_sheets import ContactSheetsParams
from batchlab.kinds import ItemError
from batchlab.outcome import Outcome
from batchlab.report import Artifact
from batchlab_processor.databases import named_database
from batchlab_processor.job import Context, JobType, Plan
from batchlab_processor.jobs.contact_sheets import database, planning
from batchlab_processor.jobs.contact_sheets.delivery import output_url
from batchlab_processor.jobs.contact_sheets.making import SheetFactory
from batchlab_processor.jobs.contact_sheets.participant import Made, Participant
from batchlab_processor.jobs.contact_sheets.summary import Summary
from batchlab_processor.jobs.contact_sheets.updates import Told, keep_pending, tell

__all__ = ["ContactSheets"]

ARTIFACTS_LISTED = 1_000  # each is a link on the customer's page; cleanup finds the others in the ledger


class ContactSheets(JobType[Participant, Made]):
    """One participant is one item. Two connections to the database in all: one to find them, one to tell it."""

    name: ClassVar[str] = "contact-sheets"
    summary: ClassVar[str] = "A participant's photos on a sheet for print, for every participant."
    params: ClassVar[type[BaseModel]] = ContactSheetsParams
    item: ClassVar[type[BaseModel]] = Participant
    result: ClassVar[type[BaseModel]] = Made
    ordered: ClassVar[bool] = False

    def __init__(self) -> None:
        self._factory = SheetFactory()
        self._reasons: dict[str, str] = {}

    def plan(self, ctx: Context) -> Plan[Participant]:
        self._reasons = planning.reasons(ctx.params)
        return planning.plan_sheets(ctx)

    def preview(self, plan: Plan[Participant]) -> Sequence[str]:
        return list(planning.preview(plan, self._reasons))

    def work(self, item: Participant, ctx: Context) -> Made:
        return self._factory.make(item, ctx)

    def collect(self, outcomes: Iterator[Outcome], ctx: Context) -> Sequence[Artifact]:
        """All uploads first, then one batched update; what it leaves pending is kept and said."""
        summary = Summary()
        for outcome in outcomes:
            summary.add(outcome)
        ctx.confirm()
        told = _tell(summary, ctx)
        ctx.report_facts.update(summary.facts(told, ctx.facts, planning.reasons(ctx.params)))
        pages = (
            Artifact(name=key, url=output_url(key, ctx), size_bytes=size, content_type=sheet.content_type)
            for _, sheet in sorted(summary.made.items())
            for key, size in zip(sheet.keys, sheet.page_bytes or (sheet.size_bytes,), strict=False)
        )
        return list(islice(pages, ARTIFACTS_LISTED))


def _tell(summary: Summary, ctx: Context) -> Told:
    params: ContactSheetsParams = ctx.params
    if params.database is None or not summary.updates:
        return Told(0)
    try:
        statements = database.statements(ctx.entry, params.query)
        told = tell(summary.updates, named_database(ctx.entry, params.database), statements, ctx)
    except ItemError as error:  # the configuration is another one than when the job was planned
        told = Told(0, tuple(summary.updates), error.message)
    keep_pending(ctx.store, str(ctx.document.id), ctx.generation, told.pending)
    if told.problem:
        ctx.log.warning("The database was not told of all sheets: %s", told.problem)
    return told
