"""Participants from Postgres, and one clear line for each thing that can be wrong with it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from batchlab.kinds import ItemError
from batchlab.named import NamedEntries
from batchlab_processor.databases import Database
from batchlab_processor.jobs.contact_sheets.database import find, ours, statements
from tests.processor.jobs.contact_sheets.marathon import Marathon

OWN = """
SELECT s.nr AS reference, s.class, json_agg(json_build_object('url', p.link, 'topic', p.title)) AS photos
FROM pupils s JOIN pictures p ON p.pupil = s.nr WHERE s.school = %(domain)s GROUP BY s.nr, s.class
"""


def queries(**entries: Any) -> Any:
    return NamedEntries({"queries": entries}).entry


def refused(database: Database, domain: str = "spring", entry: Any = None, query: str | None = None) -> str:
    with pytest.raises(ItemError) as caught:
        find(database, statements(entry, query), domain)
    assert "\n" not in caught.value.message
    assert "secret" not in caught.value.message
    return str(caught.value)


@pytest.fixture
def race(marathon: Marathon) -> Database:
    return Database("race", marathon.url)


def test_a_participant_comes_with_data_photos_topics_and_sponsors(marathon: Marathon, race: Database) -> None:
    marathon.insert("1001", ["b.jpg", "https://photos.example/a.jpg"], firstname="Zoë")
    marathon.insert("1000", [])
    marathon.execute("INSERT INTO sponsors (marathon_id, position, name, key) VALUES (1, 2, 'B', 'b.svg')")
    marathon.execute("INSERT INTO sponsors (marathon_id, position, name, key) VALUES (1, 1, 'A', 'a.svg')")
    found = find(race, statements(None, None), "spring")
    assert found.logos == ("a.svg", "b.svg")
    assert [candidate.reference for candidate in found.candidates] == ["1000", "1001"]
    zoe = found.candidates[1]
    assert zoe.fields == {
        "domain": "spring",
        "reference": "1001",
        "name": "Zoë Nowak",
        "marathon": "Spring marathon",
    }
    assert zoe.photos == (
        {"key": "b.jpg", "number": "1", "topic": "Topic 1"},
        {"key": "https://photos.example/a.jpg", "number": "2", "topic": "Topic 2"},
    )
    assert found.candidates[0].photos == ()


def test_an_unknown_domain_and_an_empty_one_are_told_apart(race: Database) -> None:
    assert refused(race, "autumn") == (
        "validation: There is no marathon with the domain 'autumn' in the database race."
    )
    assert refused(race) == "validation: The marathon 'spring' has no participants yet."


def test_no_connection_is_one_line_without_the_password() -> None:
    said = refused(Database("race", "postgresql://me:secret@127.0.0.1:1/race"))
    assert said.startswith("database: The database race cannot be reached: connection")
    assert "Connection refused" in said


def test_a_user_that_is_not_let_in_is_one_line(marathon: Marathon) -> None:
    url = conninfo.make_conninfo(marathon.url, user="eve", password="secret")
    assert "refuses us" in refused(Database("race", url))
    assert "Check user and password of databases.race" in refused(Database("race", url))


def test_a_database_that_is_not_there_is_one_line(marathon: Marathon) -> None:
    url = conninfo.make_conninfo(marathon.url, dbname="nowhere")
    assert refused(Database("race", url)) == (
        'validation: The database race: database "nowhere" does not exist. '
        "Correct the address of databases.race."
    )


def test_a_missing_table_is_one_line_that_says_how_to_make_it(marathon: Marathon, race: Database) -> None:
    marathon.execute("DROP TABLE submissions")
    assert refused(race) == (
        'validation: The database race: relation "submissions" does not exist. '
        "Create the tables (`batchlab db schema`), or name your own by a query."
    )


def test_a_missing_column_is_one_line(marathon: Marathon, race: Database) -> None:
    marathon.execute("ALTER TABLE participants DROP COLUMN verified")
    assert "column p.verified does not exist. The query or the tables must be changed." in refused(race)


def test_wrong_permissions_are_one_line(marathon: Marathon) -> None:
    role = conninfo.conninfo_to_dict(marathon.url)["dbname"]
    marathon.execute(f"CREATE ROLE {role} LOGIN")
    try:
        url = conninfo.make_conninfo(marathon.url, user=role)
        assert refused(Database("race", url)) == (
            "auth: The database race: permission denied for table marathons. "
            "Grant its user what the job needs, as docs say."
        )
    finally:
        marathon.execute(f"DROP ROLE {role}")


def test_planning_cannot_write(marathon: Marathon, race: Database) -> None:
    entry = queries(
        evil={"participants": "DELETE FROM participants RETURNING reference, '[]'::json AS photos"}
    )
    assert "read-only transaction" in refused(race, entry=entry, query="evil")


def test_other_names_of_the_tables(marathon: Marathon, race: Database) -> None:
    marathon.insert("1001", ["a.jpg"])
    marathon.execute("CREATE SCHEMA run; ALTER TABLE participants SET SCHEMA run")
    marathon.execute("ALTER TABLE run.participants RENAME TO runners")
    entry = queries(ours={"tables": {"participants": "run.runners"}})
    asked = statements(entry, "ours")
    assert [each.reference for each in find(race, asked, "spring").candidates] == ["1001"]
    assert asked.update == ours("update")


def test_a_query_of_one_s_own(marathon: Marathon, race: Database) -> None:
    marathon.execute("CREATE TABLE pupils (nr integer, class text, school text)")
    marathon.execute("CREATE TABLE pictures (pupil integer, link text, title text)")
    marathon.execute("INSERT INTO pupils VALUES (7, '3b', 'north')")
    marathon.execute("INSERT INTO pictures VALUES (7, 'https://p.example/1.jpg', 'Trees')")
    entry = queries(school={"participants": OWN})
    (pupil,) = find(race, statements(entry, "school"), "north").candidates
    assert (pupil.reference, pupil.fields["class"]) == ("7", "3b")
    assert pupil.photos == ({"url": "https://p.example/1.jpg", "topic": "Trees"},)
    assert statements(entry, "school").update is None, "rows of their own are not ours to update"
    assert "in the query school" in refused(race, "south", entry, "school")


@pytest.mark.parametrize(
    ("written", "verified"),
    [
        ("'false'", False),
        ("'f'", False),
        ("''", False),
        ("0", False),
        ("NULL", False),
        ("'True'", True),
        ("1", True),
    ],
)
def test_a_column_of_text_or_numbers_may_say_who_is_verified(
    race: Database, written: str, verified: bool
) -> None:
    query = f"SELECT 'a' AS reference, '[]'::json AS photos, {written} AS verified"
    (found,) = find(race, statements(queries(own={"participants": query}), "own"), "north").candidates
    assert found.verified is verified


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"participants": "SELECT 1 AS reference"}, "returns no column photos; it returns reference."),
        (
            {"participants": "SELECT NULL AS reference, '[]'::json AS photos UNION ALL SELECT 'a', '[]'"},
            "no reference",
        ),
        ({"participants": "SELECT 'a' AS reference, '{}'::json AS photos"}, "photos that are no JSON array"),
        ({"participant": "SELECT 1"}, "Did you mean participants?"),
        ({"tables": {"participant": "x"}}, "Did you mean participants?"),
        ({"tables": "x"}, "no object of names"),
        ("SELECT 1", "is no object with participants, update or tables"),
        ({"participants": "SELEC"}, "syntax error"),
    ],
)
def test_a_query_that_cannot_be_used_is_one_line(race: Database, query: Any, said: str) -> None:
    assert said in refused(race, entry=queries(own=query), query="own")


def test_2_000_participants_and_48_000_photos_are_found_by_one_query(
    marathon: Marathon, race: Database
) -> None:
    marathon.execute(
        "INSERT INTO participants (marathon_id, reference) SELECT 1, 10000 + n FROM generate_series(1, 2000) n"
    )
    marathon.execute(
        "INSERT INTO submissions (participant_id, topic_id, key) "
        "SELECT p.id, t.id, p.reference || '/' || t.position FROM participants p, topics t"
    )
    with psycopg.connect(marathon.url) as connection:
        connection.execute("ANALYZE")
    found = find(race, statements(None, None), "spring")
    assert len(found.candidates) == 2000
    assert {len(candidate.photos) for candidate in found.candidates} == {24}
