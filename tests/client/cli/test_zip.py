from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from batchlab.job_index import list_jobs
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.stores import open_store
from tests.client.cli.conftest import Command


def only_job(tmp_path: Path) -> JobRecords:
    store = open_store((tmp_path / "state" / "batchlab").as_uri(), settings=Settings())
    (listed,) = list_jobs(store)
    return JobRecords(store, listed.id)


def called(processor: Path) -> Any:
    return json.loads((processor / "called").read_text())


def test_a_directory_becomes_a_job_that_the_processor_runs(
    batchlab: Command, processor: Path, photos: Path, here: Path, tmp_path: Path
) -> None:
    ran = batchlab("zip", "wedding", "--to", "out/album.zip", "--title", "Ana & Ben")
    assert ran.code == 0
    assert "succeeded" in ran.out
    records = only_job(tmp_path)
    document = records.document()
    assert document.output == f"{here.as_uri()}/out"
    assert document.params["name"] == "album.zip"
    assert [item["name"] for item in document.params["items"]] == ["1.jpg", "2.jpg", "evening/3.jpg"]
    assert called(processor)["arguments"] == [
        "run",
        "--job",
        f"{records.store.url}/jobs/{records.id}/job.json",
        "--store",
        records.store.url,
    ]


def test_what_was_named_is_granted_and_nothing_else(
    batchlab: Command, processor: Path, photos: Path, here: Path, tmp_path: Path
) -> None:
    (here / "list.txt").write_text("https://photos.example/9.jpg?token=geheim\n")
    batchlab(
        "zip", "wedding", "list.txt", "s3://bucket/event/", "--to", "s3://exports/album.zip", "--overwrite"
    )
    grant = only_job(tmp_path).grant()
    assert grant is not None
    assert grant.source_roots == (f"{photos.as_uri()}/", "s3://bucket/event/")
    assert grant.http_hosts == ("photos.example",)
    assert grant.output_roots == ("s3://exports/album.zip",)
    assert (grant.overwrite, grant.exact_target, grant.allow_local) == (True, True, False)
    assert "geheim" not in json.dumps(grant.as_json())


def test_a_missing_photo_ends_with_3_and_says_how_to_see_why(
    batchlab: Command, processor: Path, photos: Path, tmp_path: Path
) -> None:
    (processor / "plan").write_text('{"fails": {"2.jpg": "missing"}}')
    ran = batchlab("zip", "wedding", "--to", "album.zip")
    assert ran.code == 3
    assert f"batchlab items {only_job(tmp_path).id} --failed" in ran.err


def test_with_json_the_report_alone_is_on_stdout(batchlab: Command, processor: Path, photos: Path) -> None:
    (processor / "plan").write_text('{"fails": {"2.jpg": "missing"}}')
    ran = batchlab("zip", "wedding", "--to", "album.zip", "--json")
    assert json.loads(ran.out)["state"] == "partial"
    assert ran.err == ""


def test_an_existing_target_is_refused_before_any_work(
    batchlab: Command, processor: Path, photos: Path, here: Path, tmp_path: Path
) -> None:
    (here / "album.zip").write_bytes(b"mine")
    ran = batchlab("zip", "wedding", "--to", "album.zip")
    assert ran.code == 2
    assert ran.err == f"batchlab: {here}/album.zip exists. Choose another name, or add --overwrite.\n"
    assert not (tmp_path / "state").exists()
    assert not (processor / "called").exists()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    batchlab: Command, no_processor: None, photos: Path, here: Path, tmp_path: Path
) -> None:
    ran = batchlab("zip", "wedding", "--to", "out/album.zip", "--dry-run")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "zip-export: 3 photos, 32 B"
    assert "  to     out/album.zip" in ran.out
    assert not (tmp_path / "state").exists()
    assert sorted(path.name for path in here.iterdir()) == ["wedding"]


def test_a_dry_run_gives_the_document_as_json(batchlab: Command, no_processor: None, photos: Path) -> None:
    body = json.loads(batchlab("zip", "wedding", "--to", "s3://b1c/a.zip", "--dry-run", "--json").out)
    assert body["document"]["params"]["name"] == "a.zip"
    assert body["outputs"] == ["s3://b1c/a.zip"]


def test_volumes_come_beside_each_other(batchlab: Command, no_processor: None, photos: Path) -> None:
    asked = (
        "zip",
        "wedding",
        "--to",
        "s3://b1c/x/a.zip",
        "--max-archive-bytes",
        "4GB",
        "--dry-run",
        "--json",
    )
    body = json.loads(batchlab(*asked).out)
    assert body["document"]["params"]["max_archive_bytes"] == "4GB"
    assert body["outputs"] == ["s3://b1c/x"]


def test_without_the_processor_the_install_command_is_named_and_no_job_is_made(
    batchlab: Command, no_processor: None, photos: Path, tmp_path: Path
) -> None:
    ran = batchlab("zip", "wedding", "--to", "album.zip")
    assert ran.code == 2
    assert "pip install batchlab-processor" in ran.err
    assert not (tmp_path / "state").exists()


def test_everything_wrong_with_the_options_is_said_at_once_in_their_own_words(
    batchlab: Command, photos: Path
) -> None:
    ran = batchlab(
        "zip", "wedding", "--to", "a.zip", "--workers", "99", "--deadline", "soon", "--max-failures", "x",
        "--compress", "all",
    )  # fmt: skip
    assert ran.code == 2
    told = sorted(line.split(":")[1].strip() for line in ran.err.splitlines())
    assert told == ["--compress", "--deadline", "--max-failures", "--workers"]


def test_limits_reach_the_document(batchlab: Command, processor: Path, photos: Path, tmp_path: Path) -> None:
    batchlab("zip", "wedding", "--to", "a.zip", "--workers", "2", "--deadline", "6h", "--max-failures", "20")
    limits = only_job(tmp_path).document().limits
    assert (limits.workers, limits.max_failures) == (2, 20)
    assert limits.deadline is not None


def test_a_share_of_failures_may_be_given(
    batchlab: Command, processor: Path, photos: Path, tmp_path: Path
) -> None:
    batchlab("zip", "wedding", "--to", "a.zip", "--max-failures", "5%")
    assert only_job(tmp_path).document().limits.max_failures == "5%"


def test_plain_http_needs_allow_local(batchlab: Command, processor: Path, tmp_path: Path) -> None:
    refused = batchlab("zip", "http://127.0.0.1:8000/1.jpg", "--to", "a.zip")
    assert refused.code == 2
    assert "--allow-local" in refused.err
    assert batchlab("zip", "http://127.0.0.1:8000/1.jpg", "--to", "a.zip", "--allow-local").code == 0
    grant = only_job(tmp_path).grant()
    assert grant is not None
    assert grant.allow_local
    assert grant.http_hosts == ("127.0.0.1:8000",)


def test_the_store_is_neither_source_nor_target(batchlab: Command, processor: Path, photos: Path) -> None:
    inside = batchlab("zip", "wedding", "--to", "jobs/album.zip", "--store", "jobs")
    assert inside.code == 2
    assert "job documents live there" in inside.err


def test_the_store_may_be_a_directory(batchlab: Command, processor: Path, photos: Path, here: Path) -> None:
    assert batchlab("zip", "wedding", "--to", "a.zip", "--store", "./jobs").code == 0
    assert (here / "jobs" / "jobs").is_dir()


def test_a_bad_store_is_told_of_its_option(batchlab: Command, photos: Path) -> None:
    ran = batchlab("zip", "wedding", "--to", "a.zip", "--store", "ftp://x")
    assert ran.code == 2
    assert ran.err.startswith("batchlab: --store: ftp://x")


def test_a_password_file_reaches_the_processor_by_its_path_only(
    batchlab: Command, processor: Path, photos: Path, here: Path, tmp_path: Path
) -> None:
    (here / "password").write_text("geheim\n")
    assert batchlab("zip", "wedding", "--to", "a.zip", "--password-file", "password").code == 0
    said = called(processor)
    assert said["entries"] == {"passwords": {"password-file": {"file": f"{here}/password"}}}
    assert not Path(said["config"]).exists()
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"geheim" in path.read_bytes() for path in kept)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_password_file_without_a_password_is_refused(
    batchlab: Command, processor: Path, photos: Path, here: Path, content: str | None
) -> None:
    if content is not None:
        (here / "password").write_text(content)
    ran = batchlab("zip", "wedding", "--to", "a.zip", "--password-file", "password")
    assert ran.code == 2
    assert ran.err.startswith("batchlab: --password-file: ")


def test_an_interrupted_run_says_how_to_go_on(
    batchlab: Command, processor: Path, photos: Path, tmp_path: Path
) -> None:
    (processor / "plan").write_text('{"exit": 75}')
    ran = batchlab("zip", "wedding", "--to", "a.zip")
    assert ran.code == 75
    assert f"batchlab retry {only_job(tmp_path).id}" in ran.err


def test_a_processor_that_cannot_be_started_is_told_in_a_line(
    batchlab: Command, processor: Path, photos: Path
) -> None:
    stub = processor / "batchlab-processor"
    stub.write_text("#!/nowhere/python\n")
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    ran = batchlab("zip", "wedding", "--to", "a.zip")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
