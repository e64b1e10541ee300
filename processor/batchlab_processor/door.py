"""What a run is given, and how it ends: the two sides of the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchlab.authority import Authority
from batchlab.lease import Waiting
from batchlab.report import Environment, Report
from batchlab.shards import Phase, Shard
from batchlab.standing import WHOLE
from batchlab.status import State
from batchlab_processor.clock import Clock
from batchlab_processor.context import no_entries, no_passwords
from batchlab_processor.display import Display, Quiet
from batchlab_processor.interrupt import EXIT_INTERRUPTED
from batchlab_processor.progress import Progress
from batchlab_processor.storage import Storage
from batchlab_processor.supervisor import new_run


def not_followed(progress: Progress) -> None:
    """Nobody follows the run but its own display."""


@dataclass(frozen=True)
class Door:
    """What a run is given from outside; nothing in the engine reads the environment or makes a client."""

    storage: Storage
    authority: Authority
    clock: Clock = dataclasses.field(default_factory=Clock)
    display: Display = dataclasses.field(default_factory=Quiet)
    passwords: Callable[[str], str] = no_passwords
    entries: Callable[[str, str], Any] = no_entries
    run: str = dataclasses.field(default_factory=new_run)
    crashed: str = ""  # "<run>:<signal>" when the supervisor saw the run before this one crash
    paused_exit_code: int = EXIT_INTERRUPTED  # 0 in AWS Batch: a pause is no failure of the container
    keep_seconds: float = 2.0  # how often ledger, progress and the wish to cancel are looked after
    waiting: Waiting | None = dataclasses.field(
        default_factory=Waiting
    )  # for a live lease; None: do not wait
    environment: Environment = dataclasses.field(default_factory=Environment)
    follow: Callable[[Progress], None] = not_followed  # is shown the progress of the run before it begins
    phase: Phase = "all"
    shard: Shard = dataclasses.field(default_factory=Shard)  # of the phase "work"

    def __post_init__(self) -> None:
        assert self.phase == "work" or self.shard.count == 1, "only work is done in shards"

    @property
    def number(self) -> int:
        """Under which this run takes its lease and tells its progress."""
        return self.shard.number if self.phase == "work" else WHOLE


@dataclass(frozen=True)
class End:
    """How a run ended; `state` is an ended one only when this run, or one before it, ended the job."""

    state: State
    exit_code: int
    report: Report | None = None
    message: str = ""
