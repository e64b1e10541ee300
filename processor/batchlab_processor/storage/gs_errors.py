"""What an error of Google's libraries means for an item."""

from __future__ import annotations

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown
from batchlab_processor.storage.statuses import kind_of_status, retry_after_seconds

# Everything that the libraries raise for what happens outside of this process
FAULTS = (GoogleAPICallError, RetryError, InvalidResponse, DataCorruption, auth.GoogleAuthError, OSError)

ACCOUNT_CURE = (
    "Give a service account: set FIREBASE_SERVICE_ACCOUNT to its key file (or the JSON itself), "
    "with the role Storage Object Admin, or Viewer to read only."
)


def kind_of(error: BaseException, url: str) -> ItemError:
    """The ItemError that says the same as `error`; requests' errors are OSErrors."""
    if isinstance(error, ItemError):
        return error
    place = shown(url)
    status = status_of(error)
    if status:
        return of_status(status, place, str(error))
    if isinstance(error, auth.RefreshError):
        return ItemError(Kind.EXPIRED_CREDENTIALS, f"{place}: {error}. {ACCOUNT_CURE}")
    if isinstance(error, auth.TransportError):
        return ItemError(Kind.NETWORK, f"{place}: {error}")
    if isinstance(error, auth.GoogleAuthError):
        return ItemError(Kind.AUTH, f"{place}: no credentials. {ACCOUNT_CURE}")
    if isinstance(error, DataCorruption):
        return ItemError(Kind.CORRUPT, f"{place}: {error}")
    if isinstance(error, (requests.Timeout, TimeoutError, RetryError)):
        return ItemError(Kind.TIMEOUT, f"{place}: {error}")
    if isinstance(error, OSError):
        return ItemError(Kind.NETWORK, f"{place}: {type(error).__name__}: {error}")
    return ItemError(Kind.BUG, f"{place}: {type(error).__name__}: {error}")


def status_of(error: BaseException) -> int:
    """The HTTP status behind an error; 0 when there was no answer."""
    if isinstance(error, GoogleAPICallError) and error.code is not None:
        return int(error.code)
    response = getattr(error, "response", None)
    return int(getattr(response, "status_code", 0) or 0)


def of_status(status: int, place: str, said: str = "", retry_after: str = "") -> ItemError:
    """What a status of Cloud Storage means; `place` is free of secrets."""
    kind = kind_of_status(status)
    text = {
        Kind.MISSING: f"{place} is not there.",
        Kind.AUTH: f"{place}: {'not signed in' if status == 401 else 'the account may not do this'}. {ACCOUNT_CURE}",
        Kind.CHANGED: f"{place} is not the object it was.",
        Kind.RATE_LIMIT: f"{place}: too many requests.",
    }.get(kind, f"{place}: status {status}. {said}")
    return ItemError(kind, text, retry_after_seconds=retry_after_seconds(retry_after))
