"""Objects of memory:// made of parts. For tests, so it is strict where S3 is."""

from __future__ import annotations

import secrets
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.base import Scheme, WriteOptions, Written
from batchlab_processor.storage.names import WORD, exists_already
from batchlab_processor.storage.parts import CannotCopy, no_such_upload, wrong_part


@dataclass(frozen=True)
class _Upload:
    url: str
    parts: dict[int, bytes] = field(default_factory=dict)  # by number


_uploads: dict[str, _Upload] = {}  # by id
_lock = threading.Lock()


def unfinished() -> dict[str, str]:
    """Id -> URL of the uploads that were neither completed nor aborted."""
    with _lock:
        return {upload_id: upload.url for upload_id, upload in _uploads.items()}


class MemoryParts:
    """One object being made; its parts are seen by every instance with the same id."""

    def __init__(
        self, scheme: Scheme, url: str, upload_id: str, options: WriteOptions, part_bytes: int
    ) -> None:
        self.id = upload_id
        self._scheme = scheme
        self._url = url
        self._options = replace(options, metadata={**options.metadata, WORD: upload_id})
        self._part_bytes = part_bytes

    @classmethod
    def begin(cls, scheme: Scheme, url: str, options: WriteOptions, part_bytes: int) -> MemoryParts:
        upload_id = secrets.token_hex(8)
        parts = cls(scheme, url, upload_id, options, part_bytes)
        if not options.overwrite and options.replaces is None and parts._metadata() is not None:
            raise exists_already(url)
        with _lock:
            _uploads[upload_id] = _Upload(url)
        return parts

    def send(self, number: int, body: memoryview, crc32: int | None = None) -> str:
        data = bytes(body)
        if len(data) > self._part_bytes or number < 1:
            raise ValueError(f"part {number} of {len(data):,} bytes; parts have {self._part_bytes:,}")
        with _lock:
            self._kept()[number] = data
        return _etag(data)

    def copy(self, number: int, source: str, start: int, end: int, validator: str) -> tuple[str, int | None]:
        if not source.startswith("memory://"):
            raise CannotCopy(Kind.VALIDATION, f"{shown(source)} is not in memory.")
        with self._scheme.open(source, start=start, end=end, validator=validator) as reader:
            data = reader.read()
        return self.send(number, memoryview(data)), zlib.crc32(data)

    def sent(self) -> dict[int, str]:
        with _lock:
            return {number: _etag(data) for number, data in self._kept().items()}

    def complete(self, etags: Sequence[str], size_bytes: int) -> Written:
        if (done := self.completed()) is not None:
            return done
        with _lock:
            kept = self._kept()
            for number, etag in enumerate(etags, 1):
                if number not in kept or _etag(kept[number]) != etag:
                    raise wrong_part(self._url, number)
            whole = b"".join(kept[number] for number in range(1, len(etags) + 1))
        if len(whole) != size_bytes:
            raise ItemError(
                Kind.CORRUPT, f"{shown(self._url)}: {len(whole):,} bytes were sent, not {size_bytes:,}."
            )
        with self._scheme.write(self._url, self._options) as writer:
            writer.write(whole)
            written = writer.commit()
        self.abort()
        return written

    def completed(self) -> Written | None:
        if (self._metadata() or {}).get(WORD) != self.id:
            return None
        probed = self._scheme.probe(self._url)
        return Written(self._url, probed.size_bytes or 0, probed.validator)

    def abort(self) -> None:
        with _lock:
            _uploads.pop(self.id, None)

    def _kept(self) -> dict[int, bytes]:
        if self.id not in _uploads:
            raise no_such_upload(self._url)
        return _uploads[self.id].parts

    def _metadata(self) -> dict[str, str] | None:
        """What the object says of its writer; None where there is no object."""
        try:
            return dict(self._scheme.probe(self._url).metadata or {})
        except ItemError as error:
            if error.kind is Kind.MISSING:
                return None
            raise


def _etag(data: bytes) -> str:
    return f'"{zlib.crc32(data):08x}-{len(data)}"'
