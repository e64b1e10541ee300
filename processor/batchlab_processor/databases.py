"""Connections to the databases that the configuration names, and their errors as one clear line each.

    databases:
      marathon: {env: DATABASE_URL}

psycopg is imported where it is used: a processor without it runs all jobs that need no database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from batchlab.kinds import ItemError, Kind

if TYPE_CHECKING:
    import psycopg

INSTALL = "pip install 'batchlab-processor[sheets]'"
CONNECT_SECONDS = 10
_REFUSALS = (
    (re.compile(r"password|pg_hba\.conf|authentication|^role .* does not exist"), "28000"),
    (re.compile(r"^database .* does not exist"), "3D000"),
    (re.compile(r"too many clients|connection slots"), "53300"),
)
_SECRET = re.compile(r"(password|passfile|sslpassword)=\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Database:
    """One entry of `databases` in the configuration."""

    name: str
    url: str  # postgresql://... or the words of libpq; holds a password

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @contextmanager
    def connection(self, *, read_only: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """One connection in one transaction: committed at the end, rolled back by an exception.

        Everything that goes wrong with the database raises ItemError: `database` is worth another try, all
        other kinds are not.
        """
        _require()
        import psycopg

        try:
            # Poolers such as Supabase's hand each transaction to another server: nothing is prepared.
            with psycopg.connect(
                self.url, prepare_threshold=None, connect_timeout=CONNECT_SECONDS, application_name="batchlab"
            ) as connection:
                connection.read_only = read_only or None
                yield connection
        except psycopg.Error as error:
            raise in_our_words(error, self.name) from error


def named_database(entry: Callable[[str, str], Any], name: str) -> Database:
    """The database `name` of the configuration; raises ItemError(validation) that says what to add."""
    value = entry("databases", name)
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url.strip():
        raise ItemError(
            Kind.VALIDATION,
            f"databases.{name} is no address of a database. Write {name}: {{env: DATABASE_URL}}, "
            "or the address itself: postgresql://user@host/name.",
        )
    return Database(name, url.strip())


def in_our_words(error: psycopg.Error, name: str) -> ItemError:
    """What a psycopg error means for a job, without the address, its user's password and the statement."""
    place = f"The database {name}"
    said = _first_line(error)
    state = error.sqlstate or _state_of(said)
    if state in ("28P01", "28000"):
        return ItemError(
            Kind.AUTH, f"{place} refuses us: {said}. Check user and password of databases.{name}."
        )
    if state == "3D000":
        return ItemError(Kind.VALIDATION, f"{place}: {said}. Correct the address of databases.{name}.")
    if state == "42501":
        return ItemError(Kind.AUTH, f"{place}: {said}. Grant its user what the job needs, as docs say.")
    if state == "42P01":
        return ItemError(
            Kind.VALIDATION,
            f"{place}: {said}. Create the tables (`batchlab db schema`), or name your own by a query.",
        )
    if state.startswith("42"):
        return ItemError(Kind.VALIDATION, f"{place}: {said}. The query or the tables must be changed.")
    if state == "53300":
        return ItemError(Kind.DATABASE, f"{place} has no connection to spare: {said}.")
    if state == "57014":
        return ItemError(Kind.DATABASE, f"{place} took too long: {said}.")
    if type(error).__name__ == "ProgrammingError" and not state:
        return ItemError(Kind.VALIDATION, f"databases.{name} is no address of a database: {said}.")
    if not state or state.startswith(("08", "57", "53")):
        return ItemError(Kind.DATABASE, f"{place} cannot be reached: {said}.")
    if state.startswith("40"):
        return ItemError(Kind.DATABASE, f"{place}: {said}.")
    return ItemError(Kind.VALIDATION, f"{place}: {said} ({state}).")


def _state_of(said: str) -> str:
    """The SQLSTATE behind a connection that was refused: libpq tells it in words only."""
    return next((state for words, state in _REFUSALS if words.search(said)), "")


def _first_line(error: psycopg.Error) -> str:
    primary = getattr(error.diag, "message_primary", None)
    lines = [line.strip() for line in str(primary or error).splitlines() if line.strip()]
    # libpq's own: 'connection failed: connection to server at "127.0.0.1", port 5432 failed: Connection refused'
    text = lines[0].removeprefix("connection failed: ") if lines else type(error).__name__
    return _SECRET.sub(r"\1=...", text.rpartition("FATAL: ")[2]).strip().rstrip(".")


def _require() -> None:
    if find_spec("psycopg") is None:
        raise ItemError(Kind.VALIDATION, f"Databases need psycopg. Install it: {INSTALL}")
