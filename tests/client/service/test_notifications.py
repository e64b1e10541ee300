"""What the service makes of notifications: whoever follows the jobs sends what did not get through."""

from __future__ import annotations

import json
from typing import Any

from batchlab.notify.announcing import told
from batchlab.service.follow import look, tick
from batchlab.service.jobs import Jobs
from batchlab.status import State
from tests.client.notify.ended_jobs import SECRET
from tests.client.notify.receivers import receiving, status
from tests.client.service.scenes import Scene


def test_an_end_is_told_by_the_look_at_the_job_and_a_failed_try_by_a_later_tick() -> None:
    with receiving(status(500), status(204)) as receiver:
        scene = _scene(receiver.port)
        records = scene.submit(notify=[{"webhook": receiver.url}])
        scene.move(records, State.SUCCEEDED, ended_at=scene.store.now())
        assert look(scene.service, records.id) is not None
        scene.store.pass_time(seconds=4)
        tick(scene.service)
        assert len(receiver.came) == 1
        scene.store.pass_time(seconds=2)
        tick(scene.service)
        tick(scene.service)
    assert [json.loads(came.body)["type"] for came in receiver.came] == ["job.succeeded", "job.succeeded"]


def test_a_replay_makes_all_due_and_the_next_tick_sends_them() -> None:
    with receiving(status(204)) as receiver:
        scene = _scene(receiver.port)
        records = scene.submit(notify=[{"webhook": receiver.url}] * 2)
        scene.move(records, State.SUCCEEDED, ended_at=scene.store.now())
        look(scene.service, records.id)
        scene.store.pass_time(days=1)
        assert Jobs(scene.service).replay(records.id) == 2
        assert [(each.state, each.attempts) for _, each in told(records)] == [("pending", 0)] * 2
        assert len(receiver.came) == 2
        tick(scene.service)
        assert [(each.state, each.attempts) for _, each in told(records)] == [("sent", 1)] * 2
    assert len(receiver.came) == 4


def test_what_is_new_is_tried_at_once_also_when_the_clock_steps_back() -> None:
    with receiving(status(204)) as receiver:
        scene = _scene(receiver.port)
        records = scene.submit(notify=[{"webhook": receiver.url}])
        scene.move(records, State.SUCCEEDED, ended_at=scene.store.now())
        create = scene.store.create

        def then_step_back(name: str, body: Any) -> str:
            version = create(name, body)
            scene.store.pass_time(seconds=-0.9)  # what S3 says after the Date of its last answer
            return version

        scene.store.create = then_step_back  # type: ignore[method-assign]
        look(scene.service, records.id)
    assert len(receiver.came) == 1


def test_where_nobody_follows_the_jobs_a_replay_sends_by_itself_and_a_later_tick_the_rest() -> None:
    with receiving(status(204), status(500), status(204)) as receiver:
        scene = _scene(receiver.port)
        records = scene.submit(notify=[{"webhook": receiver.url}])
        scene.move(records, State.SUCCEEDED, ended_at=scene.store.now())
        look(scene.service, records.id)
        scene.store.pass_time(days=1)
        tick(scene.service)
        assert Jobs(scene.service, followed=False).replay(records.id) == 1
        assert len(receiver.came) == 2
        tick(scene.service)
        scene.store.pass_time(seconds=6)
        tick(scene.service)
    assert len({came.headers["webhook-id"] for came in receiver.came}) == 1 and len(receiver.came) == 3


def _scene(port: int) -> Scene:
    return Scene(webhook_hosts=(f"127.0.0.1:{port}",), webhook_secret=SECRET, allow_local=True)
