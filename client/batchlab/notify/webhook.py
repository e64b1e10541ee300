"""A webhook: what it says, and one try at sending it.

It goes through the guard, because a target's URL comes from a document: only to listed hosts whose every address is
public, and to the very address that was checked. Redirects are not followed.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from batchlab.connections import Patience
from batchlab.guard import Guard
from batchlab.kinds import ItemError, Kind
from batchlab.locations import blocked, locate
from batchlab.notify.end import End
from batchlab.notify.failures import Later, Never
from batchlab.roots import Hosts, host_entry
from batchlab.settings import Settings
from batchlab.targets import WebhookTarget
from batchlab.webhooks import ID, SIGNATURE, TIMESTAMP, Event, EventData, sign

PATIENCE = Patience(connect_seconds=5, total_seconds=15, stall_seconds=15)
_ANSWER_BYTES = 16 * 1024  # of the answer's body, which nobody reads: only to hang up politely
_GONE = 410  # Source: Standard Webhooks, "Delivery success and failure": the receiver wants no more


def webhook_guard(settings: Settings, patience: Patience = PATIENCE, **options: Any) -> Guard:
    """Lets requests to BATCHLAB_WEBHOOK_HOSTS through; to this machine and in plain http only where that is allowed."""
    hosts = Hosts(settings.webhook_hosts)

    def allows_local(url: str) -> bool:
        return settings.allow_local and hosts.admit(locate(url), by_name=True)

    return Guard(lambda url: check_url(url, settings), allows_local, patience=patience, **options)


def check_url(url: str, settings: Settings) -> str:
    """The normalised URL; raises ItemError(blocked_url) naming the setting that would admit it."""
    place = locate(url)
    hosts = Hosts(settings.webhook_hosts)
    if not hosts.admit(place):
        raise blocked(url, f"its host is not listed. Add {host_entry(place)} to BATCHLAB_WEBHOOK_HOSTS")
    if place.scheme == "http" and not (settings.allow_local and hosts.admit(place, by_name=True)):
        cure = "use https://, or BATCHLAB_ALLOW_LOCAL=1 with its host listed by name"
        raise blocked(url, f"plain http can be read and changed on its way; {cure}")
    return place.url


def signing_secret(target: WebhookTarget, settings: Settings) -> str:
    """The secret that a target's messages are signed with; raises ItemError(validation) saying what to add."""
    if target.secret_ref is not None:
        return settings.named.secret("webhook_secrets", target.secret_ref)
    if not settings.webhook_secret:
        raise ItemError(
            Kind.VALIDATION,
            "There is no secret to sign with. Set BATCHLAB_WEBHOOK_SECRET, or name one with secret_ref.",
        )
    return settings.webhook_secret


def payload(end: End) -> bytes:
    """The body: the same for every try. It holds no source URL and nothing that opens a file."""
    event = Event.model_validate(
        {
            "type": f"job.{end.event}",
            "timestamp": end.at,
            "data": EventData(
                id=end.document.id,
                type=end.document.type,
                title=end.document.title,
                state=end.state,
                generation=end.status.generation,
                counts=end.counts,
                tags=end.document.tags,
                page=end.page,
                expires_at=end.expires_at,
                message=end.message,
            ),
        }
    )
    return event.model_dump_json(exclude={"id"}).encode()


def post(guard: Guard, url: str, body: bytes, message_id: str, secret: str, now: datetime) -> None:
    """One try; returns when the receiver has taken it (2xx). Raises Later or Never."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": _user_agent(),
        "Connection": "close",
        ID: message_id,
        TIMESTAMP: str(int(now.timestamp())),
        SIGNATURE: sign(body, message_id, now, secret),
    }
    try:
        with guard.request("POST", url, headers, body, follow=False) as answer:
            status, wish = answer.status, answer.headers.get("Retry-After")
            with suppress(ItemError):  # the status has said all there is
                answer.drain(_ANSWER_BYTES)
    except ItemError as error:
        raise (Never if error.kind is Kind.BLOCKED_URL else Later)(error.message) from None
    if 200 <= status < 300:
        return
    if status == _GONE:
        raise Never("The receiver answered 410: it wants no more of these.")
    if 300 <= status < 400:
        raise Later(f"The receiver answered {status}, and redirects are not followed. Name the final URL.")
    raise Later(f"The receiver answered {status}.", _wait(wish, now))


def _wait(wish: str | None, now: datetime) -> timedelta | None:
    """What Retry-After asks for, in seconds or as a date (RFC 9110, section 10.2.3)."""
    if not wish:
        return None
    with suppress(ValueError, OverflowError):
        return timedelta(seconds=int(wish))
    with suppress(ValueError, TypeError, OverflowError):
        return parsedate_to_datetime(wish).astimezone(UTC) - now
    return None


@lru_cache(maxsize=1)
def _user_agent() -> str:
    from importlib.metadata import version

    return f"batchlab/{version('batchlab')}"
