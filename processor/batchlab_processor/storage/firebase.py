"""gs://BUCKET/NAME: Firebase's and Google's Cloud Storage, with a service account.

Bytes are read as they are stored: an object with Content-Encoding gzip stays compressed, as on s3://, because
a server that decompresses on the way knows neither length nor ranges. Needs the extra `firebase`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from requests.adapters import HTTPAdapter

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Listed, Probed, Reader, WriteOptions, Writer
from batchlab_processor.storage.gs_account import Account, account
from batchlab_processor.storage.gs_errors import ACCOUNT_CURE, FAULTS, kind_of, of_status, status_of
from batchlab_processor.storage.gs_writer import Checksum, ObjectWriter
from batchlab_processor.storage.names import split_object_url, split_url, url_of
from batchlab_processor.storage.streams import HEAD_BYTES, MemoryReader, StreamReader

if TYPE_CHECKING:
    from batchlab.settings import Settings

_CONNECTIONS = 32  # as many as workers may want at once
_TIMEOUTS_SECONDS = (10, 60)  # to connect, and between two pieces
_LONGEST_SIGNED = timedelta(days=7)  # Source: Cloud Storage documentation, "V4 signing process"
_META = "x-goog-meta-"
_CONTENT_RANGE = re.compile(r"bytes \d+-\d+/(\d+)")
_CRC32C = re.compile(r"crc32c=([A-Za-z0-9+/]{6}==)")


class FirebaseScheme:
    """Objects of Cloud Storage. `find_account` is called once, at the first verb."""

    def __init__(self, find_account: Callable[[], Account]) -> None:
        self._find_account = find_account
        self._lock = threading.Lock()
        self._made: tuple[Account, storage.Client, AuthorizedSession] | None = None

    @classmethod
    def of_settings(cls, settings: Settings) -> FirebaseScheme:
        return cls(lambda: account(settings.google_credentials))

    def close(self) -> None:
        """Closes the connections that are kept open."""
        with self._lock:
            if self._made is not None:
                self._made[1].close()
                self._made[2].close()  # type: ignore[no-untyped-call]
                self._made = None

    def probe(self, url: str) -> Probed:
        with self._media(url, {"Range": f"bytes=0-{HEAD_BYTES - 1}"}) as answer:
            if answer.status_code == 416:
                return self._described(url)
            with _in_our_words(url):
                head = answer.raw.read(HEAD_BYTES)
            return _of_headers(url, answer, head)

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Reader]:
        if start < 0 or (end is not None and end < 0):
            raise ValueError("a range counts from the beginning: start and end are 0 or more")
        if end is not None and end <= start:
            yield MemoryReader(_expected(url, self._described(url), validator), b"")
            return
        ranged = start > 0 or end is not None
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        with self._media(url, headers, validator) as answer:
            if answer.status_code == 416:
                yield MemoryReader(_expected(url, self._described(url), validator), b"")
                return
            probed = _expected(url, _of_headers(url, answer, b""), validator)
            checksum = Checksum()

            def whole() -> None:
                promised = _CRC32C.search(answer.headers.get("X-Goog-Hash", ""))
                if promised is not None and promised[1] != checksum.text:
                    raise ItemError(Kind.CORRUPT, f"{shown(url)} is not what its CRC-32C says.")

            yield StreamReader(
                probed,
                int(answer.headers["Content-Length"]),
                answer.raw,
                as_item_error=lambda error: kind_of(_plain(error), url),
                seen=None if ranged else checksum.update,
                at_end=None if ranged else whole,
            )

    @contextmanager
    def write(self, url: str, options: WriteOptions) -> Iterator[Writer]:
        bucket, name = split_object_url(url)
        with _in_our_words(url):
            writer = ObjectWriter(self._client.bucket(bucket), name, url, options)
        try:
            yield writer
        finally:
            writer.abort()

    def list(self, prefix: str) -> Iterator[Listed]:
        bucket, begin = split_url(prefix)
        with _in_our_words(prefix):
            fields = "items(name,size,updated),nextPageToken"
            for blob in self._client.list_blobs(bucket, prefix=begin or None, fields=fields):
                updated = blob.updated.astimezone(UTC) if blob.updated else None
                yield Listed(url_of("gs", bucket, blob.name), blob.size, updated)

    def delete(self, url: str) -> None:
        bucket, name = split_object_url(url)
        try:
            self._client.bucket(bucket).delete_blob(name)
        except FAULTS as error:
            if status_of(error) != 404:
                raise kind_of(error, url) from error

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        """Raises ItemError(auth) unless a service account's key signs, validation above 7 days."""
        bucket, name = split_object_url(url)
        if not timedelta(seconds=1) <= lifetime <= _LONGEST_SIGNED:
            raise ItemError(Kind.VALIDATION, "A signed URL lives from 1 second to 7 days.")
        found, client, _ = self._connected
        if not found.signs:
            raise ItemError(
                Kind.AUTH,
                f"{shown(url)}: a link can be signed by a service account's key only. {ACCOUNT_CURE}",
            )
        signed = client.bucket(bucket).blob(name).generate_signed_url(
            version="v4", method="GET", expiration=lifetime, api_access_endpoint=client.api_endpoint
        )  # fmt: skip
        return str(signed)

    @property
    def _connected(self) -> tuple[Account, storage.Client, AuthorizedSession]:
        with self._lock:
            if self._made is None:
                found = self._find_account()
                session = AuthorizedSession(found.credentials)  # type: ignore[no-untyped-call]
                for prefix in ("https://", "http://"):
                    session.mount(prefix, HTTPAdapter(pool_maxsize=_CONNECTIONS))
                client = storage.Client(project=found.project, credentials=found.credentials, _http=session)
                self._made = (found, client, session)
            return self._made

    @property
    def _client(self) -> storage.Client:
        return self._connected[1]

    @contextmanager
    def _media(
        self, url: str, headers: dict[str, str], validator: str | None = None
    ) -> Iterator[requests.Response]:
        """The answer to a request for the stored bytes: 200, 206 or 416."""
        bucket, name = split_object_url(url)
        _, client, session = self._connected
        place = (
            f"{client.api_endpoint}/download/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        )
        asked = {"alt": "media", **({"ifGenerationMatch": validator} if validator is not None else {})}
        with _in_our_words(url):
            answer = session.get(
                place,
                params=asked,
                # who accepts gzip gets what is stored; who does not gets it decompressed, without a length
                headers={"Accept-Encoding": "gzip", **headers},
                stream=True,
                timeout=_TIMEOUTS_SECONDS,
            )
        with answer:
            if answer.status_code not in (200, 206, 416):
                raise of_status(
                    answer.status_code, shown(url), answer.reason, answer.headers.get("Retry-After", "")
                )
            yield answer

    def _described(self, url: str) -> Probed:
        """From the object's metadata, without its first bytes."""
        bucket, name = split_object_url(url)
        with _in_our_words(url):
            blob = self._client.bucket(bucket).get_blob(name)
        if blob is None:
            raise of_status(404, shown(url))
        return Probed(
            url,
            size_bytes=blob.size,
            validator=str(blob.generation),
            modified=blob.updated.astimezone(UTC) if blob.updated else None,
            content_type=blob.content_type,
            ranges=True,
            metadata=blob.metadata or {},
        )


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        raise kind_of(error, url) from error


def _plain(error: Exception) -> Exception:
    """urllib3's errors, which its raw stream raises, as requests would have raised them."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    if isinstance(error, ReadTimeoutError):
        return TimeoutError(str(error))
    return ConnectionError(str(error)) if isinstance(error, HTTPError) else error


def _of_headers(url: str, answer: requests.Response, head: bytes) -> Probed:
    headers = answer.headers
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    stored = headers.get("X-Goog-Stored-Content-Encoding", "identity")
    if "Content-Length" not in headers or (stored == "gzip" and headers.get("Content-Encoding") != "gzip"):
        raise ItemError(
            Kind.API_ERROR,
            f"{shown(url)} was decompressed on its way here, so nobody can tell whether it is whole.",
        )
    return Probed(
        url,
        size_bytes=int(found[1]) if found else int(headers["Content-Length"]),
        validator=headers.get("X-Goog-Generation"),
        modified=_modified(headers.get("Last-Modified", "")),
        head=head,
        content_type=headers.get("Content-Type"),
        ranges=True,
        metadata={
            name.lower().removeprefix(_META): value
            for name, value in headers.items()
            if name.lower().startswith(_META)
        },
    )


def _expected(url: str, probed: Probed, validator: str | None) -> Probed:
    if validator is not None and probed.validator != validator:
        raise of_status(412, shown(url))
    return probed


def _modified(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
