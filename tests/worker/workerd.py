"""The example Worker in workerd, and its R2 bucket by the other door."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

BIN = Path(sys.executable).parent
PACKAGE = Path(__file__).resolve().parents[2] / "client" / "cloudflare"


@dataclass(frozen=True)
class Worker:
    url: str  # http://127.0.0.1:PORT
    bucket_url: str
    token: str  # what the shop's own site shows

    def ask(self, method: str, path: str, *, body: Any = None, **headers: str) -> httpx.Response:
        """The Worker's answer to the shop's own site."""
        shown = {"authorization": f"Bearer {self.token}", **headers}
        with httpx.Client(timeout=300, trust_env=False) as client:
            return client.request(method, self.url + path, json=body, headers=shown)

    def names(self) -> list[str]:
        """What lies in R2."""
        found: list[str] = json.loads(self._bucket("GET", ""))
        return found

    def read(self, key: str) -> bytes:
        return self._bucket("GET", key)

    def write(self, key: str, body: bytes) -> None:
        self._bucket("PUT", key, body)

    def _bucket(self, method: str, key: str, body: bytes | None = None) -> bytes:
        url = f"{self.bucket_url}/{urllib.parse.quote(key, safe='')}"
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=30) as answer:
            return bytes(answer.read())


@contextmanager
def example_worker(variables: Mapping[str, str], log: Path) -> Iterator[Worker]:
    """Ends with this process, however that ends: its stdin is ours."""
    if not (PACKAGE / "node_modules").is_dir():
        pytest.fail("client/cloudflare has no node_modules: run scripts/setup worker first")
    folder = str(log.parent)
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": folder, "TMPDIR": folder}
    subprocess.run([BIN / "npm", "run", "build", "--silent"], cwd=PACKAGE, env=environment, check=True)
    command = [str(BIN / "node"), "test/server.mjs", json.dumps(dict(variables)), "0"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=PACKAGE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        ) as process,
    ):
        try:
            assert process.stdin and process.stdout
            line = process.stdout.readline()
            if not line:
                pytest.fail(f"the Worker did not start:\n{log.read_text(errors='replace')[-4000:]}")
            told = json.loads(line)
            yield Worker(told["worker"].rstrip("/"), told["bucket"], variables["EXPORT_TOKEN"])
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
