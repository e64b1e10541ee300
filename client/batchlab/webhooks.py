"""Webhooks for those who receive them: `unwrap` says what came, once it is sure who sent it.

    event = unwrap(request.body, request.headers, secret)
    if event.data.state == "succeeded": ...

Messages are signed as Standard Webhooks says, so every library of https://www.standardwebhooks.com reads them, too.
They come at least once and in any order: `event.id` is the same each time, and `event.data.generation` counts up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.status import Counts, State

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = timedelta(minutes=5)  # Source: Standard Webhooks, "Verifying webhook authenticity"
PREFIX = "whsec_"
_KEY_BYTES = (24, 64)  # Source: Standard Webhooks, "Signature scheme": 24 to 64 bytes
_HOW = 'Make one: echo "whsec_$(openssl rand -base64 32)"'


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # an older receiver reads a newer sender


class EventData(_Part):
    """The job at the end that is told of."""

    id: str
    type: str
    title: str = ""
    state: State
    generation: Annotated[int, Field(ge=1)] = 1
    counts: Counts = Counts()
    tags: dict[str, str] = {}
    page: str | None = None  # the customer's page
    expires_at: datetime | None = None  # until then its links work
    message: str = ""  # one plain sentence, in English


class Event(_Part):
    """One webhook. `id` comes from its header: equal for all tries and repetitions of one notification."""

    id: str = ""
    type: Literal["job.succeeded", "job.partial", "job.failed", "job.cancelled", "job.expired"]
    timestamp: datetime  # when it happened, not when it was sent
    data: EventData


def unwrap(
    body: bytes | str, headers: Mapping[str, str], secret: str, *, now: datetime | None = None
) -> Event:
    """The event in a request that somebody who knows `secret` has signed, at most 5 minutes ago.

    `body` is the request's, untouched: parsed and written again it is another text. Raises Denied when the
    signature is missing, wrong or old, UsageError when `secret` is none, and ServiceError when a genuine message
    cannot be read.
    """
    content = body.encode() if isinstance(body, str) else body
    message_id, sent_at = verify(content, headers, secret)
    now = now or datetime.now(UTC)
    if abs(now - sent_at) > TOLERANCE:
        when = "old" if sent_at < now else "in the future"
        raise Denied(
            f"webhook: signed at {sent_at:%Y-%m-%d %H:%M:%S} UTC, more than 5 minutes {when}. "
            "It was recorded and sent again, or a clock is wrong."
        )
    return read_event(content, message_id)


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> tuple[str, datetime]:
    """The id of a request that is signed with `secret`, and when that was, however long ago. Raises as `unwrap`."""
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not given.get(name)]
    if missing:
        raise Denied(f"webhook: without the header {missing[0]} it is not signed.")
    try:
        sent_at = datetime.fromtimestamp(int(given[TIMESTAMP]), UTC)
    except (ValueError, OverflowError, OSError):
        raise Denied(f"webhook: the header {TIMESTAMP} is no number of seconds since 1970.") from None
    expected = sign(body, given[ID], sent_at, secret).split()
    shown = given[SIGNATURE].split()
    # Each with each, whatever is found, so that the time taken says nothing.
    equal = [hmac.compare_digest(one.encode(), other.encode()) for one in expected for other in shown]
    if not any(equal):
        raise Denied(
            "webhook: the signature is not by this secret, or id, time or body were changed on the way. "
            "Compare BATCHLAB_WEBHOOK_SECRET on both sides, and verify the bytes as they came."
        )
    return given[ID], sent_at


def read_event(body: bytes, message_id: str) -> Event:
    """The event that a verified body spells; raises ServiceError."""
    try:
        return Event.model_validate_json(body).model_copy(update={"id": message_id})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "body"
        raise ServiceError(
            f"webhook: it is genuine, but {where} cannot be read ({problem['msg']}). "
            "Was it sent by a newer version of batchlab?"
        ) from None


def sign(body: bytes, message_id: str, at: datetime, secret: str) -> str:
    """The header webhook-signature: one signature for each secret, so that receivers can change theirs in peace.

    Source: Standard Webhooks, "Signature scheme": HMAC-SHA256 over id.timestamp.body.
    """
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    digests = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys(secret)]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def keys(secret: str) -> list[bytes]:
    """The bytes of a secret, or of several separated by spaces; raises UsageError saying how to make one."""
    found = []
    for text in secret.split():
        encoded = text.removeprefix(PREFIX)
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except binascii.Error:
            key = b""
        if not _KEY_BYTES[0] <= len(key) <= _KEY_BYTES[1]:
            raise UsageError(f"The webhook secret is not whsec_ and 24 to 64 random bytes in base64. {_HOW}")
        found.append(key)
    if not found:
        raise UsageError(f"The webhook secret is empty. {_HOW}")
    return found
