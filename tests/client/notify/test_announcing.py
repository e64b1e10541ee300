"""Every end is told, to each target once if all goes well, and by nobody once it is stale."""

from __future__ import annotations

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from batchlab.notify import Outlets, announce, replay
from batchlab.notify.announcing import told
from batchlab.notify.failures import Later
from batchlab.notify.mail import Mail
from batchlab.notify.schedule import CLAIM, WAITS
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.store import Stored
from batchlab.stores.memory import MemoryStore
from tests.client.notify.ended_jobs import JOB_ID, NOON, Clocked, end_generation, ended
from tests.client.notify.receivers import receiving, status, waits

MAILING = Settings(mail_from="photos@shop.example", public_base_url="https://shop.example")
ANA = {"email": "ana@example.com"}


def outlets(settings: Settings, mails: list[Mail] | None = None) -> Outlets:
    """The way out, with a mailbox in place of a mail server."""
    box = [] if mails is None else mails
    return dataclasses.replace(Outlets.of_settings(settings), mailer=box.append)


def test_a_job_that_has_not_ended_is_not_told_of() -> None:
    store, mails = Clocked(), list[Mail]()
    records = ended(store, [ANA])
    store.put(f"jobs/{JOB_ID}/status.json", {**_status(store), "state": "running"})
    assert announce(records, outlets(MAILING, mails)) is None
    assert replay(records, outlets(MAILING, mails)) == 0
    assert told(records) == []
    assert mails == [] and store.notifications() == {}


def test_each_target_is_told_once_however_often_somebody_looks() -> None:
    store, mails = Clocked(), list[Mail]()
    with receiving() as receiver:
        way_out = outlets(dataclasses.replace(MAILING, **_of(receiver.settings())), mails)
        records = ended(store, [ANA, {"webhook": receiver.url}, {"email": "ben@example.com"}])
        for _ in range(3):
            assert announce(records, way_out) is None
    assert [mail.to for mail in mails] == ["ana@example.com", "ben@example.com"]
    assert len(receiver.came) == 1
    assert {name: body["state"] for name, body in store.notifications().items()} == {
        "notify-succeeded-1.json": "sent",
        "notify-succeeded-2.json": "sent",
        "notify-succeeded-3.json": "sent",
    }


@pytest.mark.parametrize(
    ("events", "expected"), [(None, 1), (["succeeded"], 1), (["failed", "succeeded"], 1), (["failed"], 0)]
)
def test_a_target_hears_of_the_ends_it_asked_for(events: list[str] | None, expected: int) -> None:
    store, mails = Clocked(), list[Mail]()
    records = ended(store, [{**ANA, "events": events}])
    announce(records, outlets(MAILING, mails))
    assert len(mails) == len(store.notifications()) == expected


def test_sixteen_who_look_at_once_send_once() -> None:
    class Together(Clocked):
        """Everybody has read the notification before anybody claims it."""

        barrier = threading.Barrier(16)

        def read(self, name: str) -> Stored | None:
            found = super().read(name)
            if found is not None and "/notify-" in name and "attempts" not in found.body:
                self.barrier.wait(60)
            return found

    store = Together()
    with receiving() as receiver, ThreadPoolExecutor(16) as pool:
        records = ended(store, [{"webhook": receiver.url}])
        way_out = outlets(receiver.settings())
        list(pool.map(lambda _: announce(records, way_out), range(16)))
    assert len(receiver.came) == 1
    assert store.notifications()["notify-succeeded-1.json"]["attempts"] == 1


def test_while_one_sends_the_other_is_told_to_look_again_when_the_claim_is_over() -> None:
    store = Clocked()
    with receiving(waits) as receiver, ThreadPoolExecutor(1) as pool:
        records = ended(store, [{"webhook": receiver.url}])
        way_out = outlets(receiver.settings())
        first = pool.submit(announce, records, way_out)
        receiver.arrived.acquire()
        assert announce(records, way_out) == NOON + CLAIM
        receiver.released.set()
        assert first.result() is None
    assert len(receiver.came) == 1


def test_a_sender_killed_between_claim_and_answer_is_made_up_for_with_the_same_id() -> None:
    store = Clocked()

    class Killed(BaseException):
        pass

    def kill(mail: Mail) -> None:
        raise Killed

    records = ended(store, [ANA])
    way_out = outlets(MAILING)
    with pytest.raises(Killed):
        announce(records, dataclasses.replace(way_out, mailer=kill))
    mails: list[Mail] = []
    assert announce(records, outlets(MAILING, mails)) == NOON + CLAIM and mails == []
    store.time += CLAIM
    assert announce(records, outlets(MAILING, mails)) is None
    assert [mail.message_id for mail in mails] == [f"msg_{JOB_ID}_g1_succeeded_1"]


def test_a_receiver_that_fails_three_times_gets_it_the_fourth_time_with_the_same_id_and_body() -> None:
    store = Clocked()
    with receiving(status(500), status(503), status(429), status(200)) as receiver:
        records = ended(store, [{"webhook": receiver.url}])
        way_out = outlets(receiver.settings())
        waited = []
        for _ in range(4):
            due = announce(records, way_out)
            assert announce(records, way_out) == due  # nobody tries before it is due
            if due is not None:
                waited.append(due - store.time)
                store.time = due
    for wait, least in zip(waited, WAITS[1:], strict=False):
        assert least <= wait <= least * 1.1
    assert len(waited) == 3 and len(receiver.came) == 4
    assert len({came.headers["webhook-id"] for came in receiver.came}) == 1
    assert len({came.body for came in receiver.came}) == 1
    assert len({came.headers["webhook-timestamp"] for came in receiver.came}) == 4
    assert store.notifications()["notify-succeeded-1.json"] == {
        "state": "sent",
        "attempts": 4,
        "sent_at": store.time.isoformat().replace("+00:00", "Z"),
    }


def test_after_ten_tries_it_is_given_up_and_says_why() -> None:
    store = Clocked()
    with receiving(status(500)) as receiver:
        records = ended(store, [{"webhook": receiver.url}])
        way_out = outlets(receiver.settings())
        while due := announce(records, way_out):
            store.time = due
    assert len(receiver.came) == 10
    assert timedelta(days=3, hours=3) < store.time - NOON < timedelta(days=3, hours=12)
    dead = store.notifications()["notify-succeeded-1.json"]
    assert dead["state"] == "dead" and "next_at" not in dead
    assert dead["last_error"] == "The receiver answered 500. Given up after 10 tries."


def test_410_is_the_last_word_at_once() -> None:
    store = Clocked()
    with receiving(status(410)) as receiver:
        records = ended(store, [{"webhook": receiver.url}])
        assert announce(records, outlets(receiver.settings())) is None
        store.time += timedelta(days=1)
        assert announce(records, outlets(receiver.settings())) is None
    assert len(receiver.came) == 1
    assert "410" in store.notifications()["notify-succeeded-1.json"]["last_error"]


def test_one_target_that_fails_keeps_nobody_else_waiting() -> None:
    store, mails = Clocked(), list[Mail]()
    with receiving(status(500)) as receiver:
        way_out = outlets(dataclasses.replace(MAILING, **_of(receiver.settings())), mails)
        records = ended(store, [{"webhook": receiver.url}, ANA])
        assert announce(records, way_out) is not None
    assert len(mails) == 1


def test_a_defect_of_ours_is_tried_again_and_keeps_nobody_else_waiting() -> None:
    store, mails = Clocked(), list[Mail]()

    def stumble(mail: Mail) -> None:
        if mail.to == "ana@example.com":
            raise ZeroDivisionError
        mails.append(mail)

    records = ended(store, [ANA, {"email": "ben@example.com"}])
    due = announce(records, dataclasses.replace(outlets(MAILING), mailer=stumble))
    assert due is not None and len(mails) == 1
    assert store.notifications()["notify-succeeded-1.json"]["last_error"] == "ZeroDivisionError; see the log."


# -- what is stale -------------------------------------------------------------------------------------------


def test_an_older_generation_is_not_told_of_once_a_retry_has_begun() -> None:
    store, mails = Clocked(), list[Mail]()
    records = ended(store, [ANA], missing={"a": "missing"})

    def away(mail: Mail) -> None:
        raise Later("away")

    due = announce(records, dataclasses.replace(outlets(MAILING), mailer=away))
    assert due is not None
    records.start_retry()
    store.time = due
    assert announce(records, outlets(MAILING, mails)) is None  # queued again
    end_generation(records)
    assert announce(records, outlets(MAILING, mails)) is None
    assert [mail.message_id for mail in mails] == [f"msg_{JOB_ID}_g2_succeeded_1"]


def test_a_retry_that_begins_between_claim_and_try_is_noticed() -> None:
    class Retried(Clocked):
        """A retry begins at the very moment of the claim."""

        def replace(self, name: str, body: dict[str, object], version: str) -> str:
            new = super().replace(name, body, version)
            if "/notify-" in name and body.get("attempts") == 1 and not self.begun:
                self.begun = True
                records.start_retry()
            return new

        begun = False

    store, mails = Retried(), list[Mail]()
    records = ended(store, [ANA], missing={"a": "missing"})
    announce(records, outlets(MAILING, mails))
    assert mails == []
    assert "A retry has begun" in store.notifications()["notify-partial-1.json"]["last_error"]


def test_a_status_that_comes_late_changes_nothing() -> None:
    store, mails = Clocked(), list[Mail]()
    records = ended(store, [ANA])
    announce(records, outlets(MAILING, mails))
    before = store.notifications()
    records.save_status(records.status().model_copy(update={"state": State.RUNNING}))
    announce(records, outlets(MAILING, mails))
    assert store.notifications() == before and len(mails) == 1


def test_when_the_files_are_deleted_services_hear_of_it_and_people_who_asked() -> None:
    store, mails = Clocked(), list[Mail]()
    with receiving() as receiver:
        way_out = outlets(dataclasses.replace(MAILING, **_of(receiver.settings())), mails)
        targets = [{"webhook": receiver.url}, ANA, {"email": "ben@example.com", "events": ["expired"]}]
        records = ended(store, targets)
        announce(records, way_out)
        store.time += timedelta(days=7)
        records.save_status(records.status().model_copy(update={"state": State.EXPIRED}))
        assert announce(records, way_out) is None
    assert [json.loads(came.body)["type"] for came in receiver.came] == ["job.succeeded", "job.expired"]
    assert [mail.to for mail in mails] == ["ana@example.com", "ben@example.com"]
    assert "no longer available" in mails[1].subject


def test_no_mail_announces_what_has_expired_while_it_waited() -> None:
    store, mails = Clocked(), list[Mail]()

    def away(mail: Mail) -> None:
        raise Later("away")

    with receiving(status(500), status(204)) as receiver:
        way_out = outlets(dataclasses.replace(MAILING, **_of(receiver.settings())), mails)
        records = ended(store, [ANA, {"webhook": receiver.url}], expires=timedelta(hours=1))
        announce(records, dataclasses.replace(way_out, mailer=away))
        store.time += timedelta(hours=2)
        records.save_status(records.status().model_copy(update={"state": State.EXPIRED}))
        assert announce(records, way_out) is None
    assert mails == []
    assert "expired" in store.notifications()["notify-succeeded-1.json"]["last_error"]
    # A service was asked to be told, and what happened did happen.
    assert [json.loads(came.body)["data"]["state"] for came in receiver.came] == [
        "succeeded",
        "succeeded",
        "expired",
    ]


# -- replay --------------------------------------------------------------------------------------------------


def test_a_replay_sends_all_once_more_with_the_same_ids_and_changes_nothing_else() -> None:
    store, mails = Clocked(), list[Mail]()
    with receiving(status(410), status(204)) as receiver:
        way_out = outlets(dataclasses.replace(MAILING, **_of(receiver.settings())), mails)
        records = ended(store, [{"webhook": receiver.url}, ANA])
        announce(records, way_out)
        others = {name: store.read(name) for name in store.names("") if "/notify-" not in name}
        store.time += timedelta(hours=1)
        assert replay(records, way_out) == 2
    assert {name: store.read(name) for name in store.names("") if "/notify-" not in name} == others
    assert len(mails) == len(receiver.came) == 2
    assert mails[0] == mails[1]
    assert receiver.came[0].headers["webhook-id"] == receiver.came[1].headers["webhook-id"]
    assert receiver.came[0].body == receiver.came[1].body
    assert [(whom, each.state) for whom, each in told(records)] == [
        (f"http://127.0.0.1:{receiver.port}/hooks", "sent"),
        ("ana@example.com", "sent"),
    ]


def test_what_a_replay_could_not_send_is_tried_again_by_whoever_follows_the_job() -> None:
    store = Clocked()
    with receiving(status(204), status(500), status(204)) as receiver:
        way_out = outlets(receiver.settings())
        records = ended(store, [{"webhook": receiver.url}])
        announce(records, way_out)
        assert replay(records, way_out) == 1
        due = announce(records, way_out)
        assert due is not None
        store.time = due
        assert announce(records, way_out) is None
    assert len(receiver.came) == 3


def _status(store: MemoryStore) -> dict[str, object]:
    found = store.read(f"jobs/{JOB_ID}/status.json")
    assert found is not None
    return found.body


def _of(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in ("webhook_hosts", "webhook_secret", "allow_local")}
