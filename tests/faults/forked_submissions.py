"""A process that is warm and forks a submission for each line it is told, which kills itself -9 as the line says.

    {"store": "file:///...", "document": {...}, "writes": 7}  ->  {"status": -9}

`writes`: it dies right after its so manieth write, null for none; `kill_after`: it is killed after so many seconds.
Its runner writes jobs/<id>/started.json, as somebody else's queue would keep what it is told.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from batchlab.api import LogPage
from batchlab.backend import Hope, Runner
from batchlab.document import load_document
from batchlab.records import JobRecords
from batchlab.service.core import Service
from batchlab.service.submission import submit
from batchlab.settings import Settings

TYPES = {"shout": None}
WRITES = ("create", "replace", "put", "append", "delete")


class Kept(Runner):
    """Remembers in the store whom it was told to start."""

    def start(self, records: JobRecords) -> None:
        records.store.put(f"{records.folder}/started.json", {})

    def stop(self, records: JobRecords) -> None:
        records.store.delete(f"{records.folder}/started.json")

    def hope(self, records: JobRecords) -> Hope:
        started = records.store.read(f"{records.folder}/started.json") is not None
        return Hope.WAITING if started and not records.status().ended else Hope.UNKNOWN

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage:
        return LogPage(next="")


class Dying:
    """Does what `target` does; calls `die` right after a number of writes, counted over all that share `left`."""

    def __init__(self, target: Any, left: list[int], die: Callable[[], None]) -> None:
        self._target = target
        self._left = left
        self._die = die

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._counted(found) if name in WRITES else found

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any) -> Any:
            answer = write(*given)
            self._left[0] -= 1
            if self._left[0] == 0:
                self._die()
            return answer

        return counting


def dying(service: Service, writes: int, die: Callable[[], None]) -> Service:
    """The service whose store and pages together live for so many writes."""
    left = [writes]
    return dataclasses.replace(
        service, store=Dying(service.store, left, die), pages=Dying(service.pages, left, die)
    )


def main() -> None:
    for line in sys.stdin:
        wish = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(wish))
        if wish.get("kill_after") is not None:
            time.sleep(wish["kill_after"])
            os.kill(child, signal.SIGKILL)  # nobody has waited for it, so the number is still its own
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def run(wish: dict[str, Any]) -> int:
    service = Service.of_settings(Settings(store=wish["store"]), Kept())
    if wish.get("writes") is not None:
        service = dying(service, wish["writes"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    try:
        submit(service, load_document(wish["document"], types=TYPES))
    except Exception:  # as a function would
        import traceback

        traceback.print_exc()
        return 7
    return 0


if __name__ == "__main__":
    main()
