"""Telling of a job's end: signed webhooks to the developer's service, e-mails to the customer (docs/notifications.md).

`announce` is all that the service calls. Each target has its own document, jobs/<id>/g<n>/notify-<event>-<k>.json,
whose try is claimed before it is made: two who look at once send once, and a sender that is killed is made up for.
"""

from batchlab.notify.announcing import announce, replay, start_over
from batchlab.notify.outlets import Outlets
from batchlab.notify.refusals import refusals

__all__ = ["Outlets", "announce", "refusals", "replay", "start_over"]
