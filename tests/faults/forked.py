"""A process that is warm and forks a run for each line it is told: so a kill costs milliseconds, not a second.

    {"phase": "all", "shard": [1, 1], "kill_after": 0.3}  ->  {"status": -9} when it has ended

Its first line is {store, job, part_bytes}; parts are as small as that, so that few bytes make many of them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from batchlab.guard import Guard
from batchlab.records import JobRecords
from batchlab.settings import Settings
from batchlab.shards import Shard
from batchlab.stores import open_store
from batchlab_processor import engine
from batchlab_processor.door import Door
from batchlab_processor.jobs.zip_export import ZipExport, layout
from batchlab_processor.storage import open_storage


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    layout._fitting_part_bytes = lambda total_bytes: asked["part_bytes"]
    for line in sys.stdin:
        wish = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(asked, wish))
        if wish["kill_after"] is not None:
            time.sleep(wish["kill_after"])
            os.kill(child, signal.SIGKILL)  # nobody has waited for it, so the number is still its own
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def run(asked: dict[str, Any], wish: dict[str, Any]) -> int:
    settings = Settings.from_environment(os.environ)
    records = JobRecords(open_store(asked["store"]), asked["job"])
    authority = records.grant()
    assert authority is not None
    with Guard.of(authority) as guard:
        door = Door(
            storage=open_storage(settings, authority, guard=guard),
            authority=authority,
            phase=wish["phase"],
            shard=Shard(*wish["shard"]),
        )
        try:
            return engine.run(records, ZipExport(), door).exit_code
        except Exception:  # as the command would
            import traceback

            traceback.print_exc()
            return 7


if __name__ == "__main__":
    main()
