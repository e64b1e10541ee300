"""batch://queue/definition?store=s3://bucket/prefix: where in AWS Batch jobs go, and where their documents lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from batchlab.errors import UsageError
from batchlab.redact import shown

SCHEME = "batch"
# In two pieces, because errors show no URL's query.
FORM = "batch://QUEUE/DEFINITION followed by ?store=s3://BUCKET/PREFIX"
# Source: AWS Batch API Reference, CreateJobQueue and RegisterJobDefinition
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")
_DEFINITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}(:[1-9][0-9]{0,8})?\Z")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]\Z")
_STORES = ("s3", "r2")


@dataclass(frozen=True)
class BatchAddress:
    """One queue of AWS Batch, by names and not by ARNs."""

    queue: str
    definition: str = ""  # without a revision: the newest; "" where nothing is submitted
    store: str = ""  # URL without a trailing slash; "": the one of the settings
    region: str = ""  # "": the environment's


def is_batch_url(text: str) -> bool:
    return text.startswith(f"{SCHEME}://")


def parse_batch_url(text: str) -> BatchAddress:
    """What the URL says; raises UsageError that shows the form."""
    try:
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        store = urlsplit(query.get("store", ""))
    except ValueError as error:
        raise _wrong(text, str(error)) from None
    definition = parts.path.strip("/")
    if parts.scheme != SCHEME or parts.fragment:
        raise _wrong(text, "it does not begin with batch:// or has a #")
    if not _NAME.match(parts.netloc):
        raise _wrong(text, f"{parts.netloc.rpartition('@')[2]!r} is no name of a queue; an ARN is none")
    if definition and not _DEFINITION.match(definition):
        raise _wrong(text, f"{definition!r} is no name of a job definition")
    if unknown := sorted(set(query) - {"store", "region"}):
        raise _wrong(text, f"it has no {', '.join(unknown)}")
    if "store" in query and (store.scheme not in _STORES or not store.netloc or "@" in store.netloc):
        raise _wrong(text, "jobs in AWS Batch read their documents from s3:// or r2://")
    if "region" in query and not _REGION.match(query["region"]):
        raise _wrong(text, f"{query['region']!r} is no region")
    return BatchAddress(parts.netloc, definition, query.get("store", "").rstrip("/"), query.get("region", ""))


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"{shown(text)}: {why}. Write {FORM} (and &region=us-east-1).")
