"""A wedding of 500 photos of which 15 are bad in different ways, and the real command that exports it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.sources import Source, photo

PHOTOS = 500
SIZE_BYTES = 4000

# path of the bad photo -> the kind it must end with
BAD = {
    "/status/404/{name}": "missing",
    "/status/410/{name}": "missing",
    "/status/401/{name}": "auth",
    "/status/403/{name}": "auth",
    "/expired/{name}": "expired_url",
    "/status/400/{name}": "validation",
    "/status/500/{name}": "api_error",
    "/status/429/{name}?retry_after=0": "rate_limit",
    "/html/{name}": "corrupt",
    "/empty/{name}": "corrupt",
    "/gzip/{name}?cut=1": "corrupt",
    "/longer/{name}": "corrupt",
    "/cut/{name}": "network",
    "/short/{name}": "network",
    "/redirect?to=http://169.254.169.254/{name}": "blocked_url",
}


@dataclass
class Wedding:
    """One job document over `source`; `expected` are the members, `bad` the kinds by key."""

    source: Source
    store: str
    output: str
    environment: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    photos: int = PHOTOS
    shards: int = 1
    size_bytes: int = SIZE_BYTES
    vanishing: int = 0  # so many more are there when the job is planned, and gone when they are fetched
    expected: dict[str, bytes] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ways = [*BAD.items(), *[("/vanish/{name}?size={size}", "missing")] * self.vanishing]
        spacing = self.photos // len(ways)
        for number in range(self.photos):
            name = f"{number:04d}.jpg"
            if number % spacing == spacing // 2 and number // spacing < len(ways):
                path, kind = ways[number // spacing]
                self.bad[name] = kind
                url = self.source.url(path.format(name=name, size=self.size_bytes))
            else:
                self.expected[name] = photo(name, self.size_bytes)
                url = self.source.url(f"/photo/{name}?size={self.size_bytes}")
            self.items.append({"url": url, "name": name, "id": name})

    def document(self) -> str:
        return json.dumps(
            {
                "type": "zip-export",
                "id": "01m82z2746kh8t1vwtfytf7h25",
                "title": "Anna & Ben",
                "params": {"name": "album.zip", "items": self.items},
                "output": self.output,
                "limits": self.limits,
                "shards": self.shards,
            }
        )

    @property
    def target(self) -> str:
        return f"{self.output}/01m82z2746kh8t1vwtfytf7h25/g1/album.zip"

    def start(self, job: str, log: IO[bytes] | int, *options: str) -> subprocess.Popen[bytes]:
        """The real command; `job` is a path to the document."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "BATCHLAB_STORE": self.store,
            "BATCHLAB_OUTPUT_ROOTS": self.output,
            "BATCHLAB_HTTP_HOSTS": f"127.0.0.1:{self.source.port}",
            "BATCHLAB_ALLOW_LOCAL": "1",
            "BATCHLAB_JOB_TYPES": "zip-export",
            **self.environment,
        }
        command = [sys.executable, "-m", "batchlab_processor", "run", "--job", job, "--json", *options]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)

    def run(self, job: str, log: Path, *options: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the report."""
        with log.open("ab") as errors, self.start(job, errors, *options) as process:
            assert process.stdout is not None
            said = process.stdout.read()
        return process.returncode, json.loads(said) if said.strip() else {}

    def check_report(self, code: int, report: dict[str, Any]) -> None:
        assert (code, report["state"]) == (3, "partial")
        assert {failure["key"]: failure["kind"] for failure in report["failures"]} == self.bad
        counts = report["counts"]
        assert (counts["total"], counts["done"], counts["failed"]) == (
            self.photos,
            len(self.expected),
            len(self.bad),
        )

    def check_archive(self, file: Any) -> None:
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            found = {name: archive.read(name) for name in archive.namelist()}
        missing = found.pop("_missing.csv").decode("utf-8-sig")
        assert found == self.expected
        assert all(name in missing for name in self.bad)
