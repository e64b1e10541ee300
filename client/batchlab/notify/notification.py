"""The document of one notification: what was tried, and when the next try is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from batchlab.notify.schedule import CLAIM
from batchlab.records import JobRecords
from batchlab.redact import scrub
from batchlab.store import VersionConflict
from batchlab.targets import Event


class Notification(BaseModel):
    """The body of jobs/<id>/g<n>/notify-<event>-<k>.json. Times are the store's, UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["pending", "sent", "dead"] = "pending"
    attempts: Annotated[int, Field(ge=0)] = 0  # tries begun
    # Of the next try; while one is made, the end of its claim. None before the first, which is due at once: a moment
    # told by the Date of one answer (whole seconds) can lie behind that of the next.
    next_at: datetime | None = None
    last_error: Annotated[str, AfterValidator(scrub)] = ""  # of the last try that failed
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Place:
    """Which notification: of which end of which generation, for which target of the document."""

    job_id: str
    generation: int
    event: Event
    number: int  # of the target in document.notify, from 1

    @property
    def name(self) -> str:
        """Its document in the store."""
        return f"jobs/{self.job_id}/g{self.generation}/notify-{self.event}-{self.number}.json"

    @property
    def message_id(self) -> str:
        """The same over all tries and repetitions. Without a full stop, which signatures are taken apart by."""
        return f"msg_{self.job_id}_g{self.generation}_{self.event}_{self.number}"


@dataclass(frozen=True)
class Read:
    """A notification as it was read."""

    place: Place
    notification: Notification
    version: str

    def claim(self, records: JobRecords, now: datetime) -> Read | None:
        """The same with one try more, which is ours until the claim's time is over; None: somebody was faster."""
        claimed = self.notification.model_copy(
            update={"attempts": self.notification.attempts + 1, "next_at": now + CLAIM}
        )
        return self.save(records, claimed)

    def save(self, records: JobRecords, notification: Notification) -> Read | None:
        """Written over what was read; None when it has changed meanwhile, and then nothing is written."""
        try:
            version = records.store.replace(self.place.name, as_json(notification), self.version)
        except VersionConflict:
            return None
        return Read(self.place, notification, version)


def as_json(notification: Notification) -> dict[str, object]:
    return notification.model_dump(mode="json", exclude_defaults=True)


def read(records: JobRecords, place: Place) -> Read | None:
    """The notification at `place`, or None when nobody has made it yet."""
    found = records.store.read(place.name)
    return None if found is None else Read(place, Notification.model_validate(found.body), found.version)
