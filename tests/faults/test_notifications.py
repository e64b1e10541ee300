"""A sender of notifications is killed at any moment: every target is told, always with the same webhook-id."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
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

# Warm, and forks a sender for each line it is told, so that a kill costs milliseconds.
SENDER = """
import json, os, signal, sys, time
from batchlab.notify import Outlets, announce
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores.file import FileStore

for line in sys.stdin:
    told = json.loads(line)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        settings = Settings(webhook_hosts=(told["host"],), webhook_secret=told["secret"], allow_local=True)
        announce(JobRecords(FileStore(told["store"]), told["job"]), Outlets.of_settings(settings))
        os._exit(0)
    if told["kill_after"] is not None:
        time.sleep(told["kill_after"])
        os.kill(child, signal.SIGKILL)  # nobody has waited for it, so the number is still its own
    _, status = os.waitpid(child, 0)
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), "took": time.monotonic() - began}), flush=True)
"""


class Later(FileStore):
    """The same store, at a later time."""

    passed = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.passed


class Sender:
    """The warm process, as long as the `with` lasts."""

    def __enter__(self) -> Sender:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-c", SENDER], text=True, start_new_session=True, **pipes
        )
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: the sender and whom it forked
        self._process.communicate()

    def begin(self, receiver: Receiver, records: JobRecords, folder: Path, kill_after: float | None) -> None:
        """A sender tells of the job, killed after so many seconds."""
        settings = receiver.settings()
        told = {"store": str(folder), "job": records.id, "kill_after": kill_after}
        told |= {"host": settings.webhook_hosts[0], "secret": settings.webhook_secret}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def ended(self) -> float:
        """How long it lived, in seconds."""
        assert self._process.stdout is not None
        return float(json.loads(self._process.stdout.readline())["took"])


def states(store: FileStore) -> set[str]:
    names = [name for name in store.names("jobs/") if "/notify-" in name]
    return {found.body.get("state", "pending") for name in names if (found := store.read(name)) is not None}


def finish(records: JobRecords, store: Later, receiver: Receiver) -> None:
    """Whoever follows the job comes back as often as it is told to."""
    outlets = Outlets.of_settings(receiver.settings())
    while due := announce(records, outlets):
        store.passed += max(timedelta(0), due - store.now())


def test_killed_at_random_moments_each_of_three_targets_is_told_in_the_end(tmp_path: Path) -> None:
    amid = 0
    with Sender() as sender:
        undisturbed = [_one_kill(sender, tmp_path / f"warm-{turn}", None)[0] for turn in range(3)]
        for turn in range(ROUNDS):
            seconds = random.uniform(0, 1.1 * min(undisturbed))
            _, reached, sent = _one_kill(sender, tmp_path / str(turn), seconds)
            assert len(set(sent)) == 3 and len(sent) <= 4  # one kill repeats one of them at most
            amid += 0 < reached < 3 or len(sent) == 4
    print(f"{amid} of {ROUNDS} kills came amid the three")


def _one_kill(sender: Sender, folder: Path, seconds: float | None) -> tuple[float, int, list[str]]:
    """How long the sender lived, how many requests it had made, and the ids of all until everybody was told."""
    store = Later(folder)
    with receiving() as receiver:
        targets = [{"webhook": f"{receiver.url}&target={number}"} for number in range(3)]
        records = ended(store, targets)  # type: ignore[arg-type]
        sender.begin(receiver, records, folder, seconds)
        took, reached = sender.ended(), len(receiver.came)
        finish(records, store, receiver)
    assert states(store) == {"sent"}
    assert len({came.body for came in receiver.came}) == 1
    return took, reached, [came.headers["webhook-id"] for came in receiver.came]


def test_killed_between_claim_and_answer_it_is_sent_again_when_the_claim_is_over(tmp_path: Path) -> None:
    store = Later(tmp_path)
    with receiving(waits, status(204)) as receiver:
        records = ended(store, [{"webhook": receiver.url}])  # type: ignore[arg-type]
        with Sender() as sender:
            sender.begin(receiver, records, tmp_path, None)
            receiver.arrived.acquire()
        outlets = Outlets.of_settings(receiver.settings())
        due = announce(records, outlets)
        assert due is not None and len(receiver.came) == 1
        store.passed = CLAIM
        assert announce(records, outlets) is None
        assert len(receiver.came) == 2
    assert receiver.came[0].headers["webhook-id"] == receiver.came[1].headers["webhook-id"]
