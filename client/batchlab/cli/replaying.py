"""Notifications sent once more, by the endpoint or from a store, and what became of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchlab.cli.choosing import choose, choose_job
from batchlab.cli.options import store_of
from batchlab.errors import UsageError
from batchlab.settings import Settings

if TYPE_CHECKING:
    from batchlab.notify.notification import Notification


@dataclass(frozen=True)
class Replayed:
    """How many there were, and of those sent from here what became of each."""

    job_id: str
    count: int
    endpoint: str = ""  # who sends them; "": they were sent from here
    notifications: tuple[tuple[str, Notification], ...] = ()  # whom, and how it stands

    @property
    def unsent(self) -> list[tuple[str, Notification]]:
        return [each for each in self.notifications if each[1].state != "sent"]

    def as_json(self) -> dict[str, Any]:
        told = [{"to": whom, **each.model_dump(mode="json")} for whom, each in self.notifications]
        return {"id": self.job_id, "count": self.count, "notifications": told}

    def as_text(self) -> str:
        if not self.count:
            return f"Job {self.job_id} has nobody to tell of its end."
        if self.endpoint:
            return f"{self.count} due now; {self.endpoint} sends them within a minute."
        sent = self.count - len(self.unsent)
        lines = [
            f"{sent} of {self.count} sent once more." if self.unsent else f"{self.count} sent once more."
        ]
        lines += [f"  {whom} is {each.state}: {each.last_error}" for whom, each in self.unsent]
        return "\n".join(lines)


def replay_at_endpoint(job: str, settings: Settings) -> Replayed:
    """The endpoint of BATCHLAB_URL has them sent, shortly after it has answered."""
    from batchlab.opening import open_backend
    from batchlab.redact import shown

    backend = open_backend(settings.url, settings)
    job_id = choose(backend, shown(settings.url), job)
    return Replayed(job_id, backend.replay(job_id), shown(settings.url))


def replay_from_store(job: str, settings: Settings) -> Replayed:
    """This machine sends them. Raises UsageError, before anything is changed, when its settings are not up to it."""
    from batchlab.notify import Outlets, refusals, replay
    from batchlab.notify.announcing import told
    from batchlab.records import JobRecords

    found = store_of(_with_store(settings))
    records = JobRecords(found, choose_job(found, job))
    document = records.document()
    if not records.status().ended:
        raise UsageError(f"Job {records.id} has not ended. See: batchlab status {records.id}")
    lacking = refusals(document, settings)
    if lacking:
        raise UsageError("\n".join(lacking))
    count = replay(records, Outlets.of_settings(settings))
    return Replayed(records.id, count, notifications=tuple(told(records)))


def _with_store(settings: Settings) -> Settings:
    """The settings with the store that BATCHLAB_URL names, when it names one."""
    from batchlab.batch.address import is_batch_url, parse_batch_url

    named = settings.url if settings.url.startswith("file://") else ""
    if is_batch_url(settings.url):
        named = parse_batch_url(settings.url).store
    return dataclasses.replace(settings, store=named.rstrip("/") or settings.store)
