"""A kill between each two steps of a submission: every accepted job ends, and a key has one job.

BATCHLAB_TEST_FAULTS is the number of kills at random moments; those after each write are always all of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchlab.authority import Authority
from batchlab.document import JobDocument, load_document
from batchlab.job_index import list_jobs
from batchlab.kinds import Kind
from batchlab.records import JobRecords
from batchlab.service import submission
from batchlab.service.core import Service
from batchlab.service.follow import tick
from batchlab.service.submission import submit
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.stores import open_store
from batchlab.stores.file import FileStore
from batchlab_processor import engine
from batchlab_processor.door import Door
from tests.client.service.scenes import Scene
from tests.faults.forked_submissions import TYPES, Kept, dying
from tests.processor.shouting import Shout, fails

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "4"))
MOST_WRITES = 40  # a submission has about 15


class Killed(BaseException):
    """What a process that is killed does not live to see."""


def die() -> None:
    raise Killed


def document(**fields: Any) -> JobDocument:
    return load_document(
        {"type": "shout", "output": "s3://bucket/out", "params": {"count": 3}, **fields}, types=TYPES
    )


def until_it_lives(act: Callable[[Service], object], service: Callable[[], Service]) -> Iterator[int]:
    """Yields after each kill, by the number of writes that it came after, until `act` comes through."""
    for writes in range(1, MOST_WRITES):
        try:
            act(dying(service(), writes, die))
        except Killed:
            yield writes
        else:
            assert writes > 3
            return
    pytest.fail("it was killed every time")


def run(records: JobRecords, plant: Any = None) -> None:
    """What the runner was told to start runs to its end; `plant` are faults of its items."""
    job = Shout()
    job.plant = plant or job.plant
    door = Door(storage=None, authority=Authority(), waiting=None, keep_seconds=0.01)  # type: ignore[arg-type]
    engine.run(records, job, door)


def ended(service: Service, jobs: list[str]) -> None:
    """Every one of them was started and ends, and nothing is left on its way."""
    for job in jobs:
        records = JobRecords(service.store, job)
        assert records.store.read(f"{records.folder}/started.json") is not None or records.status().ended
        run(records)
        assert records.status().state is State.SUCCEEDED
        assert service.pages.get(f"{page_token(records)}/index.html")
    assert list(service.store.names("pending/")) == []


def page_token(records: JobRecords) -> str:
    found = records.store.read(f"{records.folder}/page.json")
    assert found is not None
    return str(found.body["token"])


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.service = Service.of_settings(made.settings, Kept(), made.store)
    return made


def accepted(scene: Scene) -> list[str]:
    return [name.split("/")[1] for name in scene.names("jobs/") if name.endswith("/job.json")]


def test_a_submission_killed_after_any_write_is_finished_by_the_sweeper_or_was_never_accepted(
    scene: Scene,
) -> None:
    kills = 0
    for _ in until_it_lives(lambda service: submit(service, document()), lambda: scene.service):
        kills += 1
        scene.store.pass_time(minutes=2)
        tick(scene.service)
    scene.store.pass_time(minutes=20)
    tick(scene.service)
    jobs = accepted(scene)
    assert len(jobs) in (kills, kills + 1)  # all but the one killed before job.json, and the last
    assert [job.id for job in list_jobs(scene.store)] == sorted(jobs, reverse=True)
    ended(scene.service, jobs)


def test_a_key_has_one_job_wherever_its_submission_was_killed_and_repeated(scene: Scene) -> None:
    keys = 0
    for writes in range(1, MOST_WRITES):
        keyed, keys = f"order-{writes}", keys + 1
        try:
            submit(dying(scene.service, writes, die), document(idempotency_key=keyed))
            killed = False
        except Killed:
            killed = True
        again = {submit(scene.service, document(idempotency_key=keyed)).id for _ in range(3)}
        assert len(again) == 1
        if not killed:
            break
    assert keys > 10
    assert len(accepted(scene)) == keys
    ended(scene.service, accepted(scene))


def test_a_sweeper_killed_after_any_write_leaves_the_job_to_the_next(scene: Scene) -> None:
    lost = document()
    records = JobRecords(scene.store, lost.id)
    records.create_pending()
    records.create_document(lost)
    scene.store.pass_time(minutes=2)
    for _ in until_it_lives(submission.sweep, lambda: scene.service):
        scene.store.delete(f"{records.folder}/started.json")
        scene.store.pass_time(minutes=2)
    ended(scene.service, [lost.id])


def test_a_retry_killed_after_any_write_is_none_or_runs(scene: Scene) -> None:
    retried = 0
    for writes in range(1, MOST_WRITES):
        records = submit(scene.service, document())
        run(records, fails(Kind.MISSING, "w0"))
        assert records.status().state is State.PARTIAL
        scene.store.delete(f"{records.folder}/started.json")
        service = dying(scene.service, writes, die)
        try:
            submission.retry(service, JobRecords(service.store, records.id))
            killed = False
        except Killed:
            killed = True
        scene.store.pass_time(minutes=2)
        submission.sweep(scene.service)
        if records.status().generation == 2:
            retried += 1
            ended(scene.service, [records.id])
        else:
            assert killed
            assert scene.names("pending/") == []
        if not killed:
            break
    assert not killed
    assert retried > 3


# -- kill -9, in processes and a directory ---------------------------------------------------------------------


@pytest.fixture
def forking() -> Iterator[Callable[..., int]]:
    """Forks a submission and says how it ended: 0, or -9."""
    command = [sys.executable, "-m", "tests.faults.forked_submissions"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def submit_there(store: FileStore, wanted: JobDocument, **kill: Any) -> int:
            line = {"store": store.url, "document": wanted.as_json(), **kill}
            print(json.dumps(line), file=stdin, flush=True)
            return int(json.loads(stdout.readline())["status"])

        yield submit_there
        stdin.close()
        process.wait(10)


class Later(FileStore):
    """A directory whose clock is some minutes ahead, so that a sweeper need not wait."""

    later = timedelta()

    def now(self) -> datetime:
        return super().now() + self.later


def swept(directory: Path) -> Service:
    store = Later(directory)
    service = Service.of_settings(Settings(store=store.url), Kept(), store)
    for _ in range(2):
        store.later += timedelta(minutes=20)
        tick(service)
    return service


def test_a_submission_killed_dead_after_any_write_leaves_one_job_for_its_key_that_ends(
    tmp_path: Path, forking: Callable[..., int]
) -> None:
    store = open_store(tmp_path.as_uri())
    assert isinstance(store, FileStore)
    keys: list[str] = []
    for writes in range(1, MOST_WRITES):
        keys.append(f"order-{writes}")
        status = forking(store, document(idempotency_key=keys[-1]), writes=writes)
        assert status in (0, -9)
        if writes % 2:  # the caller repeats it; else only the sweeper is left
            assert forking(store, document(idempotency_key=keys[-1])) == 0
        if status == 0:
            break
    assert status == 0
    one_job_for_each_key(swept(tmp_path), keys)


def test_a_submission_killed_dead_at_any_moment_leaves_one_job_for_its_key_that_ends(
    tmp_path: Path, forking: Callable[..., int]
) -> None:
    store = open_store(tmp_path.as_uri())
    assert isinstance(store, FileStore)
    seed = random.randrange(2**32)
    print(f"seed {seed}, {KILLS} kills")
    chance, keys, killed = random.Random(seed), [], 0
    for number in range(KILLS):
        keys.append(f"order-{number}")
        for _ in range(chance.randint(1, 3)):
            kill_after = chance.uniform(0, 0.05)
            killed += forking(store, document(idempotency_key=keys[-1]), kill_after=kill_after) == -9
    print(f"{killed} killed")
    service = swept(tmp_path)
    one_job_for_each_key(service, keys)


def one_job_for_each_key(service: Service, keys: list[str]) -> None:
    """And it ends; a key whose submission was killed before job.json has none, and may be used again."""
    jobs = {job.id for job in list_jobs(service.store)}
    kept = [JobRecords(service.store, job).document().idempotency_key for job in jobs]
    assert len(kept) == len(set(kept)), "two jobs for one key"
    assert set(kept) <= set(keys)
    ended(service, sorted(jobs))
    for key in set(keys) - set(kept):
        records = submit(service, document(idempotency_key=key))
        assert records.document().idempotency_key == key
