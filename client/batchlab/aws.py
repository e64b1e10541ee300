"""The one place where boto3 clients are made.

boto3 takes 0.6 CPU-seconds to import and start, so it is imported when the first client is asked for.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from batchlab.errors import UsageError
from batchlab.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_clients: dict[tuple[str, ...], Any] = {}
_lock = threading.Lock()


def s3_client(scheme: str, settings: Settings, *, connections: int = 32) -> S3Client:
    """A thread-safe S3 client for s3:// or r2://, made once per endpoint and credentials.

    Raises UsageError when r2:// is asked for and R2_ENDPOINT is not set.
    """
    endpoint = settings.r2_endpoint if scheme == "r2" else settings.s3_endpoint
    if scheme == "r2" and not endpoint:
        raise UsageError(
            "r2:// needs R2_ENDPOINT (https://<account>.r2.cloudflarestorage.com) and R2's keys."
        )
    keys = (settings.r2_access_key, settings.r2_secret_key) if scheme == "r2" else ("", "")
    with _lock:
        client = _clients.get((scheme, endpoint, *keys))
        if client is None:
            client = _s3_client(scheme, endpoint, *keys, connections=connections)
            _clients[(scheme, endpoint, *keys)] = client
    return client  # type: ignore[no-any-return]


def _s3_client(scheme: str, endpoint: str, access_key: str, secret_key: str, *, connections: int) -> Any:
    import boto3
    from botocore.config import Config

    secure = not endpoint.startswith("http://")
    config = Config(
        signature_version="s3v4",
        # boto3 >= 1.36 sends checksums that R2 and others refuse, at times as Unauthorized (boto/boto3 #4409)
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # without checksums botocore hashes every payload, 1.2 CPU-s per GB; TLS guards it already
        s3={"payload_signing_enabled": not secure, "addressing_style": "path" if endpoint else "auto"},
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=connections,
    )
    more: dict[str, Any] = {"endpoint_url": endpoint} if endpoint else {}
    if scheme == "r2":
        more |= {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key, "region_name": "auto"}
    elif endpoint and not boto3.session.Session().region_name:
        more["region_name"] = "us-east-1"  # S3-compatibles rarely care, but a signature names a region
    return boto3.session.Session().client("s3", config=config, **more)
