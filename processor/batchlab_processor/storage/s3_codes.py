"""What the words of an S3 API for "no" mean for an item. Nothing of boto3 is imported here."""

from __future__ import annotations

from batchlab.kinds import Kind
from batchlab_processor.storage.statuses import kind_of_status

KINDS: dict[str, Kind] = {
    "NoSuchKey": Kind.MISSING,
    "NoSuchBucket": Kind.MISSING,
    "NoSuchUpload": Kind.MISSING,
    "NoSuchVersion": Kind.MISSING,
    "NotFound": Kind.MISSING,
    "AccessDenied": Kind.AUTH,
    "AllAccessDisabled": Kind.AUTH,
    "InvalidAccessKeyId": Kind.AUTH,
    "SignatureDoesNotMatch": Kind.AUTH,
    "InvalidObjectState": Kind.AUTH,  # archived to Glacier: readable after a restore
    "RequestTimeTooSkewed": Kind.AUTH,
    "Unauthorized": Kind.AUTH,
    "ExpiredToken": Kind.EXPIRED_CREDENTIALS,
    "ExpiredTokenException": Kind.EXPIRED_CREDENTIALS,
    "TokenRefreshRequired": Kind.EXPIRED_CREDENTIALS,
    "InvalidToken": Kind.EXPIRED_CREDENTIALS,
    "PreconditionFailed": Kind.CHANGED,
    "SlowDown": Kind.API_ERROR,
    "ServiceUnavailable": Kind.API_ERROR,
    "InternalError": Kind.API_ERROR,
    "ConditionalRequestConflict": Kind.API_ERROR,
    "OperationAborted": Kind.API_ERROR,
    "RequestTimeout": Kind.TIMEOUT,
    "TooManyRequests": Kind.RATE_LIMIT,
    "EntityTooLarge": Kind.TOO_LARGE,
    "InvalidPart": Kind.CORRUPT,
    "BadDigest": Kind.CORRUPT,
    "NotImplemented": Kind.VALIDATION,
}

# Of a verb that this server does not know, such as ListParts and ListMultipartUploads of s3rver
CANNOT = ("NotImplemented", "MethodNotAllowed")

CURES: dict[str, str] = {
    "InvalidObjectState": "The object is archived: restore it first.",
    "RequestTimeTooSkewed": "This machine's clock is wrong: set it.",
    "InvalidAccessKeyId": "Check the access key (AWS_ACCESS_KEY_ID; R2_ACCESS_KEY for r2://).",
    "SignatureDoesNotMatch": "Check the secret key (AWS_SECRET_ACCESS_KEY; R2_SECRET_KEY for r2://).",
    "NoSuchBucket": "There is no such bucket: check its name and region.",
    "PreconditionFailed": "It is not the object it was.",
}


def kind_of_code(code: str, status: int) -> Kind:
    """The kind of a refusal; `code` is "" where the answer had no words, `status` 0 where there was none."""
    return KINDS.get(code) or kind_of_status(status)
