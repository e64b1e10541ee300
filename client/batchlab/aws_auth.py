"""Signatures for Lambda function URLs (AWS Signature Version 4, service lambda), with the credentials boto3 finds."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import httpx

from batchlab.errors import Denied, UsageError

if TYPE_CHECKING:
    from botocore.credentials import Credentials

# Source: AWS Lambda Developer Guide, "Creating and managing Lambda function URLs"
_FUNCTION_HOST = re.compile(r"[a-z0-9]+\.lambda-url\.([a-z0-9-]+)\.on\.aws")
_SERVICE = "lambda"
_SIGNED_HEADERS = ("content-type", "idempotency-key")  # host and time come by themselves


def function_region(host: str) -> str:
    """The region of a function URL's host; "" for any other host."""
    found = _FUNCTION_HOST.fullmatch(host.lower())
    return found[1] if found else ""


class LambdaSignature(httpx.Auth):
    """Signs each request of an httpx client, sync or async, at the moment it is sent."""

    requires_request_body = True

    def __init__(self, region: str = "", credentials: Credentials | None = None) -> None:
        """`region` "": the environment's. Raises Denied without credentials, UsageError without a region."""
        if credentials is None or not region:
            found, found_region = _session()
            credentials, region = credentials or found, region or found_region
        if credentials is None:
            raise Denied(
                "The function URL wants signed requests, and there are no AWS credentials. Set AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        if not region:
            raise UsageError("Requests are signed for a region, and none is set. Set AWS_DEFAULT_REGION.")
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        headers = {name: request.headers[name] for name in _SIGNED_HEADERS if name in request.headers}
        headers["host"] = request.headers["host"]
        asked: Any = AWSRequest(request.method, str(request.url), headers, request.content)
        try:
            SigV4Auth(self._credentials, _SERVICE, self._region).add_auth(asked)  # renews what runs out
        except BotoCoreError as error:
            raise Denied(f"No usable AWS credentials ({error}). Log in again, or set AWS_PROFILE.") from None
        request.headers.update(dict(asked.headers.items()))
        yield request


def _session() -> tuple[Credentials | None, str]:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.session.Session()
        return session.get_credentials(), session.region_name or ""
    except BotoCoreError as error:
        raise Denied(f"No usable AWS credentials ({error}). Log in again, or set AWS_PROFILE.") from None
