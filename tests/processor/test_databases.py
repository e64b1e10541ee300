"""Databases by name."""

from __future__ import annotations

from typing import Any

import pytest

from batchlab.kinds import ItemError, Kind
from batchlab.named import NamedEntries
from batchlab_processor import databases
from batchlab_processor.databases import Database, named_database

URL = "postgresql://me:secret@db.example/race"


@pytest.mark.parametrize("entry", [URL, {"env": "RACE"}, {"url": URL}, {"url": {"env": "RACE"}}])
def test_an_entry_is_the_address_or_where_it_is_read_from(entry: Any) -> None:
    found = named_database(NamedEntries({"databases": {"race": entry}}, {"RACE": URL}).entry, "race")
    assert found == Database("race", URL)
    assert "secret" not in repr(found)


@pytest.mark.parametrize("entry", ["", {}, 5, {"dsn": URL}])
def test_an_entry_that_is_no_address_is_said_without_showing_it(entry: Any) -> None:
    with pytest.raises(ItemError, match=r"databases.race is no address of a database") as caught:
        named_database(NamedEntries({"databases": {"race": entry}}).entry, "race")
    assert "secret" not in str(caught.value)


def test_a_name_that_nobody_configured_is_said_with_the_nearest() -> None:
    with pytest.raises(ItemError, match=r"no entry 'rcae' under databases. Did you mean race\? Add it"):
        named_database(NamedEntries({"databases": {"race": URL}}).entry, "rcae")


def test_without_psycopg_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "find_spec", lambda name: None)
    with (
        pytest.raises(ItemError, match=r"pip install 'batchlab-processor\[sheets\]'") as caught,
        Database("race", URL).connection(),
    ):
        pass
    assert caught.value.kind is Kind.VALIDATION


def test_nothing_is_prepared_because_poolers_hand_each_transaction_to_another_server(
    database_url: str,
) -> None:
    with Database("race", database_url).connection() as connection:
        for _ in range(10):
            connection.execute("SELECT %s::int", (1,))
        found = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert found == (0,)


def test_a_failure_inside_changes_nothing(database_url: str) -> None:
    database = Database("race", database_url)

    def half() -> None:
        with database.connection() as connection:
            connection.execute("CREATE TABLE half (a int)")
            connection.execute("SELECT 1/0")

    with pytest.raises(ItemError, match="division by zero"):
        half()
    with database.connection() as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
