"""Participants from Postgres: one query for all of a domain, and the connection is closed before any photo is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from batchlab.kinds import ItemError, Kind
from batchlab.nearest import did_you_mean
from batchlab_processor.databases import Database
from batchlab_processor.jobs.contact_sheets.participant import Candidate, Found, texts

TABLES = ("marathons", "topics", "sponsors", "participants", "submissions")
QUERY_SECONDS = 120
_REQUIRED = ("reference", "photos")
_OWN = ("id", "verified", "sheet", "sponsors", "photos")  # columns that are no field of the title
_KEYS = ("participants", "update", "tables")
_TRUE = (
    "true",
    "t",
    "yes",
    "y",
    "on",
    "1",
)  # Source: PostgreSQL, "Boolean Type"; a text column may hold them


@dataclass(frozen=True)
class Statements:
    """How participants are found and how their rows are told of the sheets."""

    name: str | None  # of the configuration's query; None: ours
    participants: str
    update: str | None  # None: nothing is written back
    tables: Mapping[str, str]  # our names of tables -> theirs, "schema.table" or "table"

    def composed(self, text: str) -> Any:
        """`text` for psycopg, with the tables' names in place where it is one of ours."""
        from psycopg import sql

        if text not in (ours("participants"), ours("update")):
            return sql.SQL(text)
        names = {name: sql.Identifier(*self.tables.get(name, name).split(".")) for name in TABLES}
        return sql.SQL(text).format(**names)


def ours(name: str) -> str:
    """The text of one of our SQL files: schema, participants, update."""
    return (files(__package__) / f"{name}.sql").read_text(encoding="utf-8")


def statements(entry: Callable[[str, str], Any], name: str | None) -> Statements:
    """The configuration's query `name`, or our own; raises ItemError(validation) for one that cannot be."""
    if name is None:
        return Statements(None, ours("participants"), ours("update"), {})
    value = entry("queries", name)
    if not isinstance(value, dict) or not value:
        raise _wrong(name, "is no object with participants, update or tables")
    for key in value:
        if key not in _KEYS:
            raise _wrong(
                name, f"has a field {key!r}.{did_you_mean(str(key), _KEYS)} There are {', '.join(_KEYS)}"
            )
    tables = value.get("tables", {})
    if not isinstance(tables, dict) or not all(isinstance(table, str) for table in tables.values()):
        raise _wrong(name, "has tables that are no object of names, such as {participants: public.runners}")
    for table in tables:
        if table not in TABLES:
            raise _wrong(
                name, f"renames {table!r}.{did_you_mean(str(table), TABLES)} There are {', '.join(TABLES)}"
            )
    own = value.get("participants")
    # Who selects from tables of their own has rows of their own: our update would not fit.
    update = value.get("update", None if own else ours("update"))
    return Statements(name, str(own or ours("participants")), update and str(update), tables)


def find(database: Database, statements: Statements, domain: str) -> Found:
    """Everybody in `domain`, in the query's order.

    Raises ItemError: validation for a domain that is unknown or empty and for rows that cannot be used, and what
    the database raises.
    """
    with database.connection(read_only=True) as connection:
        from psycopg.rows import dict_row

        connection.execute(f"SET LOCAL statement_timeout = '{QUERY_SECONDS}s'")
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statements.composed(statements.participants), {"domain": domain})
            columns = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall()
    for name in _REQUIRED:
        if name not in columns:
            raise ItemError(
                Kind.VALIDATION,
                f"The query {statements.name} returns no column {name}; it returns {', '.join(columns) or 'none'}.",
            )
    if not rows:
        place = f"the database {database.name}" if statements.name is None else f"the query {statements.name}"
        raise ItemError(Kind.VALIDATION, f"There is no marathon with the domain {domain!r} in {place}.")
    if all(row["reference"] is None for row in rows):
        raise ItemError(Kind.VALIDATION, f"The marathon {domain!r} has no participants yet.")
    return Found(tuple(_candidate(row, domain) for row in rows), _logos(rows))


def _candidate(row: Mapping[str, Any], domain: str) -> Candidate:
    reference = str(row["reference"] if row["reference"] is not None else "").strip()
    photos = [] if row["photos"] is None else row["photos"]
    if not reference or not isinstance(photos, list):
        what = "no reference" if not reference else "photos that are no JSON array"
        raise ItemError(Kind.VALIDATION, f"A participant has {what} (id {row.get('id')}).")
    fields = {name: value for name, value in row.items() if name not in _OWN}
    return Candidate(
        reference=reference,
        fields={"domain": domain, **texts(fields.items()), "reference": reference},
        photos=tuple(_photo(photo) for photo in photos),
        id=None if row.get("id") is None else str(row["id"]),
        verified=str(row.get("verified")).strip().lower() in _TRUE,
        sheet=row.get("sheet") or None,
    )


def _photo(value: Any) -> Mapping[str, str]:
    return texts(value.items()) if isinstance(value, dict) else {"key": str(value)}


def _logos(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    first = next((row["sponsors"] for row in rows if row.get("sponsors")), ())
    return tuple(str(logo) for logo in first)


def _wrong(name: str, what: str) -> ItemError:
    return ItemError(Kind.VALIDATION, f"queries.{name} in the configuration {what}.")
