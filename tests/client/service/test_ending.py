"""batchlab.service.ending: a job that no run will end is accounted for, item by item."""

from __future__ import annotations

from datetime import timedelta

import pytest

from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed
from batchlab.records import JobRecords
from batchlab.report import Artifact, Figures, build_report
from batchlab.service.ending import WORDLESS, end_without_a_run
from batchlab.status import State
from tests.client.service.scenes import START, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def records(scene: Scene) -> JobRecords:
    made = scene.submit()
    scene.move(made, State.RUNNING, started_at=START)
    return made


def test_what_is_done_stays_done_and_the_rest_failed_for_want_of_a_word(
    scene: Scene, records: JobRecords
) -> None:
    scene.plan(records, "a", "b", "c")
    scene.settle(
        records, Done(key="a", size_bytes=7), Failed(key="b", kind=Kind.MISSING, message="It is not there.")
    )
    assert end_without_a_run(records)
    report = scene.report(records)
    assert report.state is State.PARTIAL
    assert (report.counts.done, report.counts.failed, report.counts.done_bytes) == (1, 2, 7)
    assert [(each.key, each.kind, each.message) for each in report.failures] == [
        ("b", Kind.MISSING, "It is not there."),
        ("c", Kind.CRASH, WORDLESS),
    ]
    assert [item.key for item in report.items] == ["a", "b", "c"]
    status = records.status()
    assert (status.state, status.counts, status.message) == (State.PARTIAL, report.counts, report.message)
    assert scene.names("pending/") == []


@pytest.mark.parametrize("durable", ["own", "job"])
def test_an_archive_that_nobody_finished_is_not_called_delivered(
    scene: Scene, records: JobRecords, durable: str
) -> None:
    scene.plan(records, "a", "b", durable=durable)
    scene.settle(records, Done(key="a"))
    end_without_a_run(records)
    assert records.status().state is State.FAILED
    assert records.status().message == "Nothing could be delivered."
    assert records.status().expires_at is None


def test_a_job_without_a_plan_failed_as_a_whole(scene: Scene, records: JobRecords) -> None:
    end_without_a_run(records)
    assert scene.report(records).error == WORDLESS
    assert records.status().state is State.FAILED


def test_a_job_that_somebody_wished_to_cancel_ends_cancelled_and_what_is_left_was_not_started(
    scene: Scene, records: JobRecords
) -> None:
    scene.plan(records, "a", "b")
    scene.settle(records, Done(key="a"))
    records.ask_to_cancel(1)
    end_without_a_run(records)
    report = scene.report(records)
    assert (report.state, report.skipped_by_reason) == (State.CANCELLED, {"not_started": 1})


def test_what_ended_one_shard_for_good_is_what_the_job_failed_of(scene: Scene, records: JobRecords) -> None:
    scene.plan(records, "a")
    records.ask_to_stop(1, "max_failures", "More than 10 items failed.")
    end_without_a_run(records)
    assert scene.report(records).error == "More than 10 items failed."


def test_items_that_failed_while_they_were_planned_are_in_the_report(
    scene: Scene, records: JobRecords
) -> None:
    failed = Failed(key="b", kind=Kind.VALIDATION, message="No name.").model_dump(mode="json")
    records.save_plan(1, {"facts": {}, "entries": [{"failed": failed}], "durable": "item"})
    end_without_a_run(records)
    assert [failure.kind for failure in scene.report(records).failures] == [Kind.VALIDATION]


def test_a_job_that_a_run_works_on_is_left_to_it(scene: Scene, records: JobRecords) -> None:
    for shard in (0, 3):
        lease = records.lease(1, "run-1", shard=shard)
        assert lease is not None
        with lease:
            assert not end_without_a_run(records)
    assert records.status().state is State.RUNNING
    assert records.report(1) is None


def test_a_job_that_has_ended_stays_as_it_is(scene: Scene, records: JobRecords) -> None:
    ended = scene.move(records, State.SUCCEEDED)
    assert not end_without_a_run(records)
    assert records.status() == ended


def test_a_run_killed_between_report_and_status_keeps_its_word(scene: Scene, records: JobRecords) -> None:
    scene.plan(records, "a")
    artifact = Artifact(name="album.zip", url="s3://b/album.zip", size_bytes=9)
    figures = Figures(started_at=START, ended_at=START + timedelta(minutes=1))
    records.create_report(1, build_report(records.document(), [Done(key="a")], [artifact], figures))
    end_without_a_run(records)
    assert (records.status().state, records.status().artifacts) == (State.SUCCEEDED, ("album.zip",))


def test_what_was_delivered_is_kept_as_long_as_the_document_says(scene: Scene) -> None:
    records = scene.submit(expires="7d")
    artifact = Artifact(name="album.zip", url="s3://b/album.zip", size_bytes=9)
    figures = Figures(started_at=START, ended_at=START + timedelta(minutes=1))
    records.create_report(1, build_report(records.document(), [Done(key="a")], [artifact], figures))
    end_without_a_run(records)
    assert records.status().expires_at == START + timedelta(days=7, minutes=1)


def test_its_lease_is_given_back(scene: Scene, records: JobRecords) -> None:
    end_without_a_run(records)
    assert not records.at_work(1)


def test_runs_that_were_killed_are_counted_as_interrupted(scene: Scene, records: JobRecords) -> None:
    records.save_run(1, "run-1", {"in_flight": [], "ended": True})
    records.save_run(1, "run-2", {"in_flight": ["a"], "ended": False})
    end_without_a_run(records)
    report = scene.report(records)
    assert (report.runs, report.interrupted) == (2, 1)
