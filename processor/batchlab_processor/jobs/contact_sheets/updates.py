"""The database is told of all sheets at once: one connection, one statement, the same again changes nothing.

What cannot be told stays in jobs/<id>/g<n>/pending-updates.jsonl, and `batchlab db apply` tells it later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed
from batchlab.store import JSON, Store
from batchlab_processor.databases import Database
from batchlab_processor.job import Context
from batchlab_processor.jobs.contact_sheets.database import Statements

if TYPE_CHECKING:
    import psycopg

COPY_ABOVE = 50_000  # M: from here COPY into a temporary table is quicker than arrays
UPDATE_SECONDS = 300
_COLUMNS = "id text, reference text, key text, pages integer, made_at timestamptz"
_ARRAYS = (
    "WITH updates AS (SELECT * FROM unnest(%(ids)s::text[], %(references)s::text[], %(keys)s::text[], "
    "%(pages)s::integer[], %(made_at)s::timestamptz[]) AS u(id, reference, key, pages, made_at)) "
)


@dataclass(frozen=True)
class Update:
    """What one participant's row is told."""

    id: str
    reference: str
    key: str  # of the first page
    pages: int
    made_at: datetime

    def as_json(self) -> JSON:
        return {**vars(self), "made_at": self.made_at.isoformat()}

    @classmethod
    def from_json(cls, line: JSON) -> Update:
        values = {name: line[name] for name in ("id", "reference", "key", "pages")}
        return cls(**values, made_at=datetime.fromisoformat(line["made_at"]))


@dataclass(frozen=True)
class Told:
    """What came of the updates."""

    succeeded: int
    pending: tuple[Update, ...] = ()
    problem: str | None = None  # why they are pending, a line


def tell(updates: Sequence[Update], database: Database, statements: Statements, ctx: Context) -> Told:
    """Updates all rows, tried again as an item would be; never raises for the database's sake."""
    if not updates or statements.update is None:
        return Told(0)
    ((_, ids),) = ctx.map(lambda rows: run_update(rows, database, statements), [updates])
    return told(updates, ids)


def told(updates: Sequence[Update], ids: set[str] | Failed) -> Told:
    """What the rows updated, or the failure, leave pending."""
    if isinstance(ids, Failed):
        return Told(0, tuple(updates), ids.message)
    pending = tuple(update for update in updates if update.id not in ids)
    problem = None
    if pending:
        rows = "1 row was" if len(pending) == 1 else f"{len(pending):,} rows were"
        problem = f"{rows} not found: deleted meanwhile, or hidden from this user."
    return Told(len(updates) - len(pending), pending, problem)


def run_update(updates: Sequence[Update], database: Database, statements: Statements) -> set[str]:
    """The ids of the rows that were updated, in one transaction; raises ItemError and has then changed nothing."""
    if statements.update is None:
        raise ItemError(Kind.VALIDATION, f"The query {statements.name} has no update.")
    with database.connection() as connection:
        connection.execute(f"SET LOCAL statement_timeout = '{UPDATE_SECONDS}s'")
        statement = statements.composed(statements.update)
        if len(updates) > COPY_ABOVE:
            rows = _copied(connection, updates, statement)
        else:
            rows = _unnested(connection, updates, statement)
        return {str(row[0]) for row in rows}


def _unnested(connection: psycopg.Connection[Any], updates: Sequence[Update], statement: Any) -> list[Any]:
    from psycopg import sql

    arrays = {
        "ids": [update.id for update in updates],
        "references": [update.reference for update in updates],
        "keys": [update.key for update in updates],
        "pages": [update.pages for update in updates],
        "made_at": [update.made_at for update in updates],
    }
    return connection.execute(sql.SQL(_ARRAYS) + statement, arrays).fetchall()


def _copied(connection: psycopg.Connection[Any], updates: Sequence[Update], statement: Any) -> list[Any]:
    connection.execute(f"CREATE TEMPORARY TABLE updates ({_COLUMNS}) ON COMMIT DROP")
    with connection.cursor() as cursor:
        with cursor.copy("COPY updates FROM STDIN") as copy:
            for update in updates:
                copy.write_row((update.id, update.reference, update.key, update.pages, update.made_at))
        connection.execute("ANALYZE updates")
        cursor.execute(statement, {})
        return cursor.fetchall()


def pending_name(job_id: str, generation: int) -> str:
    """Where a generation's pending updates are kept in the store."""
    return f"jobs/{job_id}/g{generation}/pending-updates.jsonl"


def keep_pending(store: Store, job_id: str, generation: int, pending: Sequence[Update]) -> None:
    """Afterwards these are the generation's pending updates, and no others."""
    name = pending_name(job_id, generation)
    store.delete(name)  # of a run that was killed between this and its report
    if pending:
        store.append(name, [update.as_json() for update in pending])


def read_pending(store: Store, job_id: str, generation: int) -> list[Update]:
    return [Update.from_json(line) for line in store.lines(pending_name(job_id, generation)) if "id" in line]
