"""s3:// and r2://: one request a verb, errors in our words, writing in `multipart`."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Listed, Probed, Reader, WriteOptions, Writer
from batchlab_processor.storage.multipart import MultipartWriter
from batchlab_processor.storage.names import split_object_url, split_url, url_of
from batchlab_processor.storage.patience import Patience
from batchlab_processor.storage.s3_codes import CANNOT
from batchlab_processor.storage.s3_errors import FAULTS, code_of, kind_of, status_of
from batchlab_processor.storage.streams import HEAD_BYTES, MemoryReader, StreamReader

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Scheme", "kind_of"]

# Source: Amazon S3 API Reference, UploadPartCopy: a range is copied of sources above 5 MB
COPYABLE_BYTES = 5 * 1024 * 1024
# Source: Amazon S3 User Guide, "Sharing objects with presigned URLs"; R2 has the same limit
_LONGEST_SIGNED = timedelta(days=7)
_CONTENT_RANGE = re.compile(r"bytes \d+-\d+/(\d+)")


class S3Scheme:
    """Objects of an S3 API. `make_client` is called once, at the first verb.

    `link_client` gives the client that signs URLs into a bucket; without it that is the same one.
    `parts_in_flight` parts of an upload travel at once; the bytes in memory are one part more.
    """

    def __init__(
        self,
        make_client: Callable[[], S3Client],
        *,
        link_client: Callable[[str], S3Client] | None = None,
        scheme: str = "s3",
        parts_in_flight: int = 3,
        patience: Patience | None = None,
    ) -> None:
        self._make_client = make_client
        self._made: S3Client | None = None
        self._link_client = link_client or (lambda _: self._client)
        self._lock = threading.Lock()
        self._scheme = scheme
        self._parts_in_flight = parts_in_flight
        self._patience = patience or Patience()

    @property
    def _client(self) -> S3Client:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def probe(self, url: str) -> Probed:
        bucket, key = split_object_url(url)
        asked: dict[str, Any] = {"Bucket": bucket, "Key": key, "Range": f"bytes=0-{HEAD_BYTES - 1}"}
        if self._scheme == "s3":  # R2 does not document the header
            asked["ChecksumMode"] = "ENABLED"
        try:
            with _in_our_words(url):
                answer = self._client.get_object(**asked)
        except _RangeBeyondEnd:
            return self._head(url)
        with _closing(answer["Body"]) as body, _in_our_words(url):
            # never to its end: botocore would compare the checksum of the whole with these few bytes
            head = _exactly(body, answer["ContentLength"])
        return self._with_crc32(_described(url, answer, head))

    def _with_crc32(self, probed: Probed) -> Probed:
        """Asks for the checksum of the whole, which S3 does not give with a range, where it is of use: for
        what it would copy a range of by itself."""
        if self._scheme != "s3" or probed.crc32 is not None or (probed.size_bytes or 0) <= COPYABLE_BYTES:
            return probed
        try:
            whole = self._head(probed.url, probed.validator)
        except ItemError:  # a server's matter; nothing is lost but the short cut
            return probed
        return replace(probed, crc32=whole.crc32)

    @contextmanager
    def open(
        self, url: str, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Reader]:
        if start < 0 or (end is not None and end < 0):
            raise ValueError("a range counts from the beginning: start and end are 0 or more")
        bucket, key = split_object_url(url)
        asked: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if validator is not None:
            asked["IfMatch"] = validator
        if end is not None and end <= start:
            yield MemoryReader(self._head(url, validator), b"")
            return
        if start or end is not None:
            asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            with _in_our_words(url):
                answer = self._client.get_object(**asked)
        except _RangeBeyondEnd:
            yield MemoryReader(self._head(url, validator), b"")
            return
        with _closing(answer["Body"]) as body:
            yield StreamReader(
                _described(url, answer, b""),
                answer["ContentLength"],
                body,
                as_item_error=lambda error: _about(url, error),
            )

    @contextmanager
    def write(self, url: str, options: WriteOptions) -> Iterator[Writer]:
        bucket, key = split_object_url(url)
        with MultipartWriter(
            self._client, bucket, key, url, options, self._parts_in_flight, self._patience
        ) as writer:
            yield writer

    def list(self, prefix: str) -> Iterator[Listed]:
        bucket, begin = split_url(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=begin)
        with _in_our_words(prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Listed(
                        url_of(self._scheme, bucket, found["Key"]),
                        found["Size"],
                        found["LastModified"].astimezone(UTC),
                    )

    def delete(self, url: str) -> None:
        bucket, key = split_object_url(url)
        with _in_our_words(url):
            self._client.delete_object(Bucket=bucket, Key=key)

    def signed_url(self, url: str, lifetime: timedelta) -> str:
        """Valid for `lifetime`, and never longer than the credentials that sign it.

        Raises ItemError(validation) above 7 days, which is S3's own limit.
        """
        bucket, key = split_object_url(url)
        if not timedelta(seconds=1) <= lifetime <= _LONGEST_SIGNED:
            raise ItemError(Kind.VALIDATION, "A signed URL lives from 1 second to 7 days.")
        with _in_our_words(url):
            return self._link_client(bucket).generate_presigned_url(
                "get_object",
                Params={"Bucket": bucket, "Key": key},
                ExpiresIn=int(lifetime.total_seconds()),
            )

    def abort_uploads(self, url: str) -> int:
        """Aborts the unfinished uploads on exactly this key, and says how many; 0 where the server lists none."""
        bucket, key = split_object_url(url)
        aborted = 0
        with _in_our_words(url):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
            try:
                found = [
                    upload for page in pages for upload in page.get("Uploads", ()) if upload["Key"] == key
                ]
            except ClientError as error:
                if code_of(error) in CANNOT:
                    return 0
                raise
            for upload in found:
                try:
                    self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"])
                except ClientError as error:
                    if code_of(error) != "NoSuchUpload":  # somebody else was quicker
                        raise
                aborted += 1
        return aborted

    def _head(self, url: str, validator: str | None = None) -> Probed:
        bucket, key = split_object_url(url)
        more: dict[str, Any] = {"IfMatch": validator} if validator is not None else {}
        if self._scheme == "s3":
            more["ChecksumMode"] = "ENABLED"
        with _in_our_words(url):
            answer = self._client.head_object(Bucket=bucket, Key=key, **more)
        return _described(url, answer, b"")


class _RangeBeyondEnd(Exception):
    """Status 416: the range begins behind the object's last byte."""


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) in ("InvalidRange", "416") or status_of(error) == 416:
            raise _RangeBeyondEnd from error
        raise _about(url, error) from error
    except FAULTS as error:
        raise _about(url, error) from error


@contextmanager
def _closing(body: Any) -> Iterator[Any]:
    try:
        yield body
    finally:
        body.close()


def _about(url: str, error: Exception) -> ItemError:
    found = kind_of(error)
    return ItemError(
        found.kind, f"{shown(url)}: {found.message}", retry_after_seconds=found.retry_after_seconds
    )


def _exactly(body: Any, size_bytes: int) -> bytes:
    pieces = []
    while size_bytes:
        piece = body.read(size_bytes)
        if not piece:
            break
        pieces.append(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)


def _described(url: str, answer: Any, head: bytes) -> Probed:
    found = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    return Probed(
        url,
        size_bytes=int(found[1]) if found else answer["ContentLength"],
        validator=answer.get("ETag") or None,
        modified=answer["LastModified"].astimezone(UTC) if "LastModified" in answer else None,
        head=head,
        content_type=answer.get("ContentType"),
        crc32=_crc32(answer),
        ranges=True,
        metadata=answer.get("Metadata", {}),
    )


def _crc32(answer: Any) -> int | None:
    """The CRC-32 of the whole object; one of a composite object would be of its parts' checksums."""
    if answer.get("ChecksumType") != "FULL_OBJECT" or "ChecksumCRC32" not in answer:
        return None
    return int.from_bytes(base64.b64decode(answer["ChecksumCRC32"]), "big")
