"""What a user types and sees, with the real processor: the commands run as they are installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers import S3Server

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "examples" / "gallery"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
# Every command starts for a second; what it then does is tested in every run within one process.
outside = pytest.mark.slow


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}


@pytest.fixture
def batchlab(here: Path, environment: dict[str, str]) -> Run:
    """Runs `batchlab ARGUMENTS` in a new process."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [command(), *arguments],
            cwd=here,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def command() -> str:
    return str(Path(sys.executable).parent / "batchlab")


@pytest.fixture
def photos(here: Path) -> Path:
    folder = here / "photos"
    shutil.copytree(GALLERY, folder, ignore=shutil.ignore_patterns("*.md"))
    return folder


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_directory_becomes_a_zip_that_equals_it_byte_for_byte(
    batchlab: Run, photos: Path, here: Path
) -> None:
    (photos / "evening").mkdir()
    shutil.copy(photos / "001-astronaut.jpg", photos / "evening" / "Größe & Farbe 100%#1.jpg")
    ran = batchlab("zip", "photos", "--to", f"{here.as_uri()}/out/album.zip")
    assert ran.returncode == 0, ran.stderr
    assert members(here / "out" / "album.zip") == contents(photos)
    assert "13 photos done" in ran.stdout


@outside
def test_the_report_alone_is_on_stdout_with_json(batchlab: Run, photos: Path, here: Path) -> None:
    ran = batchlab("zip", "photos", "--to", "album.zip", "--json")
    report = json.loads(ran.stdout)
    assert (report["state"], report["counts"]["done"]) == ("succeeded", 12)
    assert report["artifacts"][0]["url"] == f"{here.as_uri()}/album.zip"


@outside
def test_quiet_is_quiet(batchlab: Run, photos: Path) -> None:
    ran = batchlab("zip", "photos", "--to", "album.zip", "--quiet")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@outside
def test_a_list_with_a_photo_that_is_not_there_is_partial_and_can_be_retried(
    batchlab: Run, photos: Path, here: Path
) -> None:
    (here / "list.csv").write_text("url,id\nphotos/001-astronaut.jpg,one\nphotos/late.jpg,late\n")
    ran = batchlab("zip", "list.csv", "--to", "album.zip")
    assert ran.returncode == 3
    failed = json.loads(batchlab("items", "latest", "--failed", "--json").stdout)
    assert [(item["key"], item["kind"]) for item in failed] == [("late", "missing")]
    assert sorted(members(here / "album.zip")) == ["001-astronaut.jpg", "_missing.csv"]

    shutil.copy(photos / "002-cat.jpg", photos / "late.jpg")
    again = batchlab("retry", "latest")
    assert again.returncode == 0, again.stderr
    assert sorted(members(here / "album.zip")) == ["001-astronaut.jpg", "late.jpg"]
    status = json.loads(batchlab("status", "latest", "--json").stdout)
    assert (status["generation"], status["state"]) == (2, "succeeded")


@outside
def test_a_job_of_which_nothing_can_be_had_fails_and_leaves_no_zip(batchlab: Run, here: Path) -> None:
    (here / "list.txt").write_text("nowhere.jpg\n")
    ran = batchlab("zip", "list.txt", "--to", "album.zip")
    assert ran.returncode == 1
    assert not (here / "album.zip").exists()


@outside
def test_an_existing_zip_is_kept_unless_it_may_be_overwritten(
    batchlab: Run, photos: Path, here: Path
) -> None:
    (here / "album.zip").write_bytes(b"mine")
    assert batchlab("zip", "photos", "--to", "album.zip").returncode == 2
    assert (here / "album.zip").read_bytes() == b"mine"
    assert batchlab("zip", "photos", "--to", "album.zip", "--overwrite").returncode == 0
    assert members(here / "album.zip") == contents(photos)


@pytest.fixture
def web(photos: Path) -> Iterator[str]:
    """The photos on a web server of this machine, and a list that names a file of this machine, too."""
    (photos / "list.csv").write_text(
        f"url\n{(photos / '002-cat.jpg').as_uri()}\nhttps://photos.example/1.jpg\n"
    )

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(photos))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@outside
def test_urls_are_read_from_the_web(batchlab: Run, web: str, photos: Path, here: Path) -> None:
    urls = [f"{web}/001-astronaut.jpg", f"{web}/002-cat.jpg?token=geheim"]
    assert batchlab("zip", *urls, "--to", "album.zip").returncode == 2  # plain http, loopback
    ran = batchlab("zip", *urls, "--to", "album.zip", "--allow-local")
    assert ran.returncode == 0, ran.stderr
    assert "geheim" not in ran.stdout + ran.stderr
    assert members(here / "album.zip")["002-cat.jpg"] == (photos / "002-cat.jpg").read_bytes()


@outside
def test_what_a_fetched_list_names_is_not_granted(batchlab: Run, web: str, here: Path) -> None:
    ran = batchlab("zip", f"{web}/list.csv", "--to", "album.zip", "--allow-local", "--json")
    report = json.loads(ran.stdout)
    assert report["state"] == "failed"
    assert report["failures_by_kind"] == {"blocked_url": 2}
    assert not (here / "album.zip").exists()


@outside
def test_a_password_file_encrypts_the_zip(batchlab: Run, photos: Path, here: Path) -> None:
    (here / "password").write_text("geheim\n")
    ran = batchlab("zip", "photos", "--to", "album.zip", "--password-file", "password")
    assert ran.returncode == 0, ran.stderr
    with zipfile.ZipFile(here / "album.zip") as archive, pytest.raises(RuntimeError, match="encrypted"):
        archive.read("001-astronaut.jpg")


@outside
def test_ctrl_c_stops_the_job_and_a_retry_goes_on(
    batchlab: Run, photos: Path, here: Path, environment: dict[str, str]
) -> None:
    (here / "job.yaml").write_text(
        "type: zip-export\noutput: ./out\nlimits: {min_interval: 200ms}\n"
        "params: {name: album.zip, items: [{prefix: ./photos/}]}\n"
    )
    process = subprocess.Popen(
        [command(), "run", "job.yaml"],
        cwd=here,
        env=environment,
        start_new_session=True,  # a group of its own, as a terminal makes one
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "PROGRESS" in line and "complete" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 75, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stderr.close()
    assert "batchlab retry " in said
    assert not (here / "out" / "album.zip").exists()

    ran = batchlab("retry", "latest")
    assert ran.returncode == 0, ran.stderr
    assert [path.name for path in (here / "out").iterdir()] == [
        "album.zip"
    ]  # no draft of the interrupted run
    assert members(here / "out" / "album.zip") == contents(photos)


@outside
def test_a_job_can_be_cancelled_from_another_terminal(
    batchlab: Run, photos: Path, here: Path, environment: dict[str, str]
) -> None:
    (here / "job.yaml").write_text(
        "type: zip-export\noutput: ./out\nlimits: {min_interval: 1s}\n"
        "params: {name: album.zip, items: [{prefix: ./photos/}]}\n"
    )
    with subprocess.Popen(
        [command(), "run", "job.yaml", "--quiet"], cwd=here, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 60
        while "running" not in batchlab("list", "--json").stdout and time.monotonic() < until:
            time.sleep(0.1)
        assert batchlab("cancel", "latest").returncode == 0
        assert process.wait(60) == 4
    assert json.loads(batchlab("status", "latest", "--json").stdout)["state"] == "cancelled"
    assert not (here / "out" / "album.zip").exists()


def test_the_example_document_runs_as_it_stands(batchlab: Run, tmp_path: Path) -> None:
    examples = tmp_path / "checkout" / "examples"
    shutil.copytree(GALLERY, examples / "gallery")
    shutil.copytree(ROOT / "examples" / "zip-export", examples / "zip-export")
    ran = batchlab("run", str(examples / "zip-export" / "gallery.yaml"))
    assert ran.returncode == 0, ran.stderr
    found = members(tmp_path / "checkout" / "batchlab-demo" / "example.zip")
    assert found == {
        "001-astronaut.jpg": (GALLERY / "001-astronaut.jpg").read_bytes(),
        "cats/Chelsea.jpg": (GALLERY / "002-cat.jpg").read_bytes(),
        "003-coffee.jpg": (GALLERY / "003-coffee.jpg").read_bytes(),
    }


@outside
def test_the_self_test_runs_from_a_line(batchlab: Run, here: Path) -> None:
    (here / "job.json").write_text('{"type": "self-test", "params": {"network": false}}')
    ran = batchlab("run", "job.json", "--json")
    assert ran.returncode in (0, 3)  # what this machine lacks may fail a check
    assert json.loads(ran.stdout)["type"] == "self-test"


@outside
def test_types_say_what_runs_here(batchlab: Run) -> None:
    found = {each["name"]: each["runs_here"] for each in json.loads(batchlab("types", "--json").stdout)}
    assert found["zip-export"]
    assert found["self-test"]


@pytest.fixture
def bucket_of_photos(moto_s3: S3Server, moto_bucket: str) -> str:
    for path in sorted(GALLERY.glob("*.jpg"))[:3]:
        moto_s3.client().upload_file(str(path), moto_bucket, f"event/{path.name}")
    return moto_bucket


def test_a_folder_in_a_bucket_becomes_a_zip_in_it(
    batchlab: Run, moto_s3: S3Server, bucket_of_photos: str, here: Path
) -> None:
    target = f"s3://{bucket_of_photos}/exports/album.zip"
    arguments = ("zip", f"s3://{bucket_of_photos}/event/", "--to", target)
    ran = batchlab(*arguments, **moto_s3.environment())
    assert ran.returncode == 0, ran.stderr
    moto_s3.client().download_file(bucket_of_photos, "exports/album.zip", str(here / "got.zip"))
    assert list(members(here / "got.zip")) == sorted(path.name for path in GALLERY.glob("*.jpg"))[:3]
    again = batchlab(*arguments, **moto_s3.environment())
    assert again.returncode == 1
    assert "--overwrite" in again.stdout
    assert batchlab(*arguments, "--overwrite", **moto_s3.environment()).returncode == 0


@outside
def test_jobs_may_be_kept_in_a_bucket(
    batchlab: Run, moto_s3: S3Server, bucket_of_photos: str, here: Path
) -> None:
    bucket = bucket_of_photos
    settings = moto_s3.environment() | {"BATCHLAB_STORE": f"s3://{bucket}/jobs"}
    (here / "job.json").write_text(
        json.dumps(
            {
                "type": "zip-export",
                "title": "Event",
                "output": f"s3://{bucket}/exports",
                "params": {"items": [{"prefix": f"s3://{bucket}/event/"}]},
            }
        )
    )
    refused = batchlab("run", "job.json", **settings)
    assert refused.returncode == 2
    assert "BATCHLAB_OUTPUT_ROOTS" in refused.stderr
    assert "BATCHLAB_JOB_TYPES" in refused.stderr

    settings |= {
        "BATCHLAB_JOB_TYPES": "zip-export",
        "BATCHLAB_SOURCE_ROOTS": f"s3://{bucket}/event/",
        "BATCHLAB_OUTPUT_ROOTS": f"s3://{bucket}/exports/",
    }
    ran = batchlab("run", "job.json", **settings)
    assert ran.returncode == 0, ran.stderr
    (listed,) = json.loads(batchlab("list", "--json", **settings).stdout)
    assert (listed["state"], listed["title"]) == ("succeeded", "Event")
    assert len(json.loads(batchlab("items", "latest", "--json", **settings).stdout)) == 3
    assert "had ended before" in batchlab("cancel", listed["id"][:12], **settings).stdout
    key = f"exports/{listed['id']}/g1/album.zip"
    assert moto_s3.client().head_object(Bucket=bucket, Key=key)["ContentLength"] > 0


def test_what_is_named_is_granted_on_this_machine_only(batchlab: Run, photos: Path) -> None:
    ran = batchlab("zip", "photos", "--to", "album.zip", "--store", "s3://bucket/jobs")
    assert ran.returncode == 2
    assert "on this machine only" in ran.stderr


@outside
def test_a_store_that_does_not_answer_ends_with_7_and_one_that_refuses_with_6(
    batchlab: Run, moto_s3: S3Server
) -> None:
    nobody = moto_s3.environment() | {
        "S3_ENDPOINT": "http://127.0.0.1:9",
        "BATCHLAB_STORE": "s3://bucket/jobs",
    }
    assert batchlab("list", **nobody).returncode == 7
    no_bucket = moto_s3.environment() | {"BATCHLAB_STORE": "s3://no-such-bucket/jobs"}
    ran = batchlab("status", "latest", **no_bucket)
    assert ran.returncode in (5, 6, 7)
    assert len(ran.stderr.splitlines()) == 1
