"""`batchlab serve` as a process of its own, for tests: it ends with the test, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.servers import _BOUND, free_ports

STARTS_WITHIN_SECONDS = 60.0  # 2 s, and longer where others build something meanwhile


@dataclass
class Served:
    """One store, served again and again at one address."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> str:
        return (self.folder / "store").as_uri()

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text("utf-8")

    def start(self) -> None:
        """Returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).parent / "batchlab"), "serve", "--port", str(self.port)]
        command += ["--store", self.store, *self.arguments]
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            "HOME": str(self.folder),
            **self.environment,
        }
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOUND, str(os.getpid()), *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().strip()
        assert line == self.url, f"it said {line!r} and: {self.log[-2000:]}"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=60, **more)

    def submit(self, document: dict[str, Any], **headers: str) -> str:
        """The id of the accepted job."""
        answer = self.ask("POST", "/v1/jobs", json=document, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def wait(self, job: str, seconds: float = 180.0) -> dict[str, Any]:
        """The job once it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            info: dict[str, Any] = self.ask("GET", f"/v1/jobs/{job}").json()
            if info["ended_at"]:
                return info
            time.sleep(0.2)
        raise AssertionError(f"{info} did not end; the log: {self.log[-4000:]}")

    def kill(self) -> None:
        """As a power cut would, but for this one process."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(90)
        self.process.stdout.close()
        self.process = None
        return code


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """Serving a new store; afterwards the process has ended."""
    made = Served(folder, environment, arguments)
    made.start()
    try:
        yield made
    finally:
        if made.process is not None:
            made.kill()
