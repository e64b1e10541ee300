"""The end of a generation, told to every target of the document: at least once, and by nobody once it is stale."""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime, timedelta
from typing import get_args

from batchlab.document import JobDocument
from batchlab.notify.end import read_end
from batchlab.notify.failures import Later, Never
from batchlab.notify.notification import Notification, Place, Read, as_json, read
from batchlab.notify.outlets import Outlets
from batchlab.notify.schedule import CLAIM, next_try
from batchlab.records import JobRecords
from batchlab.redact import shown
from batchlab.status import Status
from batchlab.store import AlreadyExists
from batchlab.targets import EmailTarget, Event, NotifyTarget

ENDS: tuple[Event, ...] = get_args(Event)

logger = logging.getLogger("batchlab")


def announce(records: JobRecords, outlets: Outlets) -> datetime | None:
    """Afterwards each target of an ended job has its notification, and those that were due were tried.

    Returns when the next try is due; None when all are sent or dead, or the job has not ended. Any number may call it
    at once, and again: each try is made by one of them.
    """
    status = records.status()
    if not status.ended:
        return None
    document = records.document()
    due = [_tell(records, document, place, outlets) for place in _places(records, document, status)]
    return min((moment for moment in due if moment is not None), default=None)


def start_over(records: JobRecords) -> int:
    """Every notification of the job's end is due now, as if it had never been tried; how many there are.

    Each keeps its webhook-id. `announce` sends them. Nothing else of the job changes.
    """
    status = records.status()
    if not status.ended:
        return 0
    places = _places(records, records.document(), status)
    again = [place for place in places if place.event == event_of(status)]
    for place in again:
        _forget(records, place)
    return len(again)


def replay(records: JobRecords, outlets: Outlets) -> int:
    """Every notification of the job's end was tried once more; how many there are. `told` says what came of it.

    What did not get through is tried again by whoever calls `announce`.
    """
    count = start_over(records)
    announce(records, outlets)
    return count


def told(records: JobRecords) -> list[tuple[str, Notification]]:
    """Whom the job tells of its end, as they may be shown, and how far that is; [] before it has ended."""
    status, document = records.status(), records.document()
    if not status.ended:
        return []
    found = [
        read(records, place)
        for place in _places(records, document, status)
        if place.event == event_of(status)
    ]
    return [(_shown(document.notify[each.place.number - 1]), each.notification) for each in found if each]


def _shown(target: NotifyTarget) -> str:
    return target.email if isinstance(target, EmailTarget) else shown(target.webhook)


def event_of(status: Status) -> Event:
    """What an end is called; ValueError when the job has not ended."""
    return ENDS[ENDS.index(str(status.state))]


def wanted(target: NotifyTarget, event: Event) -> bool:
    """Whether `target` is told of `event`. People are told that their files were deleted only when it says so."""
    if target.events is None:
        return not (event == "expired" and isinstance(target, EmailTarget))
    return event in target.events


def _places(records: JobRecords, document: JobDocument, status: Status) -> list[Place]:
    """The generation's notifications, those of its end made if they were missing.

    A job that has expired has those of the end before, too: a receiver that was away for days still hears of both.
    """
    event, folder = event_of(status), f"{records.folder}/g{status.generation}/notify-"
    there = set(records.store.names(folder))
    places = []
    for each in ENDS:
        for number, target in enumerate(document.notify, 1):
            place = Place(records.id, status.generation, each, number)
            if place.name not in there and each == event and wanted(target, event):
                with contextlib.suppress(AlreadyExists):
                    records.store.create(place.name, as_json(Notification()))
                there.add(place.name)
            if place.name in there:
                places.append(place)
    return places


def _forget(records: JobRecords, place: Place) -> None:
    """Whatever the notification has been through is forgotten."""
    while found := read(records, place):
        if found.save(records, Notification()) is not None:
            return


def _tell(records: JobRecords, document: JobDocument, place: Place, outlets: Outlets) -> datetime | None:
    """One try, if it is due; returns when the next one is."""
    found = read(records, place)
    if found is None or found.notification.state != "pending":
        return None
    now = records.store.now()
    due = found.notification.next_at
    if due is not None and due > now:
        return due
    claimed = found.claim(records, now)
    if claimed is None:
        return now + CLAIM  # somebody else is at it; if that one is killed, it is our turn
    after = _try(records, document, claimed, outlets)
    claimed.save(records, after)  # changed meanwhile: our claim had run out, and another's word counts
    return after.next_at


def _try(records: JobRecords, document: JobDocument, claimed: Read, outlets: Outlets) -> Notification:
    """What the notification says after this try."""
    place, now = claimed.place, records.store.now()
    try:
        status = records.status()  # read again: a retry may have begun since
        if status.generation != place.generation:
            raise Never("A retry has begun: what it brings is told at its own end.")
        end = read_end(records, document, status, place.event, outlets.settings)
        outlets.send(place, end, document.notify[place.number - 1], now)
    except Never as error:
        return _dead(claimed, error.message)
    except Later as error:
        return _failed(claimed, error.message, records.store.now(), error.wait)
    except Exception as error:
        # Whatever it is, a defect of ours among it, the other targets are told.
        logger.exception("%s could not be sent.", place.message_id)
        return _failed(claimed, f"{type(error).__name__}; see the log.", records.store.now())
    logger.info("%s is sent.", place.message_id)
    return claimed.notification.model_copy(
        update={"state": "sent", "next_at": None, "sent_at": records.store.now(), "last_error": ""}
    )


def _failed(claimed: Read, why: str, now: datetime, wait: timedelta | None = None) -> Notification:
    due = next_try(claimed.notification.attempts, now, wait)
    if due is None:
        return _dead(claimed, f"{why} Given up after {claimed.notification.attempts} tries.")
    logger.warning("%s did not get through: %s", claimed.place.message_id, why)
    return claimed.notification.model_copy(update={"next_at": due, "last_error": why})


def _dead(claimed: Read, why: str) -> Notification:
    logger.warning("%s is given up: %s", claimed.place.message_id, why)
    return claimed.notification.model_copy(update={"state": "dead", "next_at": None, "last_error": why})
