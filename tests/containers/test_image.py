"""The container image: what is in it, and how it behaves where AWS Batch starts and stops it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from batchlab.records import JobRecords, outcomes_of
from batchlab.settings import Settings
from batchlab.stores import open_store
from tests.containers.conftest import Built
from tests.servers import S3Server

pytestmark = pytest.mark.containers
MEGABYTE = 1_000_000
# A letter that no font has is drawn as a box. These two are strokes: Arabic's tatweel and the Chinese one.
DRAWING = """
from batchlab_processor.jobs.contact_sheets.vips import pyvips
strokes = [pyvips.Image.text(letter, dpi=300) for letter in ("\u0640", "\u4e00")]
print(pyvips.API_mode, *(image.width > 2 * image.height for image in strokes))
"""
T = TypeVar("T")


def inside(built: Built, script: str, *options: str) -> tuple[int, str]:
    """Runs a shell script in the image, as its user; the root is read-only because the runtime makes it so."""
    arguments = ["run", "--rm", "--network=none", "--entrypoint=sh", *options]
    done = built.podman.call(*arguments, built.image, "-c", script, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_image_is_small_and_says_what_it_is(built: Built) -> None:
    [facts] = json.loads(built.podman.call("image", "inspect", built.image).stdout)
    [base] = json.loads(built.podman.call("image", "inspect", built.base).stdout)
    ours = (facts["Size"] - base["Size"]) / MEGABYTE
    print(f"image {facts['Size'] / MEGABYTE:.0f} MB, {ours:.0f} MB above its Python")
    assert ours < 200  # 180 of batchlab, 8 of the stranger's font; docs/aws.md says so
    labels = facts["Labels"]
    assert labels["org.opencontainers.image.revision"] == "0123456789ab"
    assert labels["org.opencontainers.image.title"] == "batchlab"
    assert facts["User"] == "10001:10001"
    assert facts["Config"]["Entrypoint"] == ["batchlab-processor"]


@pytest.mark.parametrize("options", [(), ("--volume=scratch:/tmp",)], ids=["by-itself", "as-in-ecs"])
def test_nobody_in_the_image_can_compile_write_but_in_tmp_or_be_root(
    built: Built, options: tuple[str, ...]
) -> None:
    script = (
        "exec 2>&1; id -u; command -v gcc cc make ld; stat -c %a /tmp; touch /opt/project/x; touch /tmp/x"
    )
    code, said = inside(built, script, *options)
    assert code == 0, said
    uid, mode, refused = said.splitlines()
    assert (uid, mode) == ("10001", "1777")
    assert "Read-only file system" in refused


def test_every_job_type_is_there_and_a_strangers_too(built: Built) -> None:
    code, said = inside(built, "batchlab-processor types --json")
    assert code == 0, said
    expected = {"zip-export", "contact-sheets", "cleanup", "self-test", "nap"}
    assert expected <= {each["name"] for each in json.loads(said)}
    code, said = inside(built, 'python -c "import isal, psycopg, firebase_admin, google.cloud.storage"')
    assert code == 0, said


def test_sheets_can_be_drawn_and_names_written_on_them(built: Built) -> None:
    code, said = inside(built, f"python - <<'END'\n{DRAWING}\nEND")
    assert (code, said) == (0, "True True True\n")


def test_without_arguments_it_runs_the_self_test(
    built: Built, seaweedfs: S3Server, seaweedfs_bucket: str
) -> None:
    environment = {
        **seaweedfs.environment(),
        "BATCHLAB_STORE": f"s3://{seaweedfs_bucket}/store",
        "AWS_BATCH_JOB_ID": "5d9f6b3e-6d5c-4a52-b2f7-6f7f5b0b4b11",
        "AWS_BATCH_JOB_ATTEMPT": "1",
    }
    code, said = built.podman.end(built.podman.start(built.image, environment))
    assert code == 0, said  # also when a machine without a way out makes it partial: Batch must not try again
    assert "store-compare-and-set" in said


def test_sigterm_ends_it_with_75_and_the_next_run_does_what_is_left(
    built: Built, seaweedfs: S3Server, seaweedfs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_url = f"s3://{seaweedfs_bucket}/store"
    document = {"type": "nap", "params": {"items": 40, "seconds": 0.5}, "limits": {"workers": 2}}
    environment = {
        **seaweedfs.environment(),
        "BATCHLAB_STORE": store_url,
        "BATCHLAB_JOB_TYPES": "nap",
        "AWS_BATCH_JOB_ID": "0192f0c1-2345-7abc-8def-0123456789ab",
        "AWS_BATCH_JOB_ATTEMPT": "1",
    }
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    store = open_store(store_url, settings=Settings(store=store_url, s3_endpoint=seaweedfs.endpoint_url))
    container = built.podman.start(built.image, environment, "run", "--job", json.dumps(document))
    [job_id] = _when(lambda: {name.split("/")[1] for name in store.names("jobs/")})
    records = JobRecords(store, job_id)
    _when(lambda: list(store.names(f"jobs/{job_id}/g1/ledger/")))
    started = time.monotonic()
    built.podman.call("kill", "--signal=TERM", container)
    code, said = built.podman.end(container)
    assert code == 75, said
    assert time.monotonic() - started < 25, "AWS Batch kills after 30 s"
    first = set(outcomes_of(records, 1))
    assert 0 < len(first) < 40

    again = {**environment, "AWS_BATCH_JOB_ATTEMPT": "2"}
    code, said = built.podman.end(
        built.podman.start(built.image, again, "run", "--job", json.dumps(document))
    )
    assert code == 0, said
    report = records.report(1)
    assert report is not None and report.state == "succeeded"
    attempts = {key: outcome.result["attempt"] for key, outcome in outcomes_of(records, 1).items()}
    assert {key for key, attempt in attempts.items() if attempt == "1"} == first
    assert len(attempts) == 40


def _when(look: Callable[[], T]) -> T:
    """What `look` finds, as soon as it finds anything."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing was found in 60 s")
