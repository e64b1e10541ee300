"""batchlab.service.follow: whatever woke it, a look does the next thing that is due and says when the one after is."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from batchlab.backend import Hope
from batchlab.errors import ServiceError
from batchlab.ids import new_id
from batchlab.notify import Outlets
from batchlab.outcome import Done
from batchlab.page import token
from batchlab.records import JobRecords
from batchlab.service import follow
from batchlab.service.follow import QUIET, SOON, look, tick
from batchlab.status import State
from batchlab.timer import due, watch
from tests.client.service.scenes import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


def state_of(records: JobRecords) -> State:
    return records.status().state


def test_a_job_that_does_not_exist_is_looked_at_no_more(scene: Scene) -> None:
    assert look(scene.service, new_id()) is None
    assert scene.names("watch/") == []


@pytest.mark.parametrize("hope", [Hope.WAITING, Hope.RUNNING])
def test_a_job_whose_run_is_to_come_is_left_alone(scene: Scene, hope: Hope) -> None:
    records = scene.submit()
    scene.runner.hopes[records.id] = hope
    assert look(scene.service, records.id) == scene.store.time + QUIET
    assert state_of(records) is State.QUEUED
    assert scene.runner.started == [records.id]


def test_a_job_that_is_worked_on_is_left_alone_even_when_its_runner_has_given_up(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING)
    with records.lease(1, "run-1") or pytest.fail("no lease"):
        scene.runner.hopes[records.id] = Hope.OVER
        assert look(scene.service, records.id) == scene.store.time + SOON
    assert state_of(records) is State.RUNNING


def test_a_job_that_is_worked_on_is_not_started_although_its_runner_knows_nothing_of_it(scene: Scene) -> None:
    records = scene.submit()
    scene.runner.hopes.clear()
    with records.lease(1, "by hand") or pytest.fail("no lease"):
        assert look(scene.service, records.id) == scene.store.time + QUIET
    assert scene.runner.started == [records.id]


def test_while_the_runner_says_that_it_runs_no_lease_is_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = scene.submit()
    scene.runner.hopes[records.id] = Hope.RUNNING
    asked: list[int] = []
    monkeypatch.setattr(JobRecords, "at_work", lambda self, generation: asked.append(generation))
    look(scene.service, records.id)
    assert asked == []


def test_a_job_that_nobody_was_asked_to_run_is_started(scene: Scene) -> None:
    records = scene.submit()
    scene.runner.hopes.clear()
    look(scene.service, records.id)
    assert scene.runner.started == [records.id] * 2
    assert state_of(records) is State.QUEUED


def test_no_answer_of_the_runner_is_never_a_reason_to_end_a_job(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = scene.submit()
    monkeypatch.setattr(scene.runner, "hope", lambda _: Hope.UNKNOWN)
    for _ in range(5):
        scene.store.pass_time(days=1)
        assert look(scene.service, records.id) == scene.store.time + SOON
    assert state_of(records) is State.QUEUED


def test_a_job_whose_container_died_without_a_word_is_ended_once_its_lease_is_over(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING)
    scene.plan(records, "a", "b")
    scene.settle(records, Done(key="a"))
    lease = records.lease(1, "run-1")
    assert lease is not None
    body = scene.store.read(f"{records.folder}/g1/lease-all-0.json")
    assert body is not None
    # as it would stand there of a machine that is gone
    scene.store.put(f"{records.folder}/g1/lease-all-0.json", {**body.body, "holder": None})
    scene.runner.hopes[records.id] = Hope.OVER
    look(scene.service, records.id)
    assert state_of(records) is State.RUNNING
    scene.store.pass_time(seconds=61)
    look(scene.service, records.id)
    assert state_of(records) is State.PARTIAL
    assert [failure.key for failure in scene.report(records).failures] == ["b"]


def test_a_paused_job_is_ended_by_nobody_and_looked_at_when_it_goes_on(scene: Scene) -> None:
    records = scene.submit()
    resume_at = scene.store.time + timedelta(hours=3)
    scene.move(records, State.RUNNING, resume_at=resume_at)
    records.save_pending(resume_at)
    for hope in Hope:
        scene.runner.hopes[records.id] = hope
        assert look(scene.service, records.id) == resume_at
    assert state_of(records) is State.RUNNING
    assert scene.runner.started == [records.id]


def test_a_paused_job_is_started_when_its_time_has_come(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING, resume_at=scene.store.time + timedelta(hours=3))
    scene.runner.hopes[records.id] = Hope.OVER
    scene.store.pass_time(hours=3)
    look(scene.service, records.id)
    assert scene.runner.started == [records.id] * 2
    assert state_of(records) is State.RUNNING


def test_a_paused_job_can_be_cancelled(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING, resume_at=scene.store.time + timedelta(hours=3))
    records.save_pending(scene.store.time + timedelta(hours=3))
    records.ask_to_cancel(1)
    scene.runner.hopes[records.id] = Hope.OVER
    look(scene.service, records.id)
    assert state_of(records) is State.CANCELLED
    assert records.status().resume_at is None
    assert scene.names("pending/") == []


@pytest.mark.parametrize(
    ("hope", "ends"),
    [(Hope.UNKNOWN, True), (Hope.OVER, True), (Hope.WAITING, False), (Hope.RUNNING, False)],
)
def test_a_wish_to_cancel_ends_what_nobody_runs_and_stops_what_waits(
    scene: Scene, hope: Hope, ends: bool
) -> None:
    records = scene.submit()
    records.ask_to_cancel(1)
    scene.runner.hopes[records.id] = hope
    look(scene.service, records.id)
    assert (state_of(records) is State.CANCELLED) is ends
    assert scene.runner.stopped == [records.id]
    assert scene.runner.started == [records.id]


def test_the_page_of_a_running_job_is_written_at_each_look(scene: Scene) -> None:
    records = scene.submit()
    scene.move(records, State.RUNNING)
    look(scene.service, records.id)
    shown = json.loads(scene.service.pages.get(f"{token(records)}/status.json") or b"{}")
    assert shown["state"] == "running"


class Told:
    """What was announced, in place of the outlets: each target is told once, after `tries`."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch, tries: int = 1) -> None:
        self.calls = 0
        self.pages: list[str] = []

        def announce(records: JobRecords, outlets: Outlets) -> datetime | None:
            if not records.status().ended:
                return None
            self.calls += 1
            page = scene.service.pages.get(f"{token(records)}/status.json") or b"{}"
            self.pages.append(json.loads(page)["state"])
            return None if self.calls >= tries else scene.store.time + timedelta(seconds=5)

        monkeypatch.setattr(follow, "announce", announce)


def test_an_ended_job_is_shown_first_and_told_then_and_followed_no_longer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(scene, monkeypatch)
    records = scene.submit()
    scene.move(records, State.FAILED)
    assert look(scene.service, records.id) is None
    assert told.pages == ["failed"]


def test_news_that_did_not_get_through_are_told_again_when_they_are_due(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(scene, monkeypatch, tries=3)
    records = scene.submit()
    scene.move(records, State.FAILED)
    look(scene.service, records.id)
    for _ in range(5):
        scene.store.pass_time(seconds=5)
        tick(scene.service)
    assert told.calls == 3


def test_a_job_is_followed_until_what_it_delivered_expires_and_its_page_is_written_once_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    Told(scene, monkeypatch)
    written: list[datetime] = []
    publish = follow.page.publish

    def noting(*given: Any) -> None:
        written.append(scene.store.time)
        publish(*given)

    records = scene.submit(expires="7d")
    expires_at = scene.store.time + timedelta(days=7)
    scene.move(records, State.SUCCEEDED, ended_at=scene.store.time, expires_at=expires_at)
    monkeypatch.setattr(follow.page, "publish", noting)
    assert look(scene.service, records.id) == expires_at
    scene.store.pass_time(days=7)
    tick(scene.service)
    assert written == [expires_at - timedelta(days=7), expires_at]
    scene.store.pass_time(days=30)
    assert list(due(scene.store)) == []


@pytest.mark.parametrize("order", list(itertools.permutations(["STARTING", "SUCCEEDED", "FAILED"]))[:4])
def test_events_that_come_twice_in_any_order_or_not_at_all_lead_to_the_same_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    told = Told(scene, monkeypatch)
    records = scene.submit()
    scene.plan(records, "a")
    scene.runner.hopes[records.id] = Hope.OVER
    for _ in (*order, *reversed(order)):
        look(scene.service, records.id)
    assert state_of(records) is State.FAILED
    assert told.calls >= 1
    first = scene.report(records)
    look(scene.service, records.id)
    assert scene.report(records) == first


def test_without_any_event_the_clock_alone_ends_a_job(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    Told(scene, monkeypatch)
    records = scene.submit()
    scene.runner.hopes[records.id] = Hope.OVER
    for _ in range(11):
        scene.store.pass_time(minutes=1)
        tick(scene.service)
    assert state_of(records) is State.FAILED


def test_eight_that_look_at_once_end_a_job_once(scene: Scene) -> None:
    records = scene.submit()
    scene.plan(records, "a", "b")
    scene.runner.hopes[records.id] = Hope.OVER
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: look(scene.service, records.id), range(8)))
    look(scene.service, records.id)
    assert state_of(records) is State.FAILED
    assert scene.report(records).counts.failed == 2


def test_a_tick_looks_only_at_what_is_due(scene: Scene) -> None:
    first, second = scene.submit(), scene.submit()
    watch(scene.store, first.id, scene.store.time + timedelta(minutes=1))
    for records in (first, second):
        scene.runner.hopes[records.id] = Hope.OVER
        records.drop_pending()
    scene.store.pass_time(minutes=1)
    assert tick(scene.service) == 1
    assert (state_of(first), state_of(second)) == (State.FAILED, State.QUEUED)


def test_a_look_that_fails_is_made_again_and_holds_up_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = scene.submit(), scene.submit()
    hope = scene.runner.hope

    def away_for_the_first(records: JobRecords) -> Hope:
        if records.id == first.id:
            raise ServiceError("AWS Batch does not answer.")
        return hope(records)

    monkeypatch.setattr(scene.runner, "hope", away_for_the_first)
    for records in (first, second):
        records.drop_pending()
    scene.runner.hopes[second.id] = Hope.OVER
    scene.store.pass_time(minutes=10)
    tick(scene.service)
    assert state_of(second) is State.FAILED
    assert f"Job {first.id} is looked at again later" in caplog.text
    assert list(due(scene.store)) == []
    scene.store.pass_time(minutes=10)
    assert [each.job_id for each in due(scene.store)] == [first.id]


def test_a_tick_that_is_out_of_time_leaves_the_rest_to_the_next(scene: Scene) -> None:
    records = scene.submit()
    records.drop_pending()
    scene.store.pass_time(minutes=10)
    assert tick(scene.service, seconds=0) == 0
    assert [each.job_id for each in due(scene.store)] == [records.id]
