"""What an error of boto3 means for an item."""

from __future__ import annotations

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.s3_codes import CURES, kind_of_code
from batchlab_processor.storage.statuses import retry_after_seconds

# All that boto3 raises for what happens outside of this process; a garbled answer is no BotoCoreError
FAULTS = (boto.ClientError, boto.BotoCoreError, ResponseParserError, OSError)

_AUTH_CURE = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (R2_ACCESS_KEY and R2_SECRET_KEY for r2://), "
    "AWS_PROFILE, or give the container a role."
)


def kind_of(error: BaseException) -> ItemError:
    """The ItemError that says the same as `error`, one of FAULTS."""
    if isinstance(error, ItemError):
        return error
    if isinstance(error, boto.ClientError):
        return _answered(error)
    for types, kind, cure in _UNANSWERED:
        if isinstance(error, types):
            return ItemError(kind, f"{str(error).rstrip('.')}. {cure}".strip())
    if isinstance(error, (boto.BotoCoreError, ResponseParserError)):
        return ItemError(Kind.API_ERROR, f"{type(error).__name__}: {error}")
    return ItemError(Kind.BUG, f"{type(error).__name__}: {error}")


def code_of(error: boto.ClientError) -> str:
    """The service's word for what went wrong, for a HEAD (which has no words) the status: "404"."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: boto.ClientError) -> int:
    """The HTTP status; 0 when there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(error: boto.ClientError) -> ItemError:
    code, status = code_of(error), status_of(error)
    said = error.response.get("Error", {}).get("Message", "") or code or f"status {status}"
    kind = kind_of_code(code, status)
    if code == "400" and error.operation_name.startswith("Head"):
        kind = Kind.EXPIRED_CREDENTIALS  # the answer to a HEAD has no words; with an expired token it is this
    cure = CURES.get(code, "")
    text = f"{error.operation_name}: {said.rstrip('.')} ({code or status}). {cure}".strip()
    return ItemError(kind, text, retry_after_seconds=_retry_after(error))


def _retry_after(error: boto.ClientError) -> float | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return retry_after_seconds(headers.get("retry-after", ""))


_UNANSWERED: tuple[tuple[tuple[type[Exception], ...], Kind, str], ...] = (
    ((boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound), Kind.AUTH, _AUTH_CURE),
    (
        (boto.CredentialRetrievalError, boto.MetadataRetrievalError, boto.TokenRetrievalError),
        Kind.EXPIRED_CREDENTIALS,
        "Renew the credentials (aws sso login), or look whether the container's role still exists.",
    ),
    ((boto.ConnectTimeoutError, boto.ReadTimeoutError), Kind.TIMEOUT, ""),
    ((boto.ParamValidationError, boto.NoRegionError, boto.InvalidRegionError), Kind.VALIDATION, ""),
    (
        (
            boto.HTTPClientError,
            boto.ResponseStreamingError,
            boto.IncompleteReadError,
            boto.ConnectionError,
            OSError,
        ),
        Kind.NETWORK,
        "",
    ),
)
