from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batchlab.batch.address import BatchAddress
from batchlab.batch.explanation import address_of
from batchlab.cli import main
from batchlab.document import load_document
from batchlab.ids import id_from_batch_job
from batchlab.records import JobRecords, submit_locally
from batchlab.settings import Settings
from batchlab.standing import Share, save_progress
from batchlab.status import Counts, State
from batchlab.stores import open_store
from tests.client.batch.conftest import Planted

Ran = tuple[int, str, str]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    capsys.readouterr()
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(autouse=True)
def few_clients(aws_clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command makes its clients anew, which takes a second of CPU: here they are the fixture's."""
    monkeypatch.setattr("batchlab.aws.service_client", lambda service, *_, **__: aws_clients[service])


@pytest.fixture
def store(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> str:
    planted.clients["s3"].create_bucket(Bucket=planted.name)
    url = f"s3://{planted.name}/store"
    monkeypatch.setenv("BATCHLAB_STORE", url)
    return url


def test_the_address_is_the_one_typed_else_the_settings_else_the_stack() -> None:
    of_settings = Settings(url="batch://q/d?store=s3://b", job_queue="other")
    assert address_of("batch://typed", "", of_settings) == BatchAddress("typed")
    assert address_of("", "", of_settings) == BatchAddress("q", "d", "s3://b")
    assert address_of("", "", Settings(url="https://x", job_queue="q", job_definition="d")) == BatchAddress(
        "q", "d"
    )
    assert address_of("", "lab", of_settings) == BatchAddress("lab-job-queue", "lab-job-def")
    assert address_of("", "", Settings()) == BatchAddress("batchlab-job-queue", "batchlab-job-def")


def test_the_doctor_is_content_with_a_healthy_stack_and_names_what_blocks_another(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "doctor", "--name", planted.name)
    assert code == 0
    assert out.startswith(
        f"Looked at: queue {planted.queue}.\nNothing was found that keeps jobs from running."
    )
    planted.clients["batch"].update_job_queue(jobQueue=planted.queue, state="DISABLED")
    code, out, _ = run(capsys, "doctor", "--name", planted.name)
    assert code == 1
    assert f"1. queue-disabled (blocks)\n   Queue {planted.queue} is DISABLED.\n   -> aws batch" in out
    code, out, _ = run(capsys, "doctor", "--name", planted.name, "--json")
    assert [finding["cause"] for finding in json.loads(out)["findings"]] == ["queue-disabled"]
    assert run(capsys, "doctor", "--name", "nowhere")[0] == 5


def test_a_job_is_explained_by_our_id_and_by_the_id_of_aws_batch(
    planted: Planted, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = load_document({"type": "self-test"})
    records = submit_locally(open_store(store), document)
    batch_job = planted.submit()
    records.store.put(f"{records.folder}/g1/dispatch-all.json", {"at": "2026-01-01", "batch_job": batch_job})
    code, out, _ = run(capsys, "explain", "latest", "--name", planted.name)
    assert code == 0
    assert f"self-test {document.id}: queued." in out
    assert f"AWS Batch job {batch_job} in queue {planted.queue}: SUCCEEDED" in out
    code, out, _ = run(capsys, "explain", batch_job)
    assert (code, out.splitlines()[1]) == (0, "It has ended.")
    assert run(capsys, "explain", str(uuid.uuid4()))[0] == 5


def test_a_job_that_came_by_submit_job_itself_is_found_by_the_id_it_was_given(
    planted: Planted, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    batch_job = planted.submit()
    submit_locally(
        open_store(store), load_document({"type": "self-test", "id": id_from_batch_job(batch_job)})
    )
    assert batch_job in run(capsys, "explain", "latest", "--name", planted.name)[1]


def test_a_job_that_nobody_handed_over_is_named_after_three_minutes(
    planted: Planted, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    records = submit_locally(open_store(store), load_document({"type": "self-test"}))
    url = f"batch://{planted.queue}/{planted.definition}?store={store}"
    assert "Nothing stands in its way." in run(capsys, "explain", records.id, "--url", url)[1]
    records = JobRecords(records.store, records.id)
    name = f"{records.folder}/status.json"
    before = records.store.read(name)
    assert before is not None
    records.store.put(name, {**before.body, "created_at": "2026-01-01T00:00:00Z"})
    assert "1. not-submitted (blocks)" in run(capsys, "explain", records.id, "--url", url)[1]


def test_a_job_of_this_machine_is_explained_without_asking_aws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tmp_path.as_uri()
    records = submit_locally(open_store(url), load_document({"type": "self-test"}))
    code, out, _ = run(capsys, "explain", "latest", "--store", url)
    assert code == 0
    assert out.splitlines()[-1].endswith(f"batchlab retry {records.id}")


def test_scale_says_how_it_stands_and_what_it_changed(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "scale", "--name", planted.name)
    assert (code, out) == (0, f"{planted.name}: 0 of at most 16 vCPUs, 0 always kept running.\n")
    code, out, _ = run(capsys, "scale", "--name", planted.name, "--max-vcpus", "200", "--desired", "20")
    assert (code, "20 of at most 200 vCPUs (before: 0 of 16)" in out) == (0, True)
    code, _, err = run(capsys, "scale", "--name", planted.name, "--desired", "20")
    assert (code, "--desired: 20 is not between 0 and 16" in err) == (2, True)


def test_a_document_is_submitted_and_its_log_read(
    planted: Planted, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.json"
    path.write_text('{"type": "self-test"}')
    url = f"batch://{planted.queue}/{planted.definition}?store={store}"
    code, out, err = run(capsys, "submit", str(path), "--url", url)
    job = out.strip()
    assert (code, f"batchlab logs {job} --url '{url}' -f" in err) == (0, True)
    [listed] = planted.clients["batch"].list_jobs(jobQueue=planted.queue, jobStatus="SUCCEEDED")[
        "jobSummaryList"
    ]
    assert listed["jobName"] == f"self-test-{job}-g1-all"
    planted.answers(
        "batch.DescribeJobs", lambda parsed: parsed["jobs"][0]["container"].update(logStreamName=planted.name)
    )
    events = [{"timestamp": int(time.time() * 1000), "message": "checked\x1b[2J"}]
    planted.clients["logs"].create_log_group(logGroupName="/aws/batch/job")
    planted.clients["logs"].create_log_stream(logGroupName="/aws/batch/job", logStreamName=planted.name)
    planted.clients["logs"].put_log_events(
        logGroupName="/aws/batch/job", logStreamName=planted.name, logEvents=events
    )
    code, out, _ = run(capsys, "logs", job, "--url", url, "--follow")
    assert (code, out[19:]) == (0, " checked\N{REPLACEMENT CHARACTER}[2J\n")


def test_what_lies_on_this_machine_is_not_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BATCHLAB_STORE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    path = tmp_path / "job.json"
    path.write_text('{"type": "self-test", "output": "./out"}')
    said = run(capsys, "submit", str(path), "--store", "s3://bucket/jobs")[2]
    assert "Upload it, or: batchlab run" in said
    path.write_text('{"type": "self-test"}')
    code, _, err = run(capsys, "submit", str(path))
    assert (code, "--store s3://BUCKET/PREFIX" in err) == (2, True)


def test_a_job_is_stalled_only_when_no_shard_of_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = submit_locally(open_store(tmp_path.as_uri()), load_document({"type": "self-test"}))
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    running = records.status().model_copy(update={"state": State.RUNNING, "last_progress_at": long_ago})
    records.save_status(running)
    assert "1. stalled (blocks)" in run(capsys, "explain", "latest", "--store", tmp_path.as_uri())[1]
    save_progress(records, 1, Share(1, "work", Counts(total=2, done=1), datetime.now(UTC)))
    assert "stalled" not in run(capsys, "explain", "latest", "--store", tmp_path.as_uri())[1]
