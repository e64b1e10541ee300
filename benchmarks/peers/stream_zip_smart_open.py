"""httpx + stream-zip (stored) + smart_open."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3
import httpx
from ahead import in_order
from botocore.config import Config
from smart_open import open as smart_open
from stream_zip import NO_COMPRESSION_64, stream_zip

photos, count, endpoint, bucket, key, workers = sys.argv[1:]
client = httpx.Client(timeout=60)


def download(number: int) -> bytes:
    answer = client.get(f"{photos}/{number}.jpg")
    answer.raise_for_status()
    return answer.content


def members() -> Iterator[tuple[str, datetime, int, Any, tuple[bytes]]]:
    now = datetime.now()  # noqa: DTZ005  a ZIP's date has no zone
    for name, photo in in_order(download, int(count), int(workers)):
        yield name, now, 0o644, NO_COMPRESSION_64(len(photo), zlib.crc32(photo)), (photo,)


config = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
settings = {"client": s3, "min_part_size": 16 << 20}
with smart_open(f"s3://{bucket}/{key}", "wb", transport_params=settings) as target:
    for chunk in stream_zip(members(), chunk_size=1 << 20):
        target.write(chunk)
