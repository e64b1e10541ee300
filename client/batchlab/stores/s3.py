"""A store in a bucket: If-None-Match and If-Match on S3, R2 and other S3-compatibles.

botocore tries again by itself, so an answer may be the one to a second request of ours whose first had
succeeded: the nonce in the body tells whether the document that is there is the one we wrote.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from batchlab.errors import Denied, ServiceError
from batchlab.store import JSON, AlreadyExists, Stored, VersionConflict
from batchlab.stores.body import check_name, decode, decode_lines, encode, encode_lines, stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CLOCK_SECONDS = 300.0  # how long a look at the server's clock is good for
_CONFLICTS = 5  # S3 answers 409 while another conditional write runs; the next try knows more


class S3Store:
    """`client` is a boto3 S3 client (thread-safe); no request is made before the first call."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", *, scheme: str = "s3") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self.url = f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else "")
        self._clock: tuple[float, timedelta] | None = None  # (monotonic seconds of the look, server - ours)
        self._lock = threading.Lock()

    def read(self, name: str) -> Stored | None:
        found = self._read(name)
        return None if found is None else stored(found[0], name, found[1])

    def create(self, name: str, body: JSON) -> str:
        data, nonce = encode(body)
        return self._write(name, data, nonce, IfNoneMatch="*")

    def replace(self, name: str, body: JSON, version: str) -> str:
        data, nonce = encode(body)
        return self._write(name, data, nonce, IfMatch=version)

    def put(self, name: str, body: JSON) -> str:
        with self._errors(name):
            answer = self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=encode(body)[0])
        return answer["ETag"]

    def delete(self, name: str) -> None:
        with self._errors(name):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def names(self, prefix: str, *, after: str = "") -> Iterator[str]:
        wanted: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if after:
            wanted["StartAfter"] = self._prefix + after
        with self._errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(**wanted):
                for entry in page.get("Contents", []):
                    yield entry["Key"].removeprefix(self._prefix)

    def append(self, name: str, lines: list[JSON]) -> None:
        data = encode_lines(lines)
        self._write(name, data, "", IfNoneMatch="*")

    def lines(self, name: str) -> list[JSON]:
        found = self._read(name)
        return [] if found is None else decode_lines(found[0], name)

    def now(self) -> datetime:
        with self._lock:
            clock = self._clock
        if clock is None or time.monotonic() - clock[0] > _CLOCK_SECONDS:
            with self._errors("the clock"):
                answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
            date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            clock = (time.monotonic(), date - datetime.now(UTC))
            with self._lock:
                self._clock = clock
        return datetime.now(UTC) + clock[1]

    def _key(self, name: str) -> str:
        return self._prefix + check_name(name)

    def _read(self, name: str) -> tuple[bytes, str] | None:
        with self._errors(name):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(name))
                return answer["Body"].read(), answer["ETag"]
            except self._client.exceptions.NoSuchKey:
                return None

    def _write(self, name: str, data: bytes, nonce: str, **condition: Any) -> str:
        from botocore.exceptions import ClientError

        for conflict in range(_CONFLICTS):
            try:
                with self._errors(name, passing=(404, 409, 412)):
                    answer = self._client.put_object(
                        Bucket=self._bucket,
                        Key=self._key(name),
                        Body=data,
                        ContentType="application/json",
                        **condition,
                    )
                return answer["ETag"]
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status == 409 and conflict + 1 < _CONFLICTS:
                    time.sleep(0.05 * 2**conflict)
                    continue
                there = self._read(name)
                if there is not None and _is_ours(there[0], data, nonce, name):
                    return there[1]
                if "IfNoneMatch" in condition:
                    raise AlreadyExists(f"{name} exists already.") from None
                raise VersionConflict(f"{name} changed meanwhile.") from None
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _errors(self, name: str, passing: tuple[int, ...] = ()) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code = error.response.get("Error", {}).get("Code", "")
            if status in passing or code == "NoSuchKey":
                raise
            place = f"{name} in {self.url}"
            if code == "NoSuchBucket":
                raise ServiceError(
                    f"{place}: there is no bucket {self._bucket}. Check --store or BATCHLAB_STORE."
                ) from None
            if status in (401, 403):
                raise Denied(
                    f"{place}: access was refused ({code}). Check the credentials and their rights."
                ) from None
            raise ServiceError(
                f"{place}: {code or status} {error.response.get('Error', {}).get('Message', '')}"
            ) from None
        except NoCredentialsError:
            raise Denied(
                f"No credentials for {self.url}. Set AWS_PROFILE, or R2_ACCESS_KEY and R2_SECRET_KEY."
            ) from None
        except BotoCoreError as error:
            raise ServiceError(f"{name} in {self.url}: {error}") from None


def _is_ours(there: bytes, data: bytes, nonce: str, name: str) -> bool:
    """Whether the document that is there is the one we tried to write."""
    return there == data if not nonce else decode(there, name)[1] == nonce
