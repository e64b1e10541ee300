"""batchlab.service.item_pages: a large job is read once for all its pages, and an answer is never an old one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome, Skipped
from batchlab.records import JobRecords
from batchlab.report import Figures, build_report
from batchlab.service.item_pages import ItemPages
from batchlab.status import State
from tests.client.service.scenes import Scene

KEYS = [f"{number:02}" for number in range(20)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store is asked to read: the names of documents and segments."""
    names: list[str] = []

    def noting(verb: Callable[[str], Any]) -> Callable[[str], Any]:
        def note(name: str) -> Any:
            names.append(name.rpartition("/")[2])
            return verb(name)

        return note

    for verb in ("read", "lines"):
        monkeypatch.setattr(scene.store, verb, noting(getattr(scene.store, verb)))
    return names


def ended(scene: Scene, monkeypatch: pytest.MonkeyPatch, outcomes: list[Outcome]) -> JobRecords:
    """A job too large for its report to list each item; its ledger knows none that is done."""
    monkeypatch.setattr("batchlab.report.ITEMS_INLINE", 3)
    records = scene.submit()
    scene.plan(records, *(outcome.key for outcome in outcomes))
    scene.settle(records, *(outcome for outcome in outcomes if not isinstance(outcome, Done)))
    end(scene, records, outcomes)
    return records


def end(scene: Scene, records: JobRecords, outcomes: list[Outcome]) -> None:
    now = scene.store.now()
    report = build_report(records.document(), outcomes, (), Figures(started_at=now, ended_at=now))
    records.create_report(records.status().generation, report)
    scene.move(records, report.state, ended_at=now)


def keys(
    pages: ItemPages, records: JobRecords, outcome: str | None = None, limit: int = 4
) -> Iterator[tuple[str, ...]]:
    """Page after page."""
    cursor = None
    while True:
        page = pages.page(records, outcome=outcome, limit=limit, cursor=cursor)
        yield tuple(item.key for item in page.items)
        cursor = page.next
        if cursor is None:
            return


@pytest.mark.parametrize("outcome", [None, "done", "failed", "skipped"])
def test_plan_and_ledger_of_a_job_that_has_ended_are_read_for_its_first_page_alone(
    scene: Scene, read: list[str], monkeypatch: pytest.MonkeyPatch, outcome: str | None
) -> None:
    outcomes: list[Outcome] = [
        Failed(key=key, kind=Kind.MISSING, message="gone") if number % 3 else Done(key=key)
        for number, key in enumerate(KEYS[:-5])
    ] + [Skipped(key=key, reason="not_started") for key in KEYS[-5:]]
    records = ended(scene, monkeypatch, outcomes)
    pages, found = ItemPages(), list[str]()
    for number, page in enumerate(keys(pages, records, outcome)):
        found += page
        assert ("plan.json" in read) is (number == 0)
        assert number == 0 or read == ["status.json"]
        read.clear()
    assert found == [each.key for each in outcomes if outcome in (None, each.outcome)]


def test_of_a_running_job_an_item_that_ended_between_two_pages_is_on_the_next(
    scene: Scene, read: list[str]
) -> None:
    records = scene.submit()
    scene.settle(records, *(Done(key=key) for key in KEYS[:6]))
    scene.move(records, State.RUNNING)
    there = keys(ItemPages(), records)
    assert next(there) == tuple(KEYS[:4])
    scene.settle(records, *(Done(key=key) for key in KEYS[6:10]))
    assert next(there) == tuple(KEYS[4:8])
    read.clear()
    assert next(there) == tuple(KEYS[8:10])
    assert read == ["status.json"], "nothing was new"


def test_the_end_of_a_job_and_its_retry_are_seen_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchlab.report.ITEMS_INLINE", 3)
    records = scene.submit()
    scene.plan(records, *KEYS)
    scene.settle(records, *(Done(key=key) for key in KEYS[:6]))
    scene.move(records, State.RUNNING)
    pages = ItemPages()
    assert len(next(keys(pages, records))) == 4
    scene.move(records, State.CANCELLED)  # somebody writes the report next
    assert sum(map(len, keys(pages, records))) == 6
    outcomes: list[Outcome] = [
        Failed(key=key, kind=Kind.MISSING, message="gone") if number > 5 else Done(key=key)
        for number, key in enumerate(KEYS)
    ]
    end(scene, records, outcomes)
    assert sum(map(len, keys(pages, records))) == 20
    assert sum(map(len, keys(pages, records, "failed"))) == 14
    records.save_status(records.status().model_copy(update={"state": State.QUEUED, "generation": 2}))
    assert list(keys(pages, records)) == [()]


def test_pages_of_two_jobs_in_turn_are_those_of_each(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (ended(scene, monkeypatch, [Done(key=name + key) for key in KEYS]) for name in "ab")
    pages = ItemPages()
    for mine, others in zip(keys(pages, one), keys(pages, other), strict=True):
        assert {key[0] for key in mine} == {"a"} and {key[0] for key in others} == {"b"}
