"""Writing to Cloud Storage: visible when it is finished, and checked by its CRC-32C."""

from __future__ import annotations

import base64
import logging
import secrets
from typing import Any

import google_crc32c
from google.cloud import storage

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import WriteOptions, Written
from batchlab_processor.storage.gs_errors import FAULTS, kind_of, status_of
from batchlab_processor.storage.names import WORD, exists_already

CHUNK_BYTES = 8 * 1024 * 1024  # Google's advice for resumable uploads; held in memory once
_log = logging.getLogger("batchlab.storage")


class Checksum:
    """The CRC-32C of the bytes it saw, as Cloud Storage spells it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview) -> None:
        self._value = google_crc32c.extend(self._value, bytes(data))

    @property
    def text(self) -> str:
        return base64.b64encode(self._value.to_bytes(4, "big")).decode()


class ObjectWriter:
    """One object being written; nothing is there before `commit`, and nothing after `abort`.

    Up to one chunk it is one request, above that a resumable upload.
    """

    def __init__(self, bucket: storage.Bucket, name: str, url: str, options: WriteOptions) -> None:
        self._url = url
        self._options = options
        self._word = secrets.token_hex(16)
        self._blob = bucket.blob(name)
        self._blob.metadata = {**options.metadata, WORD: self._word}
        self._condition: dict[str, Any] = {} if options.overwrite else {"if_generation_match": 0}
        if options.replaces is not None:
            self._condition = {"if_generation_match": int(options.replaces)}
        self._begun = bytearray()  # what came while it may still be one chunk
        self._upload: Any = None
        self._checksum = Checksum()
        self._size_bytes = 0
        self._finished = False

    def write(self, data: bytes | memoryview) -> int:
        with memoryview(data).cast("B") as view:
            if self._upload is None and len(self._begun) + len(view) > CHUNK_BYTES:
                self._begin()
            try:
                if self._upload is None:
                    self._begun += view
                else:
                    self._upload.write(view)
            except FAULTS as error:
                raise self._refused(error) from error
            self._checksum.update(view)
            self._size_bytes += len(view)
            return len(view)

    def commit(self) -> Written:
        try:
            if self._upload is None:
                kind = self._options.content_type
                self._blob.upload_from_string(bytes(self._begun), content_type=kind, **self._condition)
            else:
                self._upload.close()
                self._blob.reload()
        except FAULTS as error:
            if not self._is_ours():
                raise self._refused(error) from error
        self._finished = True
        ours = (self._blob.metadata or {}).get(WORD) == self._word
        if ours and (self._blob.size != self._size_bytes or self._blob.crc32c != self._checksum.text):
            raise ItemError(Kind.CORRUPT, f"{shown(self._url)} is not what was written. Write it again.")
        if not ours and not self._options.overwrite:
            raise ItemError(Kind.CHANGED, f"{shown(self._url)} was replaced by another writer.")
        return Written(self._url, self._size_bytes, str(self._blob.generation))

    def abort(self) -> None:
        """After `commit` nothing. Best effort: an unfinished upload is invisible, costs nothing, ends in a week."""
        if self._finished or self._upload is None:
            return
        try:
            self._upload.terminate()
        except Exception as error:  # noqa: BLE001  whatever the library raises, the upload is given up
            _log.debug(
                "An unfinished upload of %s ends by itself: %s", shown(self._url), type(error).__name__
            )

    def _begin(self) -> None:
        try:
            if (
                self._condition.get("if_generation_match") == 0 and self._blob.exists()
            ):  # before gigabytes are sent for nothing
                raise exists_already(self._url)
            self._upload = self._blob.open(
                "wb",
                chunk_size=CHUNK_BYTES,
                ignore_flush=True,
                content_type=self._options.content_type,
                **self._condition,
            )
            self._upload.write(self._begun)
        except FAULTS as error:
            raise self._refused(error) from error
        self._begun = bytearray()

    def _is_ours(self) -> bool:
        """Whether the object is there although the answer said no: only the answer was lost."""
        try:
            self._blob.reload()
        except FAULTS:
            return False
        return (self._blob.metadata or {}).get(WORD) == self._word

    def _refused(self, error: BaseException) -> ItemError:
        if status_of(error) == 412 and self._options.replaces is None:
            return exists_already(self._url)
        return kind_of(error, self._url)
