"""batchlab_processor.jobs.cleanup on every storage that takes parts: uploads of dead exports, and archives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batchlab.ids import new_id
from batchlab.kinds import ItemError, Kind
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores.memory import MemoryStore
from batchlab_processor.jobs.zip_export import ZipExport
from batchlab_processor.storage import WriteOptions, open_storage, parts_memory
from batchlab_processor.testing import run_job
from tests.processor.jobs.cleanup.laboratory import DAY, Laboratory, deleted
from tests.processor.storage.parts_places import (
    PLACES,
    Everything,
    PartsPlace,
    file_place,
    s3_place,
    strict_place,
)

PART_BYTES = 8 * 1024 * 1024


@pytest.fixture(params=[place for place in PLACES if place not in ("memory", "s3-strict-crc32")])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PartsPlace]:
    name: str = request.param
    if name == "file":
        yield from file_place(request.getfixturevalue("tmp_path"))
    elif name.endswith("strict"):
        scheme = name.partition("-")[0]
        yield from strict_place(scheme, request.getfixturevalue(f"strict_{scheme}"), monkeypatch)
    else:
        scheme, _, server = name.partition("-")
        fixture = {"moto": "moto_s3"}.get(server, server)
        yield from s3_place(scheme, request.getfixturevalue(fixture), monkeypatch, part_bytes=PART_BYTES)


def dead_export(lab: Laboratory, state: str = "failed", *, ended: timedelta = DAY) -> tuple[JobRecords, int]:
    """A job with an upload in each of its plans and one that took another's place; and how many they are."""
    records = lab.job(state, ended=ended, delivers=(), expires=None)
    volumes = []
    for name in ("album-1.zip", "album-2.zip"):
        volumes.append({"name": name, "upload": begin(lab, f"{records.id}/g1/{name}"), "count": 1})
    records.save_plan(1, {"entries": [], "facts": {"part_bytes": PART_BYTES, "volumes": volumes}})
    second = {"name": "album.zip", "upload": begin(lab, f"{records.id}/g1/album.zip"), "count": 1}
    lab.store.create(f"{records.folder}/g1/plan-2.json", {"volumes": [second], "left_out": []})
    instead = begin(lab, f"{records.id}/g1/album-2.zip")
    notes: list[dict[str, Any]] = [
        {"note": "archive", "round": 1, "volume": 1, "upload": instead},
        {"note": "archive", "round": 1, "volume": 0, "part": 0, "etag": "x"},
    ]
    lab.store.append(f"{records.folder}/g1/ledger/a-0.jsonl", notes)
    return records, 4


def begin(lab: Laboratory, name: str) -> str:
    parts = lab.storage.begin_parts(f"{lab.output}/{name}", WriteOptions(), PART_BYTES)
    parts.send(1, memoryview(b"a" * PART_BYTES))
    return parts.id


@pytest.fixture
def lab(place: PartsPlace) -> Laboratory:
    settings = Settings.from_environment(os.environ)
    return Laboratory(MemoryStore(new_id()), place.prefix.rstrip("/"), settings)


def test_what_a_job_recorded_and_left_is_ended_and_nothing_else(lab: Laboratory, place: PartsPlace) -> None:
    records, count = dead_export(lab)
    begin(lab, "somebody-elses.zip")
    cleaned = lab.clean(dry_run=True)
    assert (deleted(cleaned), len(place.leftovers())) == ({"uploads": count}, count + 1)
    cleaned = lab.clean()
    assert (cleaned.state, deleted(cleaned)) == ("succeeded", {"uploads": count})
    assert len(place.leftovers()) == 1
    assert records.status().state == "failed"
    assert lab.clean().counts.total == 0, "it is looked at once"


def test_what_was_delivered_goes_and_what_another_put_there_stays(lab: Laboratory) -> None:
    for name in ("album.zip", "reuse/0123/album.zip", "unnamed.zip"):
        lab.job(delivers=(name,))
    lab.deliver("unnamed.zip", made_by="")
    assert deleted(lab.clean())["artifacts"] == 2
    for name in ("album.zip", "reuse/0123/album.zip"):
        with pytest.raises(ItemError) as gone:
            lab.storage.probe(f"{lab.output}/{name}", delivered=True)
        assert gone.value.kind is Kind.MISSING
    assert lab.storage.probe(f"{lab.output}/unnamed.zip", delivered=True).size_bytes == 2


@pytest.fixture
def local(tmp_path: Path) -> tuple[Laboratory, PartsPlace]:
    place = next(file_place(tmp_path))
    return Laboratory(MemoryStore(new_id()), place.prefix.rstrip("/")), place


def test_what_was_begun_and_never_recorded_is_ended_in_the_jobs_own_folder(
    local: tuple[Laboratory, PartsPlace],
) -> None:
    lab, place = local
    records = lab.job("failed", delivers=())
    begin(lab, f"{records.id}/g1/album.zip")
    begin(lab, "album.zip")
    assert deleted(lab.clean()) == {"uploads": 1}
    assert len(place.leftovers()) == 1


def test_an_upload_at_a_shared_place_is_ended_by_its_id_alone(local: tuple[Laboratory, PartsPlace]) -> None:
    lab, place = local
    records = lab.job("failed", delivers=())
    mine, another = (begin(lab, "reuse/0123/album.zip") for _ in range(2))
    facts = {"shared": "reuse/0123", "volumes": [{"name": "album.zip", "upload": mine, "count": 1}]}
    records.save_plan(1, {"entries": [], "facts": facts})
    assert deleted(lab.clean()) == {"uploads": 1}
    [left] = place.leftovers()
    assert another.partition("-")[0] in left.name


def test_a_job_that_showed_a_sign_of_life_lately_keeps_its_upload(
    local: tuple[Laboratory, PartsPlace],
) -> None:
    lab, place = local
    dead_export(lab, "running", ended=6 * DAY)
    lab.clean()
    assert len(place.leftovers()) == 4
    assert deleted(lab.clean(uploads_older_than="5d")) == {"uploads": 4}


def test_a_job_that_waits_for_its_quota_keeps_its_upload(local: tuple[Laboratory, PartsPlace]) -> None:
    lab, place = local
    records, _ = dead_export(lab, "running", ended=30 * DAY)
    at = lab.store.now()
    records.save_pending(at)
    lab.clean()
    records.drop_pending()
    lab.moved(records, "running", at - 30 * DAY, resume_at=at - DAY)
    lab.clean()
    assert len(place.leftovers()) == 4


def test_a_job_at_work_keeps_its_upload_whatever_its_status_says(
    local: tuple[Laboratory, PartsPlace],
) -> None:
    lab, place = local
    records, _ = dead_export(lab, "running", ended=30 * DAY)
    lease = records.lease(1, "a-run")
    assert lease is not None
    with lease:
        cleaned = lab.clean()
    assert deleted(cleaned) == {}
    assert cleaned.facts["left"] == [f"Job {records.id} is being worked on."]
    assert len(place.leftovers()) == 4


def test_nothing_is_ended_outside_of_the_listed_places(local: tuple[Laboratory, PartsPlace]) -> None:
    lab, place = local
    dead_export(lab)
    cleaned = replace(lab, roots=()).clean()
    assert deleted(cleaned) == {}
    assert len(place.leftovers()) == 4
    assert "BATCHLAB_OUTPUT_ROOTS" in cleaned.facts["left"][0]


def test_what_a_killed_export_recorded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real thing, so that zip-export and cleanup agree on where uploads are written down."""
    root = f"memory://{new_id()}"
    document = {"type": "zip-export", "output": f"{root}/out", "params": {"items": photos(root)}}
    ran = run_job(ZipExport(), document, kill=lambda key: True, sources=[root])
    before = len(list(parts_memory.unfinished()))
    lab = Laboratory(ran.records.store, f"{root}/out")
    later = lab.store.now() + 400 * DAY
    monkeypatch.setattr(lab.store, "now", lambda: later)
    assert deleted(lab.clean()) == {"uploads": 1}
    assert len(list(parts_memory.unfinished())) == before - 1
    resumed = run_job(ZipExport(), document, ran=ran, sources=[root])
    assert resumed.end is not None
    assert resumed.end.state == "succeeded", "a job that was given up may still go on: it begins again"


def photos(root: str) -> list[str]:
    storage = open_storage(Settings(), Everything())  # type: ignore[arg-type]
    urls = [f"{root}/{number}.jpg" for number in range(3)]
    for url in urls:
        with storage.write(url) as writer:
            writer.write(b"\xff\xd8\xff" + url.encode())
            writer.commit()
    return urls
