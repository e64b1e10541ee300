"""A store in a bucket: If-None-Match and If-Match on S3, R2 and other S3-compatibles.

A request is tried again when its answer does not come, and the first try may have done its work: the nonce in
the body then tells whether the document that is there is the one we wrote.

S3 and R2 list in byte order. SeaweedFS lists by folder ("a/x" before "a-b"): the layout of
`batchlab.records` has no two neighbours for which this makes a difference.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from batchlab import aws
from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.store import JSON, AlreadyExists, Stored, VersionConflict
from batchlab.stores.body import check_name, decode_lines, encode, encode_lines, nonce_of, stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

A = TypeVar("A")

_TRIES = 6
_PAUSE_SECONDS = 0.2  # before the second try, doubled for each further one: 6 s in all, half of it on average
_CLOCK_SECONDS = 10.0  # how long a Date header is good for

# Counts on while the machine sleeps, which Python's monotonic clock does not do on Linux.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class S3Store:
    """`client` is a boto3 S3 client (thread-safe) that does not retry by itself; the first call is a request."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str = "",
        *,
        scheme: str = "s3",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self._sleep = sleep
        self._lock = threading.Lock()
        self._clock: tuple[float, datetime] | None = None  # (our seconds, the server's Date) of one moment
        self.url = f"{scheme}://{bucket}" + (f"/{quote(prefix)}" if prefix else "")

    def read(self, name: str) -> Stored | None:
        found = self._read(name)
        return None if found is None else stored(found[0], name, found[1])

    def create(self, name: str, body: JSON) -> str:
        data, nonce = encode(body)
        return self._create(name, data, nonce)

    def replace(self, name: str, body: JSON, version: str) -> str:
        data, nonce = encode(body)
        written = self._write(name, data, nonce, missing_is_conflict=True, IfMatch=version)
        if written is None:
            raise VersionConflict(f"{name} changed meanwhile.")
        return written

    def put(self, name: str, body: JSON) -> str:
        return self._put(name, encode(body)[0])

    def delete(self, name: str) -> None:
        key = self._key(name)
        self._ask(name, lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def names(self, prefix: str, *, after: str = "") -> Iterator[str]:
        wanted: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if after:
            wanted["StartAfter"] = self._prefix + after
        while True:
            page = self._ask(prefix, lambda: self._client.list_objects_v2(**wanted))
            for entry in page.get("Contents", []):
                name = entry["Key"].removeprefix(self._prefix)
                if _is_name(name):  # consoles leave "folder/" objects behind
                    yield name
            if not page.get("IsTruncated"):
                return
            wanted["ContinuationToken"] = page["NextContinuationToken"]

    def append(self, name: str, lines: list[JSON]) -> None:
        data, nonce = encode_lines(lines)
        self._create(name, data, nonce)

    def lines(self, name: str) -> list[JSON]:
        found = self._read(name)
        return [] if found is None else decode_lines(found[0], name)

    def now(self) -> datetime:
        now = self._known_now()
        if now is None:
            with contextlib.suppress(Denied):  # a refusal tells the time too
                self._ask("the clock", lambda: self._client.head_bucket(Bucket=self._bucket))
            now = self._known_now()
        if now is None:
            raise ServiceError(f"{self.url} answers without a Date header, so leases cannot be kept there.")
        return now

    def _known_now(self) -> datetime | None:
        """The server's time by an answer of the last seconds."""
        with self._lock:
            if self._clock is None:
                return None
            age_seconds = time.clock_gettime(_CLOCK) - self._clock[0]
            return self._clock[1] + timedelta(seconds=age_seconds) if age_seconds <= _CLOCK_SECONDS else None

    def _key(self, name: str) -> str:
        return self._prefix + check_name(name)

    def _read(self, name: str) -> tuple[bytes, str] | None:
        key = self._key(name)

        def get() -> tuple[bytes, str, Mapping[str, Any]]:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            return answer["Body"].read(), answer["ETag"], answer["ResponseMetadata"]

        try:
            data, etag, _ = self._ask(name, get, passing=("NoSuchKey",))
        except self._client.exceptions.NoSuchKey:
            return None
        return data, etag

    def _put(self, name: str, data: bytes, passing: tuple[str, ...] = (), **condition: Any) -> str:
        key = self._key(name)
        answer = self._ask(
            name,
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=key, Body=data, ContentType="application/json", **condition
            ),
            passing,
        )
        return answer["ETag"]

    def _create(self, name: str, data: bytes, nonce: str) -> str:
        written = self._write(name, data, nonce, IfNoneMatch="*")
        if written is None:
            raise AlreadyExists(f"{name} exists already.")
        return written

    def _write(
        self, name: str, data: bytes, nonce: str, *, missing_is_conflict: bool = False, **condition: Any
    ) -> str | None:
        """The new version, or None when the condition does not hold and the document there is not ours."""
        from botocore.exceptions import ClientError

        passing = ("PreconditionFailed", "412") + (("NoSuchKey",) if missing_is_conflict else ())
        try:
            return self._put(name, data, passing, **condition)
        except ClientError:
            there = self._read(name)
            return there[1] if there is not None and nonce_of(there[0]) == nonce else None

    def _ask(self, name: str, request: Callable[[], A], passing: tuple[str, ...] = ()) -> A:
        """The answer to `request`, tried again while its faults are passing; codes in `passing` are raised as is."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        for attempt in range(_TRIES):
            try:
                answer = request()
            except (ClientError, BotoCoreError, ResponseParserError) as error:
                if isinstance(error, ClientError):
                    self._look_at_clock(error.response.get("ResponseMetadata", {}))
                if aws.code_and_status(error)[0] in passing:
                    raise
                if attempt + 1 == _TRIES or not aws.is_passing(error):
                    raise aws.explained(error, f"{name} in {self.url}") from None
            else:
                self._look_at_clock(_metadata(answer))
                return answer
            self._sleep(random.uniform(0, _PAUSE_SECONDS * 2**attempt))
        raise AssertionError("unreachable")

    def _look_at_clock(self, metadata: Mapping[str, Any]) -> None:
        """Keeps the Date of an answer. It is cut to whole seconds and ages on its way: the server's clock is later."""
        text = metadata.get("HTTPHeaders", {}).get("date")
        if text:
            with self._lock:
                self._clock = (time.clock_gettime(_CLOCK), parsedate_to_datetime(text))


def _metadata(answer: Any) -> Mapping[str, Any]:
    metadata: Mapping[str, Any]
    metadata = answer[-1] if isinstance(answer, tuple) else answer.get("ResponseMetadata", {})
    return metadata


def _is_name(name: str) -> bool:
    try:
        return bool(check_name(name))
    except UsageError:
        return False
