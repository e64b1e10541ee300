"""What stands on the intake queue, and what becomes of it: a job in the store, once.

A message is {"job": "<id>"} from the endpoint, or a job document put there directly, or {"job": "s3://..."}, where
one lies. A document is validated like any other submission; without an id it gets one of the message's own, so
that a message delivered twice is one job.
"""

from __future__ import annotations

import uuid
from typing import Any

from batchlab import aws
from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.errors import DocumentError, ServiceError
from batchlab.ids import id_from_bits, is_id
from batchlab.kinds import ItemError
from batchlab.locations import locate
from batchlab.reading import LARGEST_BYTES, read_text
from batchlab.records import JobRecords
from batchlab.service.admission import admit, allowed_types
from batchlab.service.core import Service
from batchlab.service.submission import submit
from batchlab.settings import Settings


def accept(body: str, message_id: str, service: Service) -> str:
    """The id of the job that the message means, which is on its way afterwards.

    Raises DocumentError for a message that no job can be made of (a bad document, a place or type not allowed),
    NotFound for an id that no job has, ServiceError when the same message succeeds later.
    """
    store, settings = service.store, service.settings
    values: Any = _values(body)
    named = values["job"] if list(values) == ["job"] else None
    if isinstance(named, str):
        known = named.removeprefix(f"{store.url}/jobs/").removesuffix("/job.json")
        if is_id(known):
            service.runner.start(JobRecords(store, known))
            return known
        authority = Authority.of_settings(settings, store_url=store.url)
        values = read_text(_fetch(named, authority, settings), named)
    if isinstance(values, dict) and "id" not in values:
        values = {**values, "id": id_from_bits(uuid.UUID(message_id).int)}
    document = load_document(values, name="message", types=allowed_types(settings))
    admit(document, settings, store)
    return submit(service, document).id


def _values(body: str) -> dict[str, Any]:
    text = body.strip()
    if text.startswith(("s3://", "r2://", "https://")) and "\n" not in text:
        return {"job": text}
    values = read_text(text, "message")
    if not isinstance(values, dict):
        raise DocumentError('message: expected a job document, or {"job": ID or URL}.')
    return values


def _fetch(url: str, authority: Authority, settings: Settings) -> bytes:
    """The document at `url`, which must lie in a listed source; at most 1 byte more than is ever read."""
    try:
        place = locate(authority.check_source(url))
    except ItemError as refused:
        raise DocumentError(f"message: {refused.message}") from None
    if place.scheme != "s3":  # the function holds no other keys
        raise DocumentError(f"message: {place.url}: only s3:// is read here. Send the document itself.")
    client = aws.s3_client(place.scheme, settings)
    try:
        answer = client.get_object(Bucket=place.host, Key="/".join(place.segments))
        return answer["Body"].read(LARGEST_BYTES + 1)
    except client.exceptions.NoSuchKey:
        raise DocumentError(f"message: there is nothing at {place.url}.") from None
    except Exception as error:  # noqa: BLE001  ClientError and what botocore's HTTP library adds
        if aws.is_passing(error):
            raise ServiceError(aws.explained(error, place.url).message) from None
        raise DocumentError(f"message: {aws.explained(error, place.url).message}") from None
