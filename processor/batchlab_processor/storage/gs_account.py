"""Who we are to Google's Cloud Storage: firebase-admin's credentials, or nobody for an emulator."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firebase_admin import credentials as firebase
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.gs_errors import ACCOUNT_CURE

# Google's own name; its client reads it too, so that the two never talk to different servers
EMULATOR = "STORAGE_EMULATOR_HOST"
_DEFAULT = "GOOGLE_APPLICATION_CREDENTIALS"  # read by google-auth itself, whatever kind of file it names


@dataclass(frozen=True)
class Account:
    """Credentials as google-auth knows them."""

    credentials: Any
    project: str | None
    signs: bool  # whether it can sign URLs by itself: a service account's key


def account(google_credentials: str) -> Account:
    """The account of `google_credentials` (path or JSON of a key), else what this machine has.

    Raises ItemError(auth) that says what to set.
    """
    if os.environ.get(EMULATOR):
        return Account(AnonymousCredentials(), "emulator", signs=False)  # type: ignore[no-untyped-call]
    try:
        content = _content(google_credentials) if google_credentials else {}
        if content.get("type") == "service_account":
            certificate = firebase.Certificate(content)
            return Account(certificate.get_credential(), certificate.project_id, signs=True)
        if google_credentials and google_credentials != os.environ.get(_DEFAULT):
            raise ValueError("not a service account's key")
        default = (
            firebase.ApplicationDefault()
        )  # workload identity, a developer's own sign-in, a machine's role
        return Account(default.get_credential(), default.project_id, _signs(default.get_credential()))
    except (GoogleAuthError, OSError, ValueError) as error:
        raise ItemError(
            Kind.AUTH, f"gs:// has no credentials that work: {_reason(error)}. {ACCOUNT_CURE}"
        ) from error


def _content(given: str) -> dict[str, Any]:
    text = given if given.lstrip().startswith("{") else Path(given).read_text("utf-8")
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("the key is no JSON object")
    return content


def _reason(error: Exception) -> str:
    """Never the error's own text when it may quote the key."""
    if isinstance(error, OSError):
        return f"the key file cannot be read ({error.strerror})"
    if isinstance(error, GoogleAuthError):
        return "none were found on this machine"
    return "the key is not the JSON of a service account"


def _signs(found: Any) -> bool:
    return callable(getattr(found, "sign_bytes", None)) and bool(getattr(found, "signer_email", None))
