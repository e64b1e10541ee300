from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from batchlab.job_index import list_jobs
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores import open_store
from tests.client.cli.conftest import Command

DOCUMENT = """\
type: zip-export
title: The wedding
output: ./out
params:
  name: album.zip
  items:
    - ../wedding/1.jpg
    - {url: https://photos.example/2.jpg, name: ./2.jpg}
    - prefix: s3://bucket/event/
"""


@pytest.fixture
def document(here: Path) -> Path:
    (here / "jobs").mkdir()
    path = here / "jobs" / "album.yaml"
    path.write_text(DOCUMENT.replace("name: ./2.jpg", "name: 2.jpg"))
    return path


def only_job(tmp_path: Path) -> JobRecords:
    store = open_store((tmp_path / "state" / "batchlab").as_uri(), settings=Settings())
    (listed,) = list_jobs(store)
    return JobRecords(store, listed.id)


def test_places_beside_the_document_are_found_from_anywhere(
    batchlab: Command, processor: Path, document: Path, here: Path, tmp_path: Path
) -> None:
    assert batchlab("run", "jobs/album.yaml").code == 0
    written = only_job(tmp_path).document()
    assert written.output == f"{here.as_uri()}/jobs/out"
    assert written.params["items"][0] == f"{here.as_uri()}/wedding/1.jpg"


def test_what_the_document_names_is_granted(
    batchlab: Command, processor: Path, document: Path, here: Path, tmp_path: Path
) -> None:
    batchlab("run", str(document))
    grant = only_job(tmp_path).grant()
    assert grant is not None
    assert grant.source_roots == (f"{here.as_uri()}/wedding/1.jpg", "s3://bucket/event/")
    assert grant.http_hosts == ("photos.example",)
    assert grant.output_roots == (f"{here.as_uri()}/jobs/out",)
    assert grant.exact_target


def test_what_a_document_means_without_naming_it_is_granted_too(
    batchlab: Command, processor: Path, here: Path, tmp_path: Path
) -> None:
    """The keys of photos are below the manifest's folder unless `photos` says otherwise."""
    (here / "sheets.yaml").write_text(
        "{type: contact-sheets, output: ./out, params: {domain: x, manifest: ./lists/people.csv}}"
    )
    batchlab("run", "sheets.yaml")
    grant = only_job(tmp_path).grant()
    assert grant is not None
    assert grant.source_roots == (f"{here.as_uri()}/lists/people.csv", f"{here.as_uri()}/lists/")


def test_a_document_may_come_from_stdin(
    batchlab: Command, processor: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"type": "self-test"}')))
    assert batchlab("run", "-").code == 0
    assert only_job(tmp_path).document().type == "self-test"


def test_all_problems_of_a_document_are_said_at_once(batchlab: Command, here: Path) -> None:
    (here / "job.yaml").write_text("type: zip-exprot\ntitel: x\ntype: zip-export\n")
    ran = batchlab("run", "job.yaml")
    assert ran.code == 2
    assert all(line.startswith("batchlab: ") for line in ran.err.splitlines())
    assert len(ran.err.splitlines()) >= 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such document"),
        ("", "is empty"),
        ("- 1\n", "expected a job document"),
        ("type: zip-exprot\noutput: s3://bucket\n", "Did you mean zip-export?"),
        ("type: [", "is not valid YAML"),
    ],
)
def test_a_document_that_cannot_be_run_is_refused_in_a_line(
    batchlab: Command, processor: Path, here: Path, content: str | None, says: str
) -> None:
    if content is not None:
        (here / "job.yaml").write_text(content)
    ran = batchlab("run", "job.yaml")
    assert ran.code == 2
    assert says in ran.err
    assert not (processor / "called").exists()


def test_a_dry_run_of_a_document_writes_nothing(
    batchlab: Command, no_processor: None, document: Path, tmp_path: Path
) -> None:
    ran = batchlab("run", str(document), "--dry-run")
    assert ran.code == 0
    assert "The wedding" in ran.out
    assert not (tmp_path / "state").exists()


def test_a_job_that_is_run_twice_is_one_job(
    batchlab: Command, processor: Path, document: Path, tmp_path: Path
) -> None:
    document.write_text(f"id: 01jz8f3s2m9k4n5p6q7r8s9t0v\n{document.read_text()}")
    batchlab("run", str(document))
    batchlab("run", str(document))
    assert only_job(tmp_path).id == "01jz8f3s2m9k4n5p6q7r8s9t0v"


def test_an_id_that_belongs_to_another_document_is_refused(
    batchlab: Command, processor: Path, document: Path
) -> None:
    document.write_text(f"id: 01jz8f3s2m9k4n5p6q7r8s9t0v\n{document.read_text()}")
    batchlab("run", str(document))
    document.write_text(document.read_text().replace("The wedding", "The party"))
    ran = batchlab("run", str(document))
    assert ran.code == 2
    assert "exists with another content" in ran.err


def test_a_password_file_needs_a_job_that_takes_one(batchlab: Command, processor: Path, here: Path) -> None:
    (here / "password").write_text("geheim")
    (here / "job.json").write_text('{"type": "self-test"}')
    ran = batchlab("run", "job.json", "--password-file", "password")
    assert ran.code == 2


def test_a_password_file_fills_the_entry_that_the_document_names(
    batchlab: Command, processor: Path, document: Path, here: Path
) -> None:
    (here / "password").write_text("geheim")
    document.write_text(f"{document.read_text()}  password_ref: wedding\n")
    assert batchlab("run", str(document), "--password-file", "password").code == 0
    called = json.loads((processor / "called").read_text())
    assert list(called["entries"]["passwords"]) == ["wedding"]


def test_a_type_that_the_settings_do_not_allow_is_refused_before_the_job_is_in_the_store(
    batchlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHLAB_OUTPUT_ROOTS", "s3://bucket/out/")
    (here / "job.yaml").write_text(
        "type: zip-export\noutput: s3://bucket/out\nparams: {name: a.zip, items: [{prefix: 's3://bucket/in/'}]}\n"
    )
    ran = batchlab("run", "job.yaml", "--store", "s3://bucket/store", "--dry-run")
    assert ran.code == 2
    assert ran.err == "batchlab: type: zip-export is not allowed. Add it to BATCHLAB_JOB_TYPES.\n"


def test_a_password_file_of_several_lines_is_refused(batchlab: Command, processor: Path, here: Path) -> None:
    (here / "password").write_text("one\ntwo\n")
    (here / "a.jpg").write_bytes(b"x")
    ran = batchlab("zip", "a.jpg", "--to", "a.zip", "--password-file", "password")
    assert (ran.code, ran.err) == (
        2,
        "batchlab: --password-file: password holds several lines; a password is one line.\n",
    )
