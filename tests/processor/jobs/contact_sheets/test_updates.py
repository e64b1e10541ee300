"""The database is told of all sheets at once, and what it was not told is kept."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batchlab.kinds import ItemError
from batchlab.named import NamedEntries
from batchlab.records import JobRecords
from batchlab_processor.databases import Database
from batchlab_processor.jobs.contact_sheets import updates
from batchlab_processor.jobs.contact_sheets.database import statements
from batchlab_processor.jobs.contact_sheets.making import SheetFactory
from batchlab_processor.jobs.contact_sheets.updates import Update, read_pending, run_update
from batchlab_processor.postgres import server
from tests.processor.jobs.contact_sheets.marathon import Marathon, Sheets

NOW = datetime(2026, 6, 6, 12, tzinfo=UTC)


def params(marathon: Marathon, **more: Any) -> dict[str, Any]:
    return {"domain": marathon.domain, "database": "race", "photos": marathon.photos.as_uri(), **more}


def crowd(marathon: Marathon, count: int) -> list[Update]:
    marathon.execute(
        f"INSERT INTO participants (marathon_id, reference) SELECT 1, n FROM generate_series(1, {count}) AS n"
    )
    with psycopg.connect(marathon.url) as connection:
        found = connection.execute("SELECT id::text, reference FROM participants").fetchall()
    return [Update(row, reference, f"spring/{reference}.jpg", 1, NOW) for row, reference in found]


def connected(marathon: Marathon) -> psycopg.Connection[Any]:
    """One connection of somebody else's; a server takes a moment to see that an earlier one has ended."""
    while True:
        try:
            return psycopg.connect(marathon.url)
        except psycopg.OperationalError as error:
            if "too many clients" not in str(error):
                raise


def sessions(marathon: Marathon) -> int:
    """How many connections the database has seen; the statistics of one appear when it has ended."""
    with psycopg.connect(marathon.url, autocommit=True) as connection:
        for _ in range(100):
            connection.execute("SELECT pg_stat_clear_snapshot()")
            row = connection.execute(
                "SELECT sessions, numbackends FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            if row[1] == 1:
                break
            connection.execute("SELECT pg_sleep(0.05)")
        connection.execute("SELECT pg_sleep(0.1), pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("count", [3, 1200])
@pytest.mark.parametrize("copy_above", [1000, 50_000])
def test_all_rows_are_told_by_arrays_and_by_copy_alike(
    marathon: Marathon, count: int, copy_above: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "COPY_ABOVE", copy_above)
    told = crowd(marathon, count)
    database, asked = Database("race", marathon.url), statements(lambda *_: None, None)
    for _ in range(2):  # the same again changes nothing
        assert run_update(told, database, asked) == {update.id for update in told}
        assert marathon.rows() == {update.reference: (update.key, 1) for update in told}


def test_rows_whose_ids_are_uuids_are_told_too(marathon: Marathon) -> None:
    """As Supabase makes them, in a table renamed by the configuration."""
    marathon.execute(
        "CREATE TABLE runners (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), reference integer, "
        "contact_sheet_key text, contact_sheet_pages smallint, contact_sheet_made_at timestamp); "
        "INSERT INTO runners (reference) SELECT generate_series(1, 3)"
    )
    with psycopg.connect(marathon.url) as connection:
        ids = [row[0] for row in connection.execute("SELECT id::text FROM runners")]
    told = [Update(each, "1", "1.jpg", 1, NOW) for each in ids]
    renamed = statements(lambda *_: {"tables": {"participants": "runners"}}, "renamed")
    assert run_update(told, Database("race", marathon.url), renamed) == set(ids)


def versions(sheets_of: Sheets) -> dict[str, tuple[int, int]]:
    """Which file each sheet is and when it was written; not when it was read."""
    found = {name: (sheets_of.directory / name).stat() for name in sheets_of.made()}
    return {name: (at.st_ino, at.st_mtime_ns) for name, at in found.items()}


def test_a_job_of_many_sheets_uses_two_connections(marathon: Marathon, sheets_of: Sheets) -> None:
    marathon.add("0", 8)
    keys = [f"0/{number:02}.jpg" for number in range(1, 9)]
    for number in range(1, 30):
        marathon.insert(str(number), keys)
    before = sessions(marathon)
    assert sheets_of(**params(marathon)).counts.done == 30
    assert sessions(marathon) - before == 2 + 1  # and this look itself


def test_a_database_that_cannot_be_told_leaves_the_sheets_made_and_the_updates_pending(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    marathon.add("1002", 8)
    marathon.execute("ALTER TABLE participants RENAME COLUMN contact_sheet_pages TO pages")
    report = sheets_of(**params(marathon))
    assert report.state == "partial"
    assert report.message == (
        "2 participants done. 2 database updates are pending: `batchlab db apply` makes them."
    )
    assert report.facts["generation"] == {"succeeded": 2, "failed": 0, "unchanged": 0, "unreadable_photos": 0}
    assert report.facts["database_updates"] == {"succeeded": 0, "failed": 2}
    (error,) = report.facts["errors"]
    assert error["stage"] == "database"
    assert 'column "contact_sheet_pages"' in error["message"]
    records = sheets_of.records
    assert records is not None
    assert {each.reference for each in read_pending(records.store, records.id, 1)} == {"1001", "1002"}

    before = versions(sheets_of)
    marathon.execute("ALTER TABLE participants RENAME COLUMN pages TO contact_sheet_pages")
    assert sheets_of.retry().state == "succeeded", "a retry tells the rows, too, and makes no sheet again"
    assert versions(sheets_of) == before
    assert marathon.rows()["1001"] == ("spring/1001/contact-sheet.jpg", 1)


def test_a_row_that_is_gone_meanwhile_is_pending_and_the_others_are_told(
    marathon: Marathon, sheets_of: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    marathon.add("1001", 8)
    marathon.add("1002", 8)
    real = updates.run_update

    def after_a_deletion(*arguments: Any) -> set[str]:
        marathon.execute("DELETE FROM participants WHERE reference = '1001'")
        return real(*arguments)

    monkeypatch.setattr(updates, "run_update", after_a_deletion)
    report = sheets_of(**params(marathon))
    assert report.facts["database_updates"] == {"succeeded": 1, "failed": 1}
    assert "1 row was not found" in report.facts["errors"][0]["message"]
    assert marathon.rows() == {"1002": ("spring/1002/contact-sheet.jpg", 1)}


def test_a_database_that_is_no_longer_configured_leaves_the_updates_pending(
    marathon: Marathon, sheets_of: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    marathon.add("1001", 8)
    real = SheetFactory.make

    def make_and_forget(*arguments: Any) -> Any:
        sheets_of.entries.clear()
        return real(*arguments)

    monkeypatch.setattr(SheetFactory, "make", make_and_forget)
    report = sheets_of(**params(marathon))
    assert report.state == "partial"
    assert report.facts["database_updates"] == {"succeeded": 0, "failed": 1}
    assert "There is no entry 'race' under databases." in report.facts["errors"][0]["message"]


def test_without_an_update_of_its_own_a_query_of_one_s_own_changes_no_row(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    own = (
        "SELECT p.id::text AS id, p.reference, json_agg(s.key) AS photos FROM participants p "
        "JOIN submissions s ON s.participant_id = p.id WHERE %(domain)s = 'spring' GROUP BY p.id"
    )
    sheets_of.entries = {**sheets_of.entries, "queries": {"own": {"participants": own}}}
    report = sheets_of(**params(marathon, query="own"))
    assert (report.state, report.facts["database_updates"]) == ("succeeded", {"succeeded": 0, "failed": 0})
    assert marathon.rows() == {"1001": (None, None)}
    update = "UPDATE participants p SET contact_sheet_key = u.key FROM updates u WHERE p.id = u.id::int RETURNING u.id"
    sheets_of.entries = {**sheets_of.entries, "queries": {"own": {"participants": own, "update": update}}}
    sheets_of(**params(marathon, query="own"))
    assert marathon.rows() == {"1001": ("spring/1001/contact-sheet.jpg", None)}


def test_a_kill_before_the_rows_are_told_loses_no_update(
    marathon: Marathon, sheets_of: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reference in ("1001", "1002", "1003"):
        marathon.add(reference, 8)

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> set[str]:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("batchlab_processor.jobs.contact_sheets.tell", killed)
        with pytest.raises(Killed):
            sheets_of(**params(marathon))
    before = versions(sheets_of)
    assert len(before) == 3
    report = sheets_of.run()
    assert report.state == "succeeded"
    assert report.facts["database_updates"] == {"succeeded": 3, "failed": 0}
    assert versions(sheets_of) == before
    assert None not in {key for key, _ in marathon.rows().values()}


def test_a_sheet_whose_run_was_killed_right_after_its_upload_is_not_uploaded_again(
    marathon: Marathon, sheets_of: Sheets
) -> None:
    marathon.add("1001", 8)
    sheets_of(**params(marathon))
    before = versions(sheets_of)
    marathon.execute("UPDATE participants SET contact_sheet_key = NULL")
    report = sheets_of(**params(marathon))  # another job, which knows nothing of the first one's ledger
    assert report.facts["generation"]["unchanged"] == 1
    assert versions(sheets_of) == before
    assert marathon.rows() == {"1001": ("spring/1001/contact-sheet.jpg", 1)}


def test_three_connections_in_all_are_enough_and_none_to_spare_is_waited_for(
    tmp_path: Path, sheets: Sheets
) -> None:
    few = {"max_connections": "3", "superuser_reserved_connections": "0", "max_wal_senders": "0"}
    with server(settings=few) as running:
        marathon = Marathon(running.url, tmp_path / "uploads")
        marathon.photos.mkdir()
        marathon.create()
        for number in range(6):
            marathon.add(str(number), 8)
        sheets.entries = {"databases": {"race": marathon.url}}
        with ExitStack() as others:
            for _ in range(2):  # two of three are somebody else's all the time
                others.enter_context(connected(marathon))
            assert sheets(**params(marathon), workers=5).state == "succeeded"
        with ExitStack() as others:
            for _ in range(3):
                others.enter_context(connected(marathon))
            threading.Timer(0.001, others.pop_all().close).start()
            report = sheets(**params(marathon), attempts=20)
        assert report.facts["participants"]["left_out"] == {"has_a_sheet": 6}
        with ExitStack() as others:
            for _ in range(3):
                others.enter_context(connected(marathon))
            with pytest.raises(ItemError, match="has no connection to spare"):
                run_update([], Database("race", marathon.url), statements(lambda *_: None, None))


def test_a_restart_in_the_middle_of_the_update_is_survived(
    tmp_path: Path, sheets: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server() as running:
        marathon = Marathon(running.url, tmp_path / "uploads")
        marathon.photos.mkdir()
        marathon.create()
        for number in range(4):
            marathon.add(str(number), 8)
        sheets.entries = {"databases": {"race": marathon.url}}
        updating, done = threading.Event(), threading.Event()
        real = updates._unnested

        def interrupted(connection: Any, told: Any, statement: Any) -> Any:
            rows = real(connection, told, statement)
            if not updating.is_set():
                updating.set()
                done.wait(30)
            return rows

        monkeypatch.setattr(updates, "_unnested", interrupted)
        reports = []
        job = threading.Thread(target=lambda: reports.append(sheets(**params(marathon))))
        job.start()
        assert updating.wait(30)
        running.stop()
        running.start()
        done.set()
        job.join()
        (report,) = reports
        assert report.state == "succeeded", report
        assert {key for key, _ in marathon.rows().values()} == {
            f"spring/{number}/contact-sheet.jpg" for number in range(4)
        }


def test_pending_updates_are_applied_later_and_only_once(
    marathon: Marathon, sheets_of: Sheets, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from batchlab.records import submit_locally
    from batchlab.settings import Settings
    from batchlab.stores import open_store
    from batchlab_processor.jobs.contact_sheets.updates import keep_pending
    from batchlab_processor.pending import apply

    settings = Settings(
        store=f"file://{tmp_path}/store", named=NamedEntries({"databases": {"race": marathon.url}})
    )
    told = crowd(marathon, 3)
    store = open_store(settings.store, settings=settings)
    document = sheets_of_document(sheets_of, marathon)
    records: JobRecords = submit_locally(store, document)
    keep_pending(store, records.id, 1, [*told, Update("999", "gone", "x", 1, NOW)])
    url = f"{store.url}/jobs/{records.id}/job.json"
    assert apply(url, settings, as_json=False) == 3
    assert capsys.readouterr().out == (
        "3 rows updated, 1 still pending. 1 row was not found: deleted meanwhile, or hidden from this user.\n"
    )
    assert marathon.rows() == {update.reference: (update.key, 1) for update in told}
    keep_pending(store, records.id, 1, told)
    assert apply(url, settings, as_json=False) == 0
    assert apply(url, settings, as_json=True) == 0
    assert capsys.readouterr().out.endswith('{"succeeded": 0, "pending": []}\n')


def sheets_of_document(sheets: Sheets, marathon: Marathon) -> Any:
    from batchlab.document import load_document

    return load_document(
        {"type": "contact-sheets", "params": params(marathon), "output": sheets.directory.as_uri()}
    )
