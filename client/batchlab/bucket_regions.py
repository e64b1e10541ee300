"""Where buckets of AWS are: a presigned URL has to name the region, and nobody who clicks it can follow a redirect.

A request that carries its signature in headers is told the region by the first answer (batchlab.aws_requests); a link
is signed before anybody asks.
"""

from __future__ import annotations

import re

from batchlab import aws
from batchlab.settings import Settings

_REGION = re.compile(r"[a-z0-9-]{1,40}")  # it becomes a part of a host's name
# Somebody waits for a link: no longer than a person would
_ATTEMPTS, _SECONDS = 2, 5.0

_known: dict[str, str] = {}  # by bucket; a bucket stays where it is


def region_of(scheme: str, bucket: str, settings: Settings) -> str:
    """The region that a bucket lies in, asked for once; "": the one that is configured is as good as any.

    That is so for r2:// and other endpoints than Amazon's, and where there was no answer that names one.
    """
    if scheme != "s3" or settings.s3_endpoint:
        return ""
    if bucket not in _known and (found := _asked(bucket, settings)):
        _known[bucket] = found
    return _known.get(bucket, "")


def _asked(bucket: str, settings: Settings) -> str:
    """Source: Amazon S3 API Reference, HeadBucket: x-amz-bucket-region, which stands on a refusal as well."""
    try:
        client = aws.s3_client("s3", settings, attempts=_ATTEMPTS, read_timeout_seconds=_SECONDS)
        answer = client.head_bucket(Bucket=bucket)["ResponseMetadata"]
    except Exception as error:  # noqa: BLE001  whatever it is: signing, which follows, says it in our words
        answer = getattr(error, "response", {}).get("ResponseMetadata", {})
    region = str(answer.get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))
    return region if _REGION.fullmatch(region) else ""
