"""What others see of a run: the job's status and the run's own progress, written while it goes on and at its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from batchlab.lease import Lease
from batchlab.records import JobRecords, at_its_end
from batchlab.report import Report
from batchlab.shards import Phase
from batchlab.standing import WHOLE, Share, save_progress, standing
from batchlab.status import State
from batchlab_processor.clock import Clock
from batchlab_processor.progress import Snapshot

LONGEST_PAUSE_SECONDS = 7 * 86400.0  # whatever a server wishes
PAUSE_SECONDS = 3600.0  # when a quota is used up and nobody says until when
REFRESH = timedelta(seconds=30)  # how old the status of a job in shards may be; one of them writes it anew


class StatusWriter:
    """Of one run; `number` is that of its shard, or WHOLE. Sets `lease.lost` when the job was retried meanwhile."""

    def __init__(self, records: JobRecords, lease: Lease, clock: Clock, phase: Phase, number: int) -> None:
        self.status = records.status()
        self._records = records
        self._lease = lease
        self._clock = clock
        self._phase = phase
        self._number = number
        self._generation = self.status.generation
        self._looked_at = clock.now()

    def begin(self) -> None:
        """The generation runs. A hundred shards find it so, and write nothing."""
        status = self.status
        if status.state is not State.RUNNING or status.started_at is None or status.resume_at is not None:
            self.advance(State.RUNNING, started_at=status.started_at or self._clock.now(), resume_at=None)

    def keep(self, snapshot: Snapshot, *, cancelled: bool) -> None:
        """Others see how far it is."""
        seen = {"counts": snapshot.counts, "last_progress_at": snapshot.last_progress_at}
        share = Share(self._number, self._phase, snapshot.counts, snapshot.last_progress_at)
        save_progress(self._records, self._generation, share)
        if self._number == WHOLE:
            self.advance(State.CANCELLING if cancelled else self.status.state, **seen)
        else:
            self._refresh(cancelled=cancelled)

    def deadline(self, limit: timedelta | None) -> float | None:
        """The clock's monotonic seconds at which no further item starts; counted from the generation's start."""
        if limit is None or self.status.started_at is None:
            return None
        left = self.status.started_at + limit - self._clock.now()
        return self._clock.monotonic() + left.total_seconds()

    def pause(self, wish_seconds: float | None) -> datetime:
        """When the job goes on, by itself where somebody looks after it. `wish_seconds`: the server's."""
        pause_seconds = min(wish_seconds or PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        resume_at = self._clock.now() + timedelta(seconds=pause_seconds)
        self.advance(self.status.state, resume_at=resume_at)
        self._records.save_pending(not_before=resume_at)
        return resume_at

    def end_with(self, report: Report) -> None:
        """The generation has ended."""
        self.advance(report.state, **at_its_end(self._records.document(), report))
        self._records.drop_pending()  # of an earlier pause: nobody need start this generation again

    def advance(self, state: State, **changes: Any) -> None:
        """The status is `state` with `changes`, unless a later one stands."""
        saved = self._records.save_status(self.status.model_copy(update={"state": state, **changes}))
        if saved.generation == self._generation:
            self.status = saved
        else:  # the job was retried, so somebody else has ended this generation
            self._lease.lost.set()

    def _refresh(self, *, cancelled: bool) -> None:
        """Writes the status of all shards together when nobody has for a while."""
        now = self._clock.now()
        news = cancelled and self.status.state is not State.CANCELLING
        if not news and now - self._looked_at < REFRESH:
            return
        self._looked_at = now
        status = self._records.status()
        fresh = status.last_progress_at is not None and now - status.last_progress_at < REFRESH
        if status.generation != self._generation:
            self._lease.lost.set()
        elif news or not fresh:
            self.status = standing(self._records, status)
            self.advance(State.CANCELLING if cancelled else self.status.state)
