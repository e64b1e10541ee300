"""Objects of s3:// and r2:// made of parts, without boto3: a part goes out from the memory it was put together in."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from batchlab.aws_requests import Answered, S3Requests
from batchlab.aws_signing import encoded_path
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.crc32 import crc32 as crc32_of
from batchlab_processor.storage.base import WriteOptions, Written
from batchlab_processor.storage.names import WORD, exists_already, split_object_url
from batchlab_processor.storage.parts import CannotCopy, no_such_upload
from batchlab_processor.storage.patience import PASSING, Patience
from batchlab_processor.storage.s3_answers import Refused, etag, text, tree
from batchlab_processor.storage.s3_object import S3Object

# 8 tries in half a minute: nothing below this tries again, as boto3 does below `multipart`
_PATIENCE = Patience(tries=8, first_seconds=0.25)
# Too small a source, one in another service, a right that only copying needs: reading may do, or says why not.
_NOT_COPIED = (Kind.VALIDATION, Kind.AUTH)


class S3PartsMaker:
    """Begins, resumes and sweeps uploads of one S3 API."""

    def __init__(self, requests: S3Requests, scheme: str, patience: Patience = _PATIENCE) -> None:
        self._requests = requests
        self._scheme = scheme
        self._patience = patience

    def takes_parts(self, url: str) -> bool:
        """False where a proxy of the environment stands before the bucket, which only boto3 goes through."""
        return self._requests.direct(split_object_url(url)[0])

    def begin_parts(self, url: str, options: WriteOptions, part_bytes: int) -> S3Parts:
        place = self._object(url)
        if not options.overwrite and options.replaces is None and place.head() is not None:
            raise exists_already(url)  # before gigabytes are sent for nothing
        word = secrets.token_hex(16)
        headers = {f"x-amz-meta-{name}": value for name, value in {**options.metadata, WORD: word}.items()}
        headers["content-type"] = options.content_type
        if not all(value.isascii() for value in headers.values()):
            raise ItemError(Kind.VALIDATION, f"{shown(url)}: the metadata of an object is ASCII only.")
        if self._checked(options):
            headers |= {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
        upload = place.create_upload(headers)
        if options.on_upload is not None:
            options.on_upload(upload)
        return S3Parts(place, f"{word}.{upload}", options, checked=self._checked(options))

    def resume_parts(self, url: str, upload_id: str, options: WriteOptions, part_bytes: int) -> S3Parts:
        return S3Parts(self._object(url), upload_id, options, checked=self._checked(options))

    def abort_uploads(self, url: str) -> int:
        """Aborts the unfinished uploads on exactly this key, and says how many."""
        place = self._object(url)
        uploads = place.uploads()
        for upload in uploads:
            place.abort_upload(upload)
        return len(uploads)

    def _object(self, url: str) -> S3Object:
        return S3Object(self._requests, url, self._patience)

    def _checked(self, options: WriteOptions) -> bool:
        return options.crc32 and self._scheme == "s3"  # R2 refuses checksums that it does not know


class S3Parts:
    """One object being made. Its id is the word of its writer, which the object carries, and the upload's id."""

    def __init__(self, place: S3Object, upload_id: str, options: WriteOptions, *, checked: bool) -> None:
        self.id = upload_id
        self._object = place
        self._url = place.url
        self._word, _, self._upload = upload_id.partition(".")
        self._options = options
        self._checked = checked  # every part carries its CRC-32

    def send(self, number: int, body: memoryview, crc32: int | None = None) -> str:
        headers = {}
        if self._checked:
            headers["x-amz-checksum-crc32"] = _spelled(crc32_of(body) if crc32 is None else crc32)

        def put() -> str:
            answer = self._put("UploadPart", number, headers, body)
            return self._etag(number, answer.headers.get("etag", ""))

        return self._object.patiently(put)

    def copy(self, number: int, source: str, start: int, end: int, validator: str) -> tuple[str, int | None]:
        if source.partition("://")[0] != self._url.partition("://")[0]:
            raise CannotCopy(
                Kind.VALIDATION, f"{shown(source)} is on another server than {shown(self._url)}."
            )
        bucket, key = split_object_url(source)
        headers = {
            "x-amz-copy-source": f"/{bucket}/{encoded_path(key)}",
            "x-amz-copy-source-if-match": validator,
            "x-amz-copy-source-range": f"bytes={start}-{end - 1}",
        }

        def copy() -> tuple[str, int | None]:
            answer = self._put("UploadPartCopy", number, headers)
            result = tree(answer, "UploadPartCopy", self._url)
            crc32 = text(result, "ChecksumCRC32")
            return self._etag(number, text(result, "ETag")), _read(crc32) if crc32 else None

        try:
            return self._object.patiently(copy)
        except Refused as error:
            if error.kind in _NOT_COPIED:
                raise CannotCopy(error.kind, error.message) from error
            raise

    def sent(self) -> dict[int, str]:
        return {number: found for number, (found, _) in self._listed().items()}

    def complete(self, etags: Sequence[str], size_bytes: int) -> Written:
        headers = {"content-type": "application/xml"}
        if self._options.replaces is not None:
            headers["if-match"] = self._options.replaces
        elif not self._options.overwrite:
            headers["if-none-match"] = "*"
        crcs: dict[int, str] = {}
        if self._checked:
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
            try:
                crcs = {number: crc32 for number, (_, crc32) in self._listed().items()}
            except ItemError as error:
                if error.kind is not Kind.MISSING:  # an upload that has been completed is no longer there
                    raise
        self._publish(headers, _manifest(etags, crcs))
        return self._verified(size_bytes)

    def completed(self) -> Written | None:
        seen = self._object.head()
        return self._written(seen) if seen is not None and self._is_ours(seen) else None

    def abort(self) -> None:
        self._object.abort_upload(self._upload)

    def _put(
        self, operation: str, number: int, headers: Mapping[str, str], body: memoryview | None = None
    ) -> Answered:
        query = {"uploadId": self._upload, "partNumber": str(number)}
        try:
            return self._object.once("PUT", operation, query, headers, body)
        except Refused as error:
            raise self._explained(error) from error

    def _etag(self, number: int, raw: str) -> str:
        found = etag(raw)
        if not found:
            raise ItemError(Kind.API_ERROR, f"{shown(self._url)}: part {number} got no ETag.")
        return found

    def _listed(self) -> dict[int, tuple[str, str]]:
        try:
            return self._object.parts(self._upload)
        except Refused as error:
            raise self._explained(error) from error

    def _publish(self, headers: Mapping[str, str], body: bytes) -> None:
        """Asks for the object until the answer is known, or the object is seen to be ours."""
        operation, delays = "CompleteMultipartUpload", self._object.patience.delays()
        while True:
            try:
                answer = self._object.once("POST", operation, {"uploadId": self._upload}, headers, body)
                tree(answer, operation, self._url)  # blanks that end without a word are no answer
                return
            except ItemError as error:
                if error.kind in (*PASSING, Kind.CHANGED, Kind.MISSING) and self.completed() is not None:
                    return  # only the answer was lost
                if error.kind is Kind.CHANGED and self._options.replaces is None:
                    raise exists_already(self._url) from error
                delay = next(delays, None)
                if delay is None or error.kind not in PASSING:
                    raise self._explained(error) from error
                time.sleep(self._object.pause(delay, error))

    def _verified(self, size_bytes: int) -> Written:
        """What is there now, looked at: a server may answer 200 and have nothing."""
        seen = self._object.head(allowed=True)
        if seen is None:
            raise ItemError(
                Kind.API_ERROR, f"{shown(self._url)} was written, and is not there. Write it again."
            )
        written = self._written(seen)
        ours = self._is_ours(seen) or f"x-amz-meta-{WORD}" not in seen.headers
        if ours and written.size_bytes != size_bytes:
            raise ItemError(
                Kind.CORRUPT,
                f"{shown(self._url)} has {written.size_bytes:,} bytes, {size_bytes:,} were sent.",
            )
        if not ours and not self._options.overwrite:
            raise ItemError(Kind.CHANGED, f"{shown(self._url)} was replaced by another writer.")
        return written

    def _is_ours(self, seen: Answered) -> bool:
        return seen.headers.get(f"x-amz-meta-{WORD}") == self._word

    def _written(self, seen: Answered) -> Written:
        return Written(
            self._url, int(seen.headers.get("content-length", 0)), etag(seen.headers.get("etag", "")) or None
        )

    def _explained(self, error: ItemError) -> ItemError:
        return (
            no_such_upload(self._url)
            if isinstance(error, Refused) and error.code == "NoSuchUpload"
            else error
        )


def _manifest(etags: Sequence[str], crcs: Mapping[int, str]) -> bytes:
    """The body of Complete; `crcs` in Base64, for the parts that have one."""
    lines = []
    for number, tag in enumerate(etags, 1):
        crc32 = f"<ChecksumCRC32>{crcs[number]}</ChecksumCRC32>" if crcs.get(number) else ""
        lines.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag>{crc32}</Part>")
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{"".join(lines)}</CompleteMultipartUpload>'.encode()


def _spelled(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def _read(spelled: str) -> int:
    return int.from_bytes(base64.b64decode(spelled), "big")
