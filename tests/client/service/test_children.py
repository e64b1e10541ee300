"""batchlab.service.children: what an exit code means for a job, with a processor that does as the test says."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from batchlab.backend import Hope, Runner
from batchlab.document import load_document
from batchlab.records import JobRecords, submit_locally
from batchlab.service.children import Children
from batchlab.service.log_files import log_folder, log_page
from batchlab.settings import Settings
from batchlab.status import State
from batchlab.store import Store
from batchlab.stores import open_store
from tests.client.service.runner_conformance import RunnerConformance

Start = Callable[..., "Lab"]


class Lab:
    """Children of a scripted processor; `$n` in the script is the number of the start, from 1."""

    def __init__(self, folder: Path, script: str, at_once: int) -> None:
        processor = folder / "bin" / "batchlab-processor"
        processor.parent.mkdir()
        processor.write_text(
            f"#!/bin/bash\necho start >> {folder}/starts\nn=$(wc -l < {folder}/starts)\n{script}\n"
        )
        processor.chmod(0o755)
        self.folder = folder
        self.store = open_store((folder / "store").as_uri())
        self.over: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.children = Children(
            Settings(store=self.store.url), at_once=at_once, ended=self.over.put, pause_seconds=0.01
        )

    @property
    def starts(self) -> int:
        return len((self.folder / "starts").read_text().splitlines())

    def job(self) -> JobRecords:
        records = submit_locally(self.store, load_document({"type": "self-test"}))
        self.children.start(records)
        return records

    def wait(self) -> str:
        """The job whose run is over next."""
        return self.over.get(timeout=60)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    with ExitStack() as stack:

        def start(script: str, at_once: int = 2) -> Lab:
            made = Lab(tmp_path, script, at_once)
            stack.enter_context(made.children)
            return made

        yield start


class TestConformance(RunnerConformance):
    @pytest.fixture
    def running(self, lab: Start) -> Lab:
        return lab("exec sleep 60")

    @pytest.fixture
    def store(self, running: Lab) -> Store:
        return running.store

    @pytest.fixture
    def runner(self, running: Lab) -> Runner:
        return running.children


def test_an_interrupted_run_is_started_again_until_it_ends(lab: Start) -> None:
    lab_ = lab("[ $n -lt 8 ] && exit 75; exit 0")
    job = lab_.job()
    assert lab_.wait() == job.id
    assert lab_.starts == 8


@pytest.mark.parametrize("death", ["exit 7", "exit 137", "kill -9 $$"])
def test_a_run_that_dies_again_and_again_is_given_up(lab: Start, death: str) -> None:
    lab_ = lab(death)
    job = lab_.job()
    lab_.wait()
    assert lab_.starts == 6
    assert lab_.children.hope(job) is Hope.OVER


def test_a_run_that_cannot_be_is_given_up_at_once(lab: Start) -> None:
    lab_ = lab("echo 'batchlab: the document is wrong' >&2; exit 2")
    job = lab_.job()
    lab_.wait()
    assert (lab_.starts, lab_.children.hope(job)) == (1, Hope.OVER)
    assert [line.text for line in log_page(job, None).lines] == ["batchlab: the document is wrong"]
    lab_.children.start(job)
    lab_.wait()
    assert lab_.starts == 2, "who asks for it again gets it again"


def test_a_run_that_stood_aside_leaves_the_job_to_whoever_has_it(lab: Start) -> None:
    lab_ = lab("exit 0")
    job = lab_.job()
    lab_.wait()
    assert lab_.children.hope(job) is Hope.UNKNOWN
    assert job.pending() is not None


def test_no_more_run_at_once_than_are_meant_to(lab: Start) -> None:
    lab_ = lab("mkdir $0.one || exit 2; sleep 0.01; rmdir $0.one; exit 0", at_once=1)
    jobs = {lab_.job().id for _ in range(20)}
    assert {lab_.wait() for _ in jobs} == jobs
    assert lab_.starts == 20
    assert all(lab_.children.hope(JobRecords(lab_.store, job)) is Hope.UNKNOWN for job in jobs), (
        "none met another"
    )


def test_a_job_that_waits_and_is_stopped_never_begins(lab: Start, tmp_path: Path) -> None:
    lab_ = lab(f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; exit 0", at_once=1)
    first, second = lab_.job(), lab_.job()
    assert lab_.children.hope(second) is Hope.WAITING
    lab_.children.stop(second)
    assert lab_.children.hope(second) is Hope.UNKNOWN
    assert second.pending() is None
    (tmp_path / "go").touch()
    assert lab_.wait() == first.id
    assert lab_.children.idle and lab_.starts == 1


def test_a_job_that_has_ended_is_not_run_but_looked_at(lab: Start) -> None:
    lab_ = lab("exit 0")
    records = submit_locally(lab_.store, load_document({"type": "self-test"}))
    records.save_status(records.status().model_copy(update={"state": State.FAILED}))
    lab_.children.start(records)
    assert lab_.wait() == records.id
    assert not (lab_.folder / "starts").exists()


def test_closing_waits_until_runs_have_flushed(lab: Start, tmp_path: Path) -> None:
    lab_ = lab(f"trap 'echo flushed; exit 75' TERM; touch {tmp_path}/up; while true; do sleep 0.05; done")
    job = lab_.job()
    while not (tmp_path / "up").exists():
        pass
    lab_.children.__exit__()
    assert [line.text for line in log_page(job, None).lines] == ["flushed"]
    assert job.pending() is not None, "the next one goes on with it"


def test_only_their_owner_reads_the_logs(lab: Start) -> None:
    lab_ = lab("exit 0")
    lab_.job()
    lab_.wait()
    folder = log_folder(lab_.store.url)
    assert folder.stat().st_mode & 0o77 == 0
    assert all(path.stat().st_mode & 0o77 == 0 for path in folder.iterdir())


def test_the_log_comes_in_pages_that_go_on_where_the_last_one_ended(lab: Start) -> None:
    lab_ = lab('echo \'{"time": "2026-11-26T12:00:00.5Z", "message": "a"}\'; echo b; exit 0')
    job = lab_.job()
    lab_.wait()
    first = log_page(job, None)
    assert [line.text[-2:] for line in first.lines] == ['"}', "b"]
    assert (
        first.lines[0].at.isoformat() == "2026-11-26T12:00:00.500000+00:00" == first.lines[1].at.isoformat()
    )
    second = log_page(job, first.next)
    assert (second.lines, second.next, second.ended) == ((), first.next, False)
    job.save_status(job.status().model_copy(update={"state": State.FAILED}))
    assert log_page(job, first.next).ended
