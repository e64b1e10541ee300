"""What lies under a token after each change of a job."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from batchlab.page import publish, token
from batchlab.page.pages import MemoryPages
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.stores.memory import MemoryStore
from tests.customer_jobs import HOSTILE, STATES, end, move, new_job, run

SETTINGS = Settings(store="memory://publishing", contact="photos@example.com")


class Told:
    """A store and the pages of its jobs."""

    def __init__(self) -> None:
        self.store = MemoryStore("publishing")
        self.pages = MemoryPages()

    def publish(self, records: JobRecords, settings: Settings = SETTINGS, **more: Any) -> None:
        publish(records, self.pages, settings, **more)

    def text(self, records: JobRecords, name: str = "index.html") -> str:
        body = self.pages.get(f"{token(records)}/{name}")
        assert body is not None
        return body.decode()

    def json(self, records: JobRecords, name: str = "status.json") -> Any:
        return json.loads(self.text(records, name))

    def link(self, records: JobRecords) -> Any:
        body = self.pages.get(f"{token(records)}/link.json")
        return None if body is None else json.loads(body)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize("state", STATES)
def test_nobody_with_the_link_reads_where_photos_or_archives_lie(told: Told, state: str) -> None:
    records = STATES[state](told.store)
    told.publish(records)
    for name in ("index.html", "status.json"):
        text = told.text(records, name)
        assert "photos.example" not in text, "the address of a source"
        assert "delivery" not in text and "r2://" not in text, "the place of an archive"
        assert records.id not in text
        assert "answered 404" not in text, "the words of a server"


@pytest.mark.parametrize("state", STATES)
def test_every_text_is_filled_in(told: Told, state: str) -> None:
    records = STATES[state](told.store)
    told.publish(records)
    page = re.sub(r"<(style|script)>.*?</\1>", "", told.text(records), flags=re.DOTALL)
    assert "\ufffc" not in page or state == "hostile"
    assert state == "hostile" or ("{" not in page and "None" not in page)


def test_nothing_can_be_fetched_before_something_is_delivered(told: Told) -> None:
    records = new_job(told.store)
    told.publish(records)
    assert told.link(records) is None
    run(records)
    told.publish(records)
    assert told.link(records) is None
    assert told.json(records)["expires_at"] is None


def test_what_is_delivered_is_listed_with_the_hour_until_which_it_is_kept(told: Told) -> None:
    records = new_job(told.store)
    end(records, parts=2)
    told.publish(records)
    link, report = told.link(records), records.report(1)
    assert report is not None
    promised = (report.ended_at + timedelta(days=7)).isoformat()
    assert [link[key] for key in ("version", "generation", "state", "expires_at", "contact")] == [
        1, 1, "succeeded", promised, "photos@example.com",
    ]  # fmt: skip
    assert link["artifacts"][1] == {
        "number": 2,
        "name": "album-2.zip",
        "url": f"r2://delivery/zips/{records.id}/g1/album-2.zip",
        "size_bytes": 1_204_311_987,
        "members": 2500,
        "content_type": "application/zip",
    }
    assert told.json(records)["expires_at"] == promised


def test_more_time_given_by_the_status_is_kept(told: Told) -> None:
    records = new_job(told.store)
    end(records)
    later = records.store.now() + timedelta(days=30)
    move(records, State.SUCCEEDED, expires_at=later)
    told.publish(records)
    assert told.link(records)["expires_at"] == later.isoformat()


def test_a_job_that_keeps_its_files_for_ever_says_no_date(told: Told) -> None:
    records = STATES["succeeded-for-ever"](told.store)
    told.publish(records)
    assert told.link(records)["expires_at"] is None
    assert "Available until" not in told.text(records)


@pytest.mark.parametrize("state", ["expired", "expired-by-cleanup"])
def test_once_expired_the_link_is_empty_and_the_page_says_since_when(told: Told, state: str) -> None:
    records = STATES[state](told.store)
    told.publish(records)
    link = told.link(records)
    assert (link["artifacts"], link["state"]) == ([], "expired")
    assert told.json(records)["state"] == "expired"
    for name in ("index.html", "gone.html"):
        assert "No longer available" in told.text(records, name)
        assert "It was kept until <time" in told.text(records, name)
        assert "/d/" not in told.text(records, name)


def test_a_retry_leaves_the_older_download_until_the_new_one_takes_its_place_in_one_write(told: Told) -> None:
    records = new_job(told.store)
    end(records, State.PARTIAL, missing=20)
    told.publish(records)
    first = told.link(records)
    records.start_retry()
    for act in (lambda: None, lambda: run(records)):
        act()
        told.publish(records)
        assert told.link(records) == first
        assert "Download the earlier version" in told.text(records)
    end(records, State.SUCCEEDED, ago=timedelta(0))
    told.publish(records)
    assert told.link(records)["generation"] == 2
    assert "earlier" not in told.text(records)


def test_an_older_download_stays_when_the_retry_fails_and_goes_at_its_own_hour(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = STATES["retry-failed-with-an-older-download"](told.store)
    told.publish(records)
    assert told.link(records)["generation"] == 1
    assert "The earlier version is still here" in told.text(records)
    assert told.json(records)["expires_at"] is None, "the page itself tells of the failure after that, too"
    now = records.store.now() + timedelta(days=7)
    monkeypatch.setattr(records.store, "now", lambda: now)
    told.publish(records)
    assert told.link(records) is None
    assert "earlier version" not in told.text(records)


def test_a_job_that_fails_or_is_cancelled_promises_nothing(told: Told) -> None:
    for state in (State.FAILED, State.CANCELLED):
        records = new_job(told.store)
        end(records, state, missing=3)
        told.publish(records)
        assert told.link(records) is None
        assert "/d/" not in told.text(records)


def test_a_status_that_moves_while_the_page_is_written_is_written_too(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = new_job(told.store)
    moves = [lambda: run(records), lambda: end(records)]
    put = told.pages.put

    def meanwhile(name: str, body: bytes, content_type: str) -> None:
        put(name, body, content_type)
        if name.endswith("index.html") and moves:
            moves.pop(0)()

    monkeypatch.setattr(told.pages, "put", meanwhile)
    told.publish(records)
    assert told.json(records)["state"] == "succeeded"
    assert told.link(records)["generation"] == 1
    assert "Ready to download" in told.text(records)


def test_counts_alone_are_no_reason_to_write_again(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    records = new_job(told.store)
    run(records, share=0.1)
    written: list[str] = []
    put = told.pages.put

    def meanwhile(name: str, body: bytes, content_type: str) -> None:
        put(name, body, content_type)
        written.append(name)
        run(records, share=0.2, started_at=records.status().started_at)

    monkeypatch.setattr(told.pages, "put", meanwhile)
    told.publish(records)
    assert len(written) == 2, "index.html and status.json, once"


def test_status_json_is_last_so_that_a_page_loaded_because_of_it_is_the_new_one(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = new_job(told.store)
    end(records)
    written: list[str] = []
    monkeypatch.setattr(told.pages, "put", lambda name, *_: written.append(name.split("/")[1]))
    told.publish(records)
    assert written == ["link.json", "gone.html", "index.html", "status.json"]


def test_progress_is_told_in_figures_and_in_words(told: Told) -> None:
    records = new_job(told.store, language="de")
    run(records, share=0.25)
    told.publish(records, eta_seconds=240.4)
    status = told.json(records)
    assert status["counts"] == {"total": 5000, "done": 1247, "missing": 3}
    assert (status["percent"], status["eta_seconds"], status["message"]) == (
        25,
        240,
        "Ihre Fotos werden gepackt",
    )
    assert status["live"] == {
        "counts": "1.247 von 5.000 Fotos",
        "size": "5,0 GB von 20,0 GB",
        "eta": "noch etwa 4 Minuten",
        "missing": "Bisher nicht dabei: 3 Fotos",
    }


def test_without_a_runs_own_word_the_pace_so_far_tells_how_long_it_takes(told: Told) -> None:
    records = new_job(told.store)
    run(records, share=0.5)  # after a quarter of an hour
    told.publish(records)
    assert told.json(records)["eta_seconds"] == pytest.approx(900, abs=5)
    early = new_job(told.store)
    run(early, share=0.5, started_at=early.store.now() - timedelta(seconds=5))
    told.publish(early)
    assert told.json(early)["eta_seconds"] is None, "too early to say"


def test_nobody_is_told_how_long_a_stalled_job_takes(told: Told) -> None:
    records = STATES["stalled"](told.store)
    told.publish(records)
    status = told.json(records)
    assert status["stalled"] is True and status["live"]["eta"] == ""
    assert "longer than usual" in told.text(records)


def test_a_hundred_percent_is_never_shown_before_the_end(told: Told) -> None:
    records = new_job(told.store)
    run(records, share=1.0)
    told.publish(records)
    assert told.json(records)["percent"] == 99


def test_missing_photos_are_named_with_plain_reasons_and_the_others_counted(told: Told) -> None:
    records = STATES["partial-many"](told.store)
    told.publish(records)
    page = told.text(records)
    assert page.count('<span class="why">') == 202
    assert "IMG_0199.jpg" in page and "IMG_0200.jpg" not in page
    assert "300 photos missing" in page
    assert "and 60 photos more" in page
    assert "40 photos had not been started when it ended." in page


def test_hostile_names_are_written_as_text(told: Told) -> None:
    records = STATES["hostile"](told.store)
    told.publish(records)
    page = told.text(records)
    assert page.count("<script>") == 1 and "<img" not in page
    assert "\u202e" not in page and "\u2066" not in page
    assert page.count("<bdi>") == 1 + len(HOSTILE)
    assert "&amp;lt;b&amp;gt;" in page and "{title}" in page


def test_contact_is_an_address_or_a_link(told: Told) -> None:
    records = new_job(told.store)
    told.publish(records)
    assert '<a href="mailto:photos@example.com">photos@example.com</a>' in told.text(records)
    told.publish(records, Settings(contact='https://photos.example.com/help?a=1&b="'))
    assert 'href="https://photos.example.com/help?a=1&amp;b=&quot;"' in told.text(records)
    told.publish(records, Settings())
    assert "<footer>" not in told.text(records)


def test_the_documents_language_goes_before_the_settings(told: Told) -> None:
    german = Settings(language="de")
    for language, shown in ((None, "de"), ("en", "en")):
        records = new_job(told.store, language=language)
        told.publish(records, german)
        assert f'<html lang="{shown}">' in told.text(records)
        assert told.json(records)["language"] == shown


def test_the_policy_in_the_page_knows_its_style_and_script_and_nothing_else(told: Told) -> None:
    import base64
    import hashlib

    records = new_job(told.store)
    told.publish(records)
    page = told.text(records)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and policy[1].startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert "unsafe" not in policy[1] and "http" not in policy[1]
    assert not re.search(r"<[^>]+\s(style|on\w+)=", page), "nothing that the policy would refuse"


def test_only_a_page_that_still_changes_looks_again(told: Told) -> None:
    records = new_job(told.store)
    told.publish(records)
    assert 'http-equiv="refresh"' in told.text(records) and "data-status" in told.text(records)
    end(records)
    told.publish(records)
    assert 'http-equiv="refresh"' not in told.text(records) and '<main class="">' in told.text(records)
