"""What the argument of `batchlab-processor run` may be."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, ConfigDict

from batchlab.document import JobDocument
from batchlab.errors import DocumentError, NotFound, UsageError
from batchlab.ids import id_from_batch_job
from batchlab.kinds import ItemError, Kind
from batchlab.reading import LARGEST_BYTES
from batchlab.records import JobRecords, submit_locally
from batchlab.settings import Settings
from batchlab.stores import open_store
from batchlab.stores.memory import MemoryStore
from batchlab_processor import registry, supervisor
from batchlab_processor.__main__ import main
from batchlab_processor.entrypoint import Call, accept, run
from tests.processor.shouting import Shout, Word

BATCH_JOB = "9e4f0b9a-7a7c-4d3b-8a55-0c8f1d1f2a3b"
SHOUT = '{"type": "shout", "params": {"count": 3}}'


@pytest.fixture
def shouting(monkeypatch: pytest.MonkeyPatch) -> Shout:
    """The job type `shout`, as if it were installed."""
    shout = Shout()
    monkeypatch.setattr(registry, "names", lambda: ("self-test", "shout"))
    monkeypatch.setattr(registry, "job_type", lambda name: shout)
    return shout


def in_batch(store: str, attempt: int = 1, batch_job_id: str = BATCH_JOB) -> Settings:
    """What a container of AWS Batch is told."""
    return Settings(store=store, job_types=("shout",), batch_job_id=batch_job_id, batch_attempt=attempt)


def test_a_document_of_any_length_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    with path.open("wb") as file:
        file.truncate(LARGEST_BYTES * 1000)
    with pytest.raises(DocumentError, match=f"at most {LARGEST_BYTES:,} are read"):
        accept(Call(job=str(path), settings=Settings()), MemoryStore())


def test_a_document_may_be_compressed_and_still_is_no_longer_than_any_other(tmp_path: Path) -> None:
    path = tmp_path / "job.json.gz"
    path.write_bytes(gzip.compress(b'{"type": "self-test", "title": "Packed"}'))
    call = Call(job=path.as_uri(), settings=Settings(job_types=("self-test",)))
    assert accept(call, MemoryStore())[0].document().title == "Packed"
    path.write_bytes(gzip.compress(b" " * (LARGEST_BYTES + 1)))
    with pytest.raises(DocumentError, match=f"more than {LARGEST_BYTES:,} bytes"):
        accept(call, MemoryStore())


class Strict(BaseModel):
    """The params of a type whose package knows a field that the document does not have."""

    model_config = ConfigDict(extra="forbid")
    network: bool


def test_params_that_the_installed_type_does_not_accept_are_said_field_by_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(store=f"file://{tmp_path}/store", job_types=("stranger",))
    job_id = "01m82z2746kh8t1vwtfytf7h25"
    body = {"version": 1, "id": job_id, "type": "stranger", "params": {"netwrok": True}}
    open_store(settings.store).create(f"jobs/{job_id}/job.json", body)
    monkeypatch.setattr("batchlab_processor.registry.job_type", lambda name: SimpleNamespace(params=Strict))
    with pytest.raises(DocumentError) as refused:
        run(Call(job=f"{settings.store}/jobs/{job_id}", settings=settings, quiet=True))
    assert any("netwrok" in line and "Did you mean network?" in line for line in refused.value.problems)


def test_each_start_of_a_batch_job_runs_the_one_job_whose_id_batch_made(
    tmp_path: Path, shouting: Shout
) -> None:
    store = f"file://{tmp_path}/store"
    path = tmp_path / "job.json"
    path.write_text(SHOUT)
    job_id = id_from_batch_job(BATCH_JOB)
    for index in ("", ":1"):  # children of an array are one job
        settings = in_batch(store, batch_job_id=BATCH_JOB + index)
        assert accept(Call(job=str(path), settings=settings), open_store(store))[0].id == job_id
    path.unlink()  # as a presigned URL expires
    assert run(Call(job=str(path), settings=in_batch(store, attempt=2), quiet=True)) == 0
    assert shouting.worked == {"w0": 1, "w1": 1, "w2": 1}


def test_the_first_start_of_a_batch_job_reads_its_document_and_fails_without_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        run(Call(job=f"{tmp_path}/none.json", settings=in_batch(f"file://{tmp_path}/store")))


def test_what_is_partial_is_a_success_to_aws_batch_alone(tmp_path: Path, shouting: Shout) -> None:
    def lose_one(item: Word, ctx: object) -> None:
        if item.text == "w1":
            raise ItemError(Kind.MISSING, "it is not there")

    shouting.plant = lose_one
    in_a_terminal = Settings(store=f"file://{tmp_path}/here", job_types=("shout",))
    assert run(Call(job=SHOUT, settings=in_a_terminal, quiet=True)) == 3
    settings = in_batch(f"file://{tmp_path}/store")
    assert run(Call(job=SHOUT, settings=settings, quiet=True)) == 0
    report = JobRecords(open_store(settings.store), id_from_batch_job(BATCH_JOB)).report(1)
    assert report is not None and report.state == "partial"


def test_a_child_of_an_array_job_works_on_its_own_slice(
    tmp_path: Path, shouting: Shout, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"file://{tmp_path}/store"
    job_id = "01m82z2746kh8t1vwtfytf7h25"
    document = JobDocument.model_validate(
        {"type": "shout", "id": job_id, "params": {"count": 9}, "shards": 3}
    )
    submit_locally(open_store(store), document)
    monkeypatch.setenv("BATCHLAB_JOB_TYPES", "shout")
    monkeypatch.setenv(supervisor.PARENT, str(os.getppid()))  # no parent of its own
    monkeypatch.setattr(supervisor, "follow_parent", lambda: None)
    command = ["run", "--job", f"{store}/jobs/{job_id}", "--store", store, "--phase"]
    assert main([*command, "plan"]) == 0
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "1")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_SIZE", "3")
    assert main([*command, "work"]) == 0
    assert set(shouting.worked) == {"w3", "w4", "w5"}
    assert main([*command, "work", "--shard", "1/3"]) == 0
    assert main([*command, "collect"]) == 0
    assert sorted(outcome.key for outcome in shouting.collected) == [f"w{n}" for n in range(9)]


def test_a_job_that_failed_fails_in_batch_too(tmp_path: Path, shouting: Shout) -> None:
    def break_off(ctx: object) -> None:
        raise ItemError(Kind.MISSING, "it is not there")

    shouting.plant_plan = break_off
    assert run(Call(job=SHOUT, settings=in_batch(f"file://{tmp_path}/store"), quiet=True)) == 1


def test_no_parameters_are_the_self_test_although_it_is_no_type_that_may_be_submitted(tmp_path: Path) -> None:
    records, _ = accept(Call(job="", settings=in_batch(f"file://{tmp_path}/store")), MemoryStore())
    assert (records.document().type, records.id) == ("self-test", id_from_batch_job(BATCH_JOB))


def test_a_job_of_the_store_is_run_where_it_is(tmp_path: Path, shouting: Shout) -> None:
    settings = in_batch(f"file://{tmp_path}/store")
    store = open_store(settings.store)
    accept(Call(job=SHOUT, settings=settings), store)
    [job_id] = {name.split("/")[1] for name in store.names("jobs/")}
    there = f"{settings.store}/jobs/{job_id}"
    for job in (there, f"{there}/", f"{there}/job.json", job_id):
        assert accept(Call(job=job, settings=settings), store)[0].id == job_id


def test_the_id_of_no_job_is_said_to_be_none_and_not_to_be_a_file_that_is_missing(tmp_path: Path) -> None:
    settings = in_batch(f"file://{tmp_path}/store")
    with pytest.raises(NotFound, match="There is no job 01m82z2746kh8t1vwtfytf7h25"):
        accept(Call(job="01m82z2746kh8t1vwtfytf7h25", settings=settings), open_store(settings.store))


@pytest.mark.parametrize("job", [" ", "latest", "null", '"self-test"'])
def test_what_is_no_job_is_told_what_one_is(tmp_path: Path, job: str) -> None:
    with pytest.raises(NotFound, match="A job is a URL, a path, JSON, or the id of a job of the store"):
        accept(Call(job=job, settings=in_batch(f"file://{tmp_path}/store")), MemoryStore())


@pytest.mark.parametrize("job", ["Ref::job", "type: self-test", "https://127.0.0.1/job.json"])
def test_a_url_that_nobody_may_fetch_is_a_wrong_command_and_no_fault_of_the_network(
    tmp_path: Path, job: str
) -> None:
    with pytest.raises(DocumentError, match="is not allowed"):
        accept(Call(job=job, settings=in_batch(f"file://{tmp_path}/store")), MemoryStore())


def test_another_document_under_an_id_that_exists_is_refused(tmp_path: Path, shouting: Shout) -> None:
    settings = in_batch(f"file://{tmp_path}/store")
    store = open_store(settings.store)
    accept(Call(job=SHOUT, settings=settings), store)
    with pytest.raises(DocumentError, match="exists with another content"):
        accept(Call(job=SHOUT.replace("3", "4"), settings=settings), store)


def test_an_id_that_aws_batch_never_gave_is_said(tmp_path: Path, shouting: Shout) -> None:
    settings = in_batch(f"file://{tmp_path}/store", batch_job_id="test")
    with pytest.raises(UsageError, match="AWS_BATCH_JOB_ID: 'test' is none"):
        accept(Call(job=SHOUT, settings=settings), MemoryStore())


def test_a_job_put_straight_into_aws_batch_says_which_it_is_and_is_followed_from_then_on(
    tmp_path: Path, shouting: Shout
) -> None:
    settings = in_batch(f"file://{tmp_path}/store", batch_job_id=f"{BATCH_JOB}:3")
    run(Call(job=SHOUT, settings=settings, quiet=True))
    store = open_store(settings.store)
    dispatched = JobRecords(store, id_from_batch_job(BATCH_JOB)).dispatched(1, "all")
    assert dispatched is not None
    assert dispatched["batch_job"] == BATCH_JOB
    assert len(list(store.names("watch/"))) == 1


def test_a_job_of_our_dispatcher_stays_the_dispatchers(tmp_path: Path, shouting: Shout) -> None:
    settings = in_batch(f"file://{tmp_path}/store")
    store = open_store(settings.store)
    records = submit_locally(store, JobDocument.model_validate({"type": "shout"}))
    claim = f"{records.folder}/g1/dispatch-all.json"
    store.create(claim, {"at": "2026-05-01T12:00:00+00:00", "batch_job": "ours", "queue": "q"})
    run(Call(job=f"{settings.store}/jobs/{records.id}/job.json", settings=settings, quiet=True))
    dispatched = records.dispatched(1, "all")
    assert dispatched is not None
    assert dispatched["batch_job"] == "ours"
    assert list(store.names("watch/")) == []


def test_a_job_on_a_laptop_is_nobodys_in_aws_batch(tmp_path: Path, shouting: Shout) -> None:
    settings = Settings(store=f"file://{tmp_path}/store", job_types=("shout",))
    run(Call(job=SHOUT, settings=settings, quiet=True))
    assert [name for name in open_store(settings.store).names("jobs/") if "dispatch" in name] == []
