"""The servers that other tests stand on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.servers import GCSServer, S3Server

_CHILD = """
import sys, time
from pathlib import Path
from tests.servers import bound_process
process = bound_process(["/bin/sleep", "600"], Path(sys.argv[1]) / "log")
print(process.pid, flush=True)
time.sleep(600)
"""


def test_seaweedfs_keeps_what_it_is_given(seaweedfs: S3Server, seaweedfs_bucket: str) -> None:
    client = seaweedfs.client()
    client.put_object(Bucket=seaweedfs_bucket, Key="a/ü.jpg", Body=b"photo")
    assert client.get_object(Bucket=seaweedfs_bucket, Key="a/ü.jpg")["Body"].read() == b"photo"
    client.close()


def test_moto_keeps_what_it_is_given(moto_s3: S3Server, moto_bucket: str) -> None:
    client = moto_s3.client()
    client.put_object(Bucket=moto_bucket, Key="a/ü.jpg", Body=b"photo")
    assert client.get_object(Bucket=moto_bucket, Key="a/ü.jpg")["Body"].read() == b"photo"
    client.close()


def test_fake_gcs_keeps_what_it_is_given(fake_gcs: GCSServer, gcs_bucket: str) -> None:
    fake_gcs.request(
        "POST", f"/upload/storage/v1/b/{gcs_bucket}/o?uploadType=media&name=a", b"photo", "image/jpeg"
    )
    assert fake_gcs.request("GET", f"/storage/v1/b/{gcs_bucket}/o/a?alt=media") == b"photo"


def test_a_server_ends_with_the_tests_even_when_they_are_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _ends(server)


def _ends(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # nobody has asked for its exit code yet
            return True
        time.sleep(0.05)
    return False
