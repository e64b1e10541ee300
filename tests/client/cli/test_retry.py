from __future__ import annotations

from pathlib import Path

import pytest

from batchlab.job_index import list_jobs
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores import open_store
from tests.client.cli.conftest import Command


@pytest.fixture
def job(batchlab: Command, processor: Path, photos: Path, tmp_path: Path) -> JobRecords:
    """A job that ended without one photo."""
    (processor / "plan").write_text('{"fails": {"2.jpg": "missing"}}')
    assert batchlab("zip", "wedding", "--to", "album.zip").code == 3
    store = open_store((tmp_path / "state" / "batchlab").as_uri(), settings=Settings())
    (listed,) = list_jobs(store)
    return JobRecords(store, listed.id)


def test_a_retry_is_the_next_generation_of_the_same_job(
    batchlab: Command, processor: Path, job: JobRecords
) -> None:
    (processor / "plan").write_text("{}")
    ran = batchlab("retry", "latest")
    assert ran.code == 0
    status = job.status()
    assert (status.generation, str(status.state)) == (2, "succeeded")


def test_a_job_that_succeeded_is_not_retried(batchlab: Command, processor: Path, job: JobRecords) -> None:
    (processor / "plan").write_text("{}")
    batchlab("retry", job.id)
    ran = batchlab("retry", job.id)
    assert ran.code == 2
    assert ran.err == f"batchlab: Job {job.id} succeeded: there is nothing to retry.\n"


def test_a_job_that_somebody_works_on_is_left_to_them(
    batchlab: Command, processor: Path, job: JobRecords
) -> None:
    (processor / "plan").write_text('{"exit": 75}')
    batchlab("retry", job.id)  # interrupted in its second generation
    with job.lease(2, "another", shard=3) as lease:  # type: ignore[union-attr]
        assert lease is not None
        ran = batchlab("retry", job.id)
    assert ran.code == 2
    assert ran.err == (
        f"batchlab: Job {job.id} is being worked on: see batchlab status {job.id}. "
        "If its machine died, try again in a minute.\n"
    )


def test_an_interrupted_job_goes_on_in_its_generation(
    batchlab: Command, processor: Path, job: JobRecords
) -> None:
    (processor / "plan").write_text('{"exit": 75}')
    assert batchlab("retry", job.id).code == 75
    (processor / "plan").write_text("{}")
    assert batchlab("retry", job.id).code == 0
    assert job.status().generation == 2


def test_without_the_processor_no_generation_is_begun(
    batchlab: Command, job: JobRecords, no_processor: None
) -> None:
    assert batchlab("retry", job.id).code == 2
    assert job.status().generation == 1


def test_an_encrypted_job_wants_its_password_again(
    batchlab: Command, processor: Path, photos: Path, here: Path
) -> None:
    (here / "password").write_text("geheim")
    (processor / "plan").write_text('{"fails": {"2.jpg": "missing"}}')
    batchlab("zip", "wedding", "--to", "album.zip", "--password-file", "password")
    refused = batchlab("retry", "latest")
    assert refused.code == 2
    assert "--password-file FILE" in refused.err
    assert batchlab("retry", "latest", "--password-file", "password").code == 3


def test_a_job_that_does_not_exist_ends_with_5(batchlab: Command, processor: Path) -> None:
    assert batchlab("retry", "latest").code == 5
