"""batchlab.service.here: what is submitted to a directory runs on, whatever becomes of the program that did it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from batchlab.backend import Hope, Runner
from batchlab.document import load_document
from batchlab.errors import DocumentError, UsageError
from batchlab.ids import new_id
from batchlab.records import JobRecords
from batchlab.service import here
from batchlab.service.attendant import Attendant
from batchlab.service.core import Service
from batchlab.service.here import LocalRunner, attending
from batchlab.service.jobs import Jobs
from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.stores import open_store
from batchlab.timer import watch
from tests.client.service.runner_conformance import RunnerConformance

SELF_TEST = {"type": "self-test", "params": {"network": False}}


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The jobs of a directory; whoever is left behind for them ends with the test."""
    monkeypatch.setenv("BATCHLAB_JOB_TYPES", "self-test,zip-export")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BATCHLAB_STORE", (tmp_path / "store").as_uri())
    settings = Settings.from_environment(os.environ)
    yield Jobs(Service.of_settings(settings, LocalRunner(settings)))
    for process in left_behind(tmp_path):
        process.kill()


class TestConformance(RunnerConformance):
    @pytest.fixture
    def store(self, jobs: Jobs) -> Store:
        return jobs.service.store

    @pytest.fixture
    def runner(self, jobs: Jobs) -> Runner:
        return jobs.service.runner


def left_behind(folder: Path) -> list[psutil.Process]:
    """Processes that see to the store in `folder`."""
    url = (folder / "store").as_uri()
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:] == ["-m", "batchlab.service.here", url]:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait(jobs: Jobs, job: str) -> str:
    for _ in range(900):
        info = jobs.get(job)
        if info.ended:
            return info.state
        time.sleep(0.1)
    raise AssertionError(info)


def test_a_submitted_job_runs_without_anybody_waiting_for_it_and_leaves_nothing_behind(
    jobs: Jobs, tmp_path: Path
) -> None:
    first = jobs.submit(load_document(SELF_TEST)).id
    second = jobs.submit(load_document({**SELF_TEST, "title": "another"})).id
    assert wait(jobs, first) == wait(jobs, second) == "succeeded"
    page = jobs.logs(first)
    assert any("store-write" in line.text for line in page.lines)
    assert jobs.logs(first, cursor=page.next).ended
    for _ in range(300):
        if not left_behind(tmp_path):
            break
        time.sleep(0.1)
    assert left_behind(tmp_path) == []
    assert list(jobs.service.store.names("pending/")) == []


def test_whoever_sees_to_a_directory_stays_while_somebody_is_to_be_told_again_soon(jobs: Jobs) -> None:
    store = jobs.service.store
    attendant = Attendant(jobs.service.settings, store)
    assert attendant.at_rest()
    watch(store, new_id(), store.now() + timedelta(days=7))  # a page that expires
    assert attendant.at_rest()
    watch(store, new_id(), store.now() + timedelta(minutes=5))  # a webhook that did not get through
    assert not attendant.at_rest()


def test_a_job_outlives_the_program_that_submitted_it(jobs: Jobs, tmp_path: Path) -> None:
    program = (
        "import os, signal; from batchlab.client import Client\n"
        f"job = Client({(tmp_path / 'store').as_uri()!r}).jobs.submit({SELF_TEST!r}); print(job.id, flush=True)\n"
        "os.killpg(0, signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, start_new_session=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert wait(jobs, done.stdout.strip()) == "succeeded"


@pytest.mark.slow  # ten seconds; tests/faults kills submissions, too
def test_after_a_kill_of_whoever_was_left_behind_the_next_submit_goes_on_with_all(
    jobs: Jobs, tmp_path: Path
) -> None:
    slow = load_document({**SELF_TEST, "limits": {"workers": 1, "min_interval": "500ms"}})
    first = jobs.submit(slow).id
    for _ in range(300):
        if jobs.service.runner.hope(JobRecords(jobs.service.store, first)) is Hope.RUNNING:
            break
        time.sleep(0.1)
    for process in left_behind(tmp_path):
        process.kill()
        process.wait(30)
    second = jobs.submit(load_document(SELF_TEST)).id
    assert wait(jobs, first) == wait(jobs, second) == "succeeded"


def test_only_one_is_left_behind_for_a_directory(jobs: Jobs, tmp_path: Path) -> None:
    store = jobs.service.store
    with attending(store) as first, attending(store) as second:
        assert (first, second) == (True, False)
        job = jobs.submit(load_document(SELF_TEST)).id
        assert left_behind(tmp_path) == []
        assert jobs.service.runner.hope(JobRecords(store, job)) is Hope.WAITING


def test_what_waits_and_is_cancelled_ends_at_once(jobs: Jobs) -> None:
    with attending(jobs.service.store):
        job = jobs.submit(load_document(SELF_TEST)).id
        assert jobs.cancel(job).state == "cancelled"


def test_naming_a_place_in_a_document_grants_nothing(jobs: Jobs, tmp_path: Path) -> None:
    document = {
        "type": "zip-export",
        "output": tmp_path.as_uri(),
        "params": {"items": ["https://example.com/1.jpg"]},
    }
    with pytest.raises(DocumentError, match="BATCHLAB_HTTP_HOSTS"):
        jobs.submit(load_document(document))


def test_without_the_processor_the_command_that_installs_it_is_named(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="pip install batchlab-processor"):
        jobs.submit(load_document(SELF_TEST))


def test_a_bucket_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="file://"):
        LocalRunner(Settings(store="s3://bucket/jobs"))


def test_attending_ends_at_once_where_somebody_is_at_it(jobs: Jobs) -> None:
    with attending(jobs.service.store):
        here.attend(jobs.service.settings)
    assert open_store(jobs.service.store.url)
