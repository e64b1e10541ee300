"""The one place where boto3 clients are made, and where their errors are read.

boto3 takes 0.6 CPU-seconds to import and start, so it is imported when the first client is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from batchlab.aws_signing import Keys
from batchlab.errors import BatchlabError, Denied, ServiceError, UsageError
from batchlab.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_clients: dict[tuple[object, ...], Any] = {}
_lock = threading.Lock()

# Codes that mean 403 whatever their status says; expired sessions come as 400.
_DENIED_CODES = frozenset(
    {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AccessDenied", "InvalidAccessKeyId"}
    | {"SignatureDoesNotMatch", "Unauthorized", "AllAccessDisabled", "AccountProblem"}
)
_PASSING_CODES = frozenset(
    {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
    | {"InternalError", "ServiceUnavailable", "ConditionalRequestConflict", "OperationAborted"}
)
_PASSING_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
    | {
        "NoAuthTokenError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "SSOTokenLoadError",
        "SSOError",
    }
    | {"LoginError", "LoginRefreshRequired", "LoginTokenLoadError", "LoginInsufficientPermissions"}
)


def s3_client(
    scheme: str,
    settings: Settings,
    *,
    connections: int = 32,
    attempts: int = 5,
    read_timeout_seconds: float = 60,
    for_links: bool = False,
    region: str = "",
) -> S3Client:
    """A thread-safe S3 client for s3:// or r2://, made once for the same arguments.

    `attempts` are botocore's own, with back-off and jitter. `for_links`: the URLs it signs name the region,
    which is `region` where that is given.
    Raises UsageError when r2:// is asked for and R2_ENDPOINT is not set, Denied when AWS_PROFILE names a profile
    that does not exist.
    """
    endpoint = settings.r2_endpoint if scheme == "r2" else settings.s3_endpoint
    if scheme == "r2":
        check_r2(settings)
    keys = (settings.r2_access_key, settings.r2_secret_key) if scheme == "r2" else ("", "")
    wanted = (scheme, endpoint, *keys, connections, attempts, read_timeout_seconds, for_links, region)
    with _lock:
        if wanted not in _clients:
            _clients[wanted] = _new_s3_client(
                scheme,
                endpoint,
                *keys,
                for_links=for_links,
                region=region,
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=10,
                read_timeout=read_timeout_seconds,
                max_pool_connections=connections,
            )
        client: S3Client = _clients[wanted]
    return client


def check_r2(settings: Settings) -> None:
    """Raises UsageError when something that r2:// needs is not set."""
    if not (settings.r2_endpoint and settings.r2_access_key and settings.r2_secret_key):
        raise UsageError(
            "r2:// needs R2_ENDPOINT (https://<account>.r2.cloudflarestorage.com), R2_ACCESS_KEY and R2_SECRET_KEY."
        )


def credentials() -> tuple[Callable[[], Keys], str]:
    """What boto3 finds when the environment holds no keys: (what gives the keys of this moment, the region or "").

    Keys that run out are renewed in time. Raises Denied, and so does what it returns.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.session.Session()
        found = session.get_credentials()
    except BotoCoreError as error:
        raise Denied(explained(error, "s3://").message) from None
    if found is None:
        raise Denied(
            "s3://: no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
            "or give the container a role."
        )

    def keys() -> Keys:
        try:
            frozen = found.get_frozen_credentials()
        except BotoCoreError as error:
            raise Denied(explained(error, "s3://").message) from None
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token or "")

    return keys, session.region_name or ""


def _new_s3_client(
    scheme: str,
    endpoint: str,
    access_key: str,
    secret_key: str,
    *,
    for_links: bool,
    region: str,
    **config: Any,
) -> S3Client:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    secure = not endpoint.startswith("http://")
    # Unless told "virtual", botocore signs URLs for bucket.s3.amazonaws.com; newer regions, and new buckets for some
    # hours, answer there with a redirect that no signature survives. Source: boto/boto3 #3015, #4768
    at_aws: Literal["virtual", "auto"] = "virtual" if for_links else "auto"
    settled = Config(
        signature_version="s3v4",
        # boto3 >= 1.36 sends checksums that R2 and others refuse, at times as Unauthorized (boto/boto3 #4409)
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # without checksums botocore hashes every payload, 1.2 CPU-s per GB; TLS guards it already
        s3={"payload_signing_enabled": not secure, "addressing_style": "path" if endpoint else at_aws},
        **config,
    )
    more: dict[str, Any] = {"endpoint_url": endpoint} if endpoint else {}
    try:
        session = boto3.session.Session()
        if scheme == "r2":
            more |= {
                "aws_access_key_id": access_key,
                "aws_secret_access_key": secret_key,
                "region_name": "auto",
            }
        elif region:
            more["region_name"] = region
        elif endpoint and not session.region_name:
            more["region_name"] = "us-east-1"  # S3-compatibles rarely care, but a signature names a region
        return session.client("s3", config=settled, **more)
    except BotoCoreError as error:
        raise explained(error, f"{scheme}://") from None


def service_client(service: str, region: str = "", *, attempts: int = 5) -> Any:
    """A client for an AWS service other than storage, such as "batch", at AWS or where AWS_ENDPOINT_URL says.

    `attempts` are botocore's own; 1 where a request must not be sent again before somebody has looked.
    """
    import boto3
    from botocore.config import Config

    settled = Config(retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=10)
    return boto3.session.Session().client(service, region_name=region or None, config=settled)  # type: ignore[call-overload]


def code_and_status(error: BaseException) -> tuple[str, int]:
    """The service's word and the HTTP status of a botocore ClientError; ("", 0) when there was no answer."""
    response = getattr(error, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(response.get("Error", {}).get("Code", ""))
    return code, int(status or (code if code.isdigit() else 0))


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment: no answer, a garbled one, a busy server, a conflict."""
    from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.parsers import ResponseParserError

    if isinstance(error, ClientError):
        code, status = code_and_status(error)
        return code in _PASSING_CODES or status in _PASSING_STATUSES
    return isinstance(error, NoConnection | HTTPClientError | IncompleteReadError | ResponseParserError)


def explained(error: BaseException, place: str) -> BatchlabError:
    """The error in our words; `place` is what was asked for, such as "status.json in s3://bucket/prefix"."""
    code, status = code_and_status(error)
    if type(error).__name__ in _NO_CREDENTIALS:
        return Denied(
            f"{place}: no usable credentials ({error}). Set AWS_PROFILE or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY; for R2 R2_ACCESS_KEY and R2_SECRET_KEY."
        )
    if type(error).__name__ == "NoRegionError":
        return UsageError(f"{place}: no region is set. Set AWS_DEFAULT_REGION, such as us-east-1.")
    if code == "RequestTimeTooSkewed":
        return Denied(f"{place}: this machine's clock is wrong, and signatures need it. Set the clock.")
    if code == "ExpiredToken":
        return Denied(f"{place}: the credentials have expired. Log in again.")
    if code in _DENIED_CODES or status in (401, 403):
        return Denied(
            f"{place}: access was refused ({code or status}). Check the credentials and their rights."
        )
    if code == "NoSuchBucket":
        return ServiceError(f"{place}: there is no such bucket. Check its name, or make it.")
    if code or status:
        message = (getattr(error, "response", None) or {}).get("Error", {}).get("Message", "")
        return ServiceError(f"{place}: the service answered {status} {code}. {message}".rstrip())
    return ServiceError(f"{place}: {error}")
