"""Handing out one delivered file: a URL signed at this very click, or the file itself when it lies on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchlab import aws
from batchlab.bucket_regions import region_of
from batchlab.errors import ServiceError
from batchlab.kinds import ItemError
from batchlab.locations import Location, locate
from batchlab.roots import PathRoots
from batchlab.service.files import FilePart, file_answer
from batchlab.settings import Settings

SIGNED_FOR = timedelta(minutes=15)  # of a redirect that is followed at once; a download that runs is not cut


class NotHere(Exception):
    """Nobody here can hand out a file that lies there."""


@dataclass(frozen=True)
class Artifact:
    """One entry of link.json."""

    number: int
    name: str
    url: str
    content_type: str


def hand_out(
    artifact: Artifact,
    expires_at: datetime | None,
    now: datetime,
    method: str,
    asked: Mapping[str, str],
    settings: Settings,
) -> tuple[int, dict[str, str], FilePart | None]:
    """(status, headers, the part of a file to send); a 302 for whatever lies in a bucket.

    Raises NotHere, FileNotFoundError, and ServiceError or Denied when there is no way to sign.
    """
    try:
        place = locate(artifact.url)
    except ItemError as error:
        raise NotHere(error.message) from None
    disposition = content_disposition(artifact.name)
    if place.scheme == "file":
        if not PathRoots(root for root in settings.output_roots if root.startswith("file:")).admit(place):
            raise NotHere("The file lies below no file:// entry of BATCHLAB_OUTPUT_ROOTS.")
        status, headers, part = file_answer(Path(place.path), method, asked)
        more = {"Content-Type": artifact.content_type, "Content-Disposition": disposition}
        return status, {**headers, **(more if status in (200, 206) else {})}, part
    seconds = int(SIGNED_FOR.total_seconds())
    if expires_at is not None:
        seconds = min(seconds, int((expires_at - now).total_seconds()))
    if place.scheme in ("s3", "r2"):
        url = _signed_s3(place, disposition, artifact.content_type, method, seconds, settings)
    elif place.scheme == "gs":
        url = _signed_gs(place, disposition, artifact.content_type, method, seconds, settings)
    else:
        raise NotHere(f"No links are made for {place.scheme}://.")
    return 302, {"Location": url}, None


def content_disposition(name: str) -> str:
    """attachment, with the name in ASCII for old programs and in UTF-8 for all others. Source: RFC 6266, section 5."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


def _signed_s3(
    place: Location, disposition: str, content_type: str, method: str, seconds: int, settings: Settings
) -> str:
    region = region_of(place.scheme, place.host, settings)
    client = aws.s3_client(place.scheme, settings, for_links=True, region=region)
    request = {
        "Bucket": place.host,
        "Key": place.path,
        "ResponseContentDisposition": disposition,
        "ResponseContentType": content_type,
        "ResponseCacheControl": "private, no-store",
    }
    operation = "head_object" if method == "HEAD" else "get_object"  # the signature covers the method
    try:
        return client.generate_presigned_url(operation, Params=request, ExpiresIn=seconds)
    except Exception as error:  # noqa: BLE001  BotoCoreError and ClientError: no credentials, say
        raise aws.explained(error, f"{place.scheme}://{place.host}") from None


def _signed_gs(
    place: Location, disposition: str, content_type: str, method: str, seconds: int, settings: Settings
) -> str:
    """With the service account of the settings and the library that the processor brings; NotHere without either."""
    try:
        from google.cloud import storage
        from google.oauth2 import service_account
    except ImportError:
        raise NotHere("gs:// links need google-cloud-storage, which batchlab-processor brings.") from None
    text = settings.google_credentials.strip()
    if not text:
        raise NotHere("gs:// links need FIREBASE_SERVICE_ACCOUNT, a service account with its key.")
    try:
        told: dict[str, Any] = json.loads(text if text.startswith("{") else Path(text).read_text("utf-8"))
        account = service_account.Credentials.from_service_account_info(told)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ServiceError(f"FIREBASE_SERVICE_ACCOUNT: {error}. Name a service account's key file.") from None
    blob = (
        storage.Client(project=told.get("project_id"), credentials=account)
        .bucket(place.host)
        .blob(place.path)
    )
    return str(
        blob.generate_signed_url(
            version="v4",
            method=method,
            expiration=timedelta(seconds=seconds),
            response_disposition=disposition,
            response_type=content_type,
        )
    )
