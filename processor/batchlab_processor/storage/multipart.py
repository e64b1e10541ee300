"""Writing to an S3 API: bytes of unknown total, equal parts, several in flight, visible whole or not at all.

Parts but the last are equally long, because R2 refuses others (apache/opendal #2904), so their size is chosen
before the first byte. Every object carries a word of its writer's as metadata: when an answer is lost, that
tells "mine, and whole" from "somebody else's".
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import WriteOptions, Written
from batchlab_processor.storage.names import WORD, exists_already
from batchlab_processor.storage.patience import PASSING, Patience
from batchlab_processor.storage.s3_errors import FAULTS, kind_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
SMALLEST_PART_BYTES = 8 * MIB
UNKNOWN_PART_BYTES = 32 * MIB  # 10,000 of them: 312 GiB, with 128 MiB in memory
MOST_PARTS = 10_000  # Source: Amazon S3 User Guide, "Multipart upload limits"; R2 has the same
_PLANNED_PARTS = 9_500  # leaves room for an estimate that was a little low

_log = logging.getLogger("batchlab.storage")
T = TypeVar("T")


def part_bytes(expected_bytes: int | None) -> int:
    """The size of equal parts for at most `expected_bytes`: whole MiB, at least 8, at most 10,000 parts."""
    if expected_bytes is None:
        return UNKNOWN_PART_BYTES
    return max(SMALLEST_PART_BYTES, -(-expected_bytes // (_PLANNED_PARTS * MIB)) * MIB)


class MultipartWriter:
    """One object being written. Memory: (parts in flight + 1) x `part_bytes`, less for a small object."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        key: str,
        url: str,
        options: WriteOptions,
        parts_in_flight: int,
        patience: Patience,
    ) -> None:
        self._client = client
        self._place: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._url = url
        self._options = options
        self._patience = patience
        self._word = secrets.token_hex(16)
        self._part_bytes = part_bytes(options.expected_bytes)
        self._condition: dict[str, Any] = {} if options.overwrite else {"IfNoneMatch": "*"}
        if options.replaces is not None:
            self._condition = {"IfMatch": options.replaces}
        self._most_buffers = parts_in_flight + 1
        self._pool = ThreadPoolExecutor(parts_in_flight, thread_name_prefix="upload")
        self._stop = threading.Event()  # nothing is tried again

        self._buffer = bytearray()  # the part that is being filled; the first one grows, others are reused
        self._filled = 0
        self._free: list[bytearray] = []
        self._buffers = 1
        self._under_way: dict[Future[None], bytearray] = {}
        self._upload = ""  # the upload's id; "" while there is none
        self._etags: dict[int, str] = {}  # by part number, from 1
        self._parts = 0
        self._size_bytes = 0

    def __enter__(self) -> MultipartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._under_way.clear()
        self._free.clear()
        self._buffer = bytearray()
        if self._upload:
            self._abort()

    def write(self, data: bytes | memoryview) -> int:
        """Takes `data`; waits while all buffers are under way. Raises what went wrong with earlier parts."""
        with memoryview(data).cast("B") as left:
            taken = 0
            while taken < len(left):
                if self._filled == self._part_bytes:
                    self._send()
                    self._buffer = self._take()
                piece = left[taken : taken + self._part_bytes - self._filled]
                if len(self._buffer) == self._part_bytes:
                    with memoryview(self._buffer) as view:  # assigning to the bytearray would copy twice
                        view[self._filled : self._filled + len(piece)] = piece
                else:
                    self._buffer += piece
                self._filled += len(piece)
                taken += len(piece)
            self._size_bytes += taken
            return taken

    def commit(self) -> Written:
        if not self._parts:
            del self._buffer[self._filled :]
            etag = self._publish(self._put)
        else:
            if self._filled:
                del self._buffer[self._filled :]
                self._send()
            while self._under_way:
                self._reap()
            etag = self._publish(self._complete)
            self._upload = ""
        return self._verified(etag)

    def _send(self) -> None:
        """Hands the filled buffer to the pool."""
        if not self._upload:
            self._begin()
        if self._parts == MOST_PARTS:
            raise ItemError(
                Kind.TOO_LARGE,
                f"{shown(self._url)} is larger than {MOST_PARTS:,} parts of {self._part_bytes // MIB} MiB. "
                "Say how many bytes to expect, and parts are chosen larger.",
            )
        self._parts += 1
        self._under_way[self._pool.submit(self._upload_part, self._parts, self._buffer)] = self._buffer
        self._filled = 0

    def _take(self) -> bytearray:
        """A buffer that nobody uses."""
        while not self._free and self._buffers == self._most_buffers:
            self._reap()
        if self._free:
            return self._free.pop()
        self._buffers += 1
        return bytearray(self._part_bytes)

    def _reap(self) -> None:
        """Waits for a part to arrive; raises when it did not."""
        for done in wait(self._under_way, return_when=FIRST_COMPLETED).done:
            self._free.append(self._under_way.pop(done))
            done.result()

    def _begin(self) -> None:
        if (
            "IfNoneMatch" in self._condition and self._seen() is not None
        ):  # before gigabytes are sent for nothing
            raise exists_already(self._url)
        answer = self._patiently(
            lambda: self._client.create_multipart_upload(**self._place, **self._description())
        )
        self._upload = answer["UploadId"]
        if self._options.on_upload is not None:
            self._options.on_upload(self._upload)

    def _upload_part(self, number: int, body: bytearray) -> None:
        request = {**self._place, "UploadId": self._upload, "PartNumber": number, "Body": body}
        answer = self._patiently(lambda: self._client.upload_part(**request))
        self._etags[number] = answer["ETag"]

    def _put(self) -> str:
        request = {**self._place, **self._description(), **self._condition, "Body": self._buffer}
        return self._client.put_object(**request)["ETag"]

    def _complete(self) -> str:
        parts = [{"PartNumber": number, "ETag": self._etags[number]} for number in sorted(self._etags)]
        request = {**self._place, "UploadId": self._upload, "MultipartUpload": {"Parts": parts}}
        # botocore turns a 200 with an error in its body into an error (test_multipart proves it)
        return self._client.complete_multipart_upload(**request, **self._condition)["ETag"]

    def _description(self) -> dict[str, Any]:
        metadata = {**self._options.metadata, WORD: self._word}
        return {"ContentType": self._options.content_type, "Metadata": metadata}

    def _publish(self, request: Callable[[], str]) -> str:
        """The object's ETag; sent until the answer is known, or the object is seen to be ours."""
        delays = self._patience.delays()
        while True:
            try:
                return request()
            except FAULTS as error:
                found = self._about(error)
                # MISSING: an upload that has been completed is no longer there
                if found.kind in (*PASSING, Kind.CHANGED, Kind.MISSING):
                    seen = self._seen()
                    if seen is not None and seen.get("Metadata", {}).get(WORD) == self._word:
                        return str(seen["ETag"])  # only the answer was lost
                if found.kind is Kind.CHANGED and self._options.replaces is not None:
                    raise found from error
                if found.kind is Kind.CHANGED:
                    raise exists_already(self._url) from error
                delay = next(delays, None)
                if delay is None or found.kind not in PASSING:
                    raise found from error
                self._stop.wait(delay)

    def _verified(self, etag: str) -> Written:
        """What is there now, looked at: a server may answer 200 and have nothing."""
        seen = self._seen(allowed=True)
        if seen is None:
            raise ItemError(
                Kind.API_ERROR, f"{shown(self._url)} was written, and is not there. Write it again."
            )
        word = seen.get("Metadata", {}).get(WORD)
        if word in (None, self._word) and seen["ContentLength"] != self._size_bytes:
            raise ItemError(
                Kind.CORRUPT,
                f"{shown(self._url)} has {seen['ContentLength']:,} bytes, {self._size_bytes:,} were written.",
            )
        if word not in (None, self._word) and not self._options.overwrite:
            raise ItemError(Kind.CHANGED, f"{shown(self._url)} was replaced by another writer.")
        return Written(self._url, self._size_bytes, etag)

    def _seen(self, *, allowed: bool = False) -> Any | None:
        """The object's description, or None when there is none; `allowed`: a refusal is raised.

        S3 answers 403 for a missing object to those who may not list the bucket.
        """
        try:
            return self._patiently(lambda: self._client.head_object(**self._place))
        except ItemError as error:
            if error.kind is Kind.MISSING or (error.kind is Kind.AUTH and not allowed):
                return None
            raise

    def _patiently(self, request: Callable[[], T], *, stoppable: bool = True) -> T:
        pause = self._stop if stoppable else threading.Event()
        delays = self._patience.delays()
        while True:
            try:
                return request()
            except FAULTS as error:
                delay = next(delays, None)
                if delay is None or pause.is_set() or kind_of(error).kind not in PASSING:
                    raise self._about(error) from error
                pause.wait(delay)

    def _abort(self) -> None:
        """Best effort: what stays is found by `abort_uploads`, and by the bucket's lifecycle rule."""
        try:
            self._patiently(
                lambda: self._client.abort_multipart_upload(**self._place, UploadId=self._upload),
                stoppable=False,
            )
        except ItemError as error:
            if error.kind is not Kind.MISSING:
                _log.warning("An unfinished upload is left at %s: %s", shown(self._url), error.message)
        self._upload = ""

    def _about(self, error: BaseException) -> ItemError:
        found = kind_of(error)
        return ItemError(
            found.kind, f"{shown(self._url)}: {found.message}", retry_after_seconds=found.retry_after_seconds
        )
