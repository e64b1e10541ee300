"""One object of an S3 API, asked about patiently and without boto3: what making it of parts needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from xml.etree.ElementTree import Element

from batchlab.aws_requests import Answered, S3Requests
from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.names import split_object_url
from batchlab_processor.storage.patience import PASSING, Patience
from batchlab_processor.storage.s3_answers import Refused, etag, refusal, text, tree
from batchlab_processor.storage.s3_codes import CANNOT

T = TypeVar("T")


class S3Object:
    """The object at `url`. Methods raise ItemError after the last try; `Refused` when the server said no."""

    def __init__(self, requests: S3Requests, url: str, patience: Patience) -> None:
        self.url = url
        self.patience = patience
        self._requests = requests
        self._bucket, self._key = split_object_url(url)

    def once(
        self,
        method: str,
        operation: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
    ) -> Answered:
        """The answer to one request; an error in a 200 counts as one."""
        answer = self._requests.send(method, self._bucket, self._key, query, headers, body)
        refused = refusal(answer, operation, self.url)
        if refused is not None:
            raise refused
        return answer

    def patiently(self, request: Callable[[], T]) -> T:
        """What `request` returns; passing failures are waited out, so long as the server asks, in reason."""
        delays = self.patience.delays()
        while True:
            try:
                return request()
            except ItemError as error:
                delay = next(delays, None)
                if delay is None or error.kind not in PASSING:
                    raise
                time.sleep(self.pause(delay, error))

    def pause(self, delay: float, error: ItemError) -> float:
        """Seconds to wait after `error`."""
        return max(delay, min(error.retry_after_seconds or 0.0, self.patience.longest_seconds))

    def head(self, *, allowed: bool = False) -> Answered | None:
        """The object's headers, or None when there is none; `allowed`: a refusal is raised.

        S3 answers 403 for a missing object to those who may not list the bucket.
        """
        try:
            return self.patiently(lambda: self.once("HEAD", "HeadObject", {}))
        except ItemError as error:
            if error.kind is Kind.MISSING or (error.kind is Kind.AUTH and not allowed):
                return None
            raise

    def create_upload(self, headers: Mapping[str, str]) -> str:
        """The id of a new multipart upload."""
        operation = "CreateMultipartUpload"

        def create() -> str:
            answer = self.once("POST", operation, {"uploads": ""}, headers)
            upload = text(tree(answer, operation, self.url), "UploadId")
            if not upload:
                raise ItemError(Kind.API_ERROR, f"{shown(self.url)}: {operation}: the answer holds no id.")
            return upload

        return self.patiently(create)

    def parts(self, upload: str) -> dict[int, tuple[str, str]]:
        """Number -> (ETag, CRC-32 in Base64 or "") of all parts that are there; none where the server lists none."""
        found: dict[int, tuple[str, str]] = {}
        marker = "0"
        while marker:
            try:
                page = self._page("ListParts", {"uploadId": upload, "part-number-marker": marker})
            except Refused as error:
                if error.code in CANNOT:
                    return {}
                raise
            for part in page.iter("Part"):
                found[int(text(part, "PartNumber"))] = (etag(text(part, "ETag")), text(part, "ChecksumCRC32"))
            further = text(page, "NextPartNumberMarker") if text(page, "IsTruncated") == "true" else ""
            marker = further if further != marker else ""
        return found

    def uploads(self) -> list[str]:
        """The ids of all unfinished uploads on exactly this key; none where the server cannot list them."""
        found: list[str] = []
        markers: dict[str, str] = {}
        while True:
            query = {"uploads": "", "prefix": self._key, **markers}
            try:
                page = self._page("ListMultipartUploads", query, of_bucket=True)
            except Refused as error:
                if error.code in CANNOT:
                    return []
                raise
            found += [
                text(upload, "UploadId")
                for upload in page.iter("Upload")
                if upload.findtext("Key") == self._key
            ]
            further = {
                "key-marker": page.findtext("NextKeyMarker") or "",
                "upload-id-marker": text(page, "NextUploadIdMarker"),
            }
            if text(page, "IsTruncated") != "true" or further == markers:
                return found
            markers = further

    def abort_upload(self, upload: str) -> None:
        """Afterwards it is gone; no error when it was."""
        try:
            self.patiently(lambda: self.once("DELETE", "AbortMultipartUpload", {"uploadId": upload}))
        except ItemError as error:
            if error.kind is not Kind.MISSING:
                raise

    def _page(self, operation: str, query: Mapping[str, str], *, of_bucket: bool = False) -> Element:
        key = "" if of_bucket else self._key

        def page() -> Element:
            answer = self._requests.send("GET", self._bucket, key, query)
            refused = refusal(answer, operation, self.url)
            if refused is not None:
                raise refused
            return tree(answer, operation, self.url)

        return self.patiently(page)
