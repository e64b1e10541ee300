"""One container of AWS Lambda: a process that handles one event after the other, with an environment of its own.

As a program it reads {"handler": ..., "event": ...} as lines of stdin until that ends, and writes what came of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

JSON = dict[str, Any]


class Container:
    """A started container; one event at a time, as in AWS."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._turn = threading.Lock()

    def call(self, handler: str, event: JSON) -> JSON:
        """What the handler returned; raises RuntimeError with its traceback when it raised."""
        with self._turn:
            assert self._process.stdin and self._process.stdout
            self._process.stdin.write(json.dumps({"handler": handler, "event": event}).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        answer: JSON = json.loads(line or b'{"raised": "the container has gone"}')
        if "raised" in answer:
            raise RuntimeError(answer["raised"])
        returned: JSON = answer["returned"]
        return returned


@contextmanager
def containers(count: int, environment: Mapping[str, str]) -> Iterator[list[Container]]:
    """So many of them, each gone afterwards, and when this process is gone: their stdin ends."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.worker.container"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, **environment},
        )
        for _ in range(count)
    ]
    try:
        yield [Container(process) for process in processes]
    finally:
        for process in processes:
            assert process.stdin and process.stdout
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


class _Context:
    """What handlers ask of Lambda's context."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "lab"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever handlers print is no answer
    from batchlab.service import lambdas

    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            answer = {"returned": getattr(lambdas, asked["handler"])(asked["event"], _Context())}
        except Exception:
            answer = {"raised": traceback.format_exc()}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
