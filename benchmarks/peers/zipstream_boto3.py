"""requests + zipstream-ng + boto3's upload_fileobj."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import boto3
import requests
from ahead import in_order
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from zipstream import ZipStream

photos, count, endpoint, bucket, key, workers = sys.argv[1:]
session = requests.Session()


def download(number: int) -> bytes:
    answer = session.get(f"{photos}/{number}.jpg", timeout=60)
    answer.raise_for_status()
    return answer.content


def chunks() -> Iterator[bytes]:
    archive = ZipStream()  # stores
    for name, photo in in_order(download, int(count), int(workers)):
        archive.add(photo, name)
        yield from archive.all_files()
    yield from archive.finalize()


class Readable:
    """What upload_fileobj wants: read(n)."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._left = b""

    def read(self, size: int) -> bytes:
        pieces = [self._left]
        have = len(self._left)
        while have < size and (piece := next(self._source, b"")):
            pieces.append(piece)
            have += len(piece)
        joined = b"".join(pieces)
        self._left = joined[size:]
        return joined[:size]


config = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
transfer = TransferConfig(multipart_chunksize=16 << 20)
s3.upload_fileobj(Readable(chunks()), bucket, key, Config=transfer)
