"""A sender of notifications is killed at any moment: every target is told, always with the same webhook-id."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from batchlab.notify import Outlets, announce
from batchlab.notify.schedule import CLAIM
from batchlab.records import JobRecords
from batchlab.stores.file import FileStore
from tests.client.notify.ended_jobs import ended
from tests.client.notify.receivers import Receiver, receiving, status, waits

pytestmark = pytest.mark.faults
ROUNDS = int(os.environ.get("BATCHLAB_TEST_FAULTS", "5"))

SENDER = """
import json, sys
from batchlab.notify import Outlets, announce
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores.file import FileStore

told = json.loads(sys.stdin.readline())
settings = Settings(webhook_hosts=(told["host"],), webhook_secret=told["secret"], allow_local=True)
outlets = Outlets.of_settings(settings)
records = JobRecords(FileStore(told["store"]), told["job"])
print("ready", flush=True)
sys.stdin.readline()
announce(records, outlets)
"""


class Later(FileStore):
    """The same store, at a later time."""

    passed = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.passed


def sender(receiver: Receiver, records: JobRecords, folder: Path) -> subprocess.Popen[str]:
    """A process that is warm and about to tell of the job."""
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    settings = receiver.settings()
    told = {
        "store": str(folder),
        "job": records.id,
        "host": settings.webhook_hosts[0],
        "secret": settings.webhook_secret,
    }
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def states(store: FileStore) -> set[str]:
    names = [name for name in store.names("jobs/") if "/notify-" in name]
    return {found.body.get("state", "pending") for name in names if (found := store.read(name)) is not None}


def finish(records: JobRecords, store: Later, receiver: Receiver) -> None:
    """Whoever follows the job comes back as often as it is told to."""
    outlets = Outlets.of_settings(receiver.settings())
    while due := announce(records, outlets):
        store.passed += max(timedelta(0), due - store.now())


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_killed_at_a_random_moment_each_of_three_targets_is_told_in_the_end(
    tmp_path: Path, turn: int
) -> None:
    store = Later(tmp_path)
    with receiving() as receiver:
        records = ended(store, [{"webhook": f"{receiver.url}&target={number}"} for number in range(3)])  # type: ignore[arg-type]
        process = sender(receiver, records, tmp_path)
        go(process)
        time.sleep(random.Random(turn).uniform(0, 0.05))
        end(process)
        finish(records, store, receiver)
    assert states(store) == {"sent"}
    ids = [came.headers["webhook-id"] for came in receiver.came]
    assert len(set(ids)) == 3 and len(ids) <= 4  # one kill repeats one of them at most
    assert len({came.body for came in receiver.came}) == 1


def test_killed_between_claim_and_answer_it_is_sent_again_when_the_claim_is_over(tmp_path: Path) -> None:
    store = Later(tmp_path)
    with receiving(waits, status(204)) as receiver:
        records = ended(store, [{"webhook": receiver.url}])  # type: ignore[arg-type]
        process = sender(receiver, records, tmp_path)
        go(process)
        receiver.arrived.acquire()
        end(process)
        outlets = Outlets.of_settings(receiver.settings())
        due = announce(records, outlets)
        assert due is not None and len(receiver.came) == 1
        store.passed = CLAIM
        assert announce(records, outlets) is None
        assert len(receiver.came) == 2
    assert receiver.came[0].headers["webhook-id"] == receiver.came[1].headers["webhook-id"]
