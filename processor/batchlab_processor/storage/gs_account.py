"""Who we are to Google's Cloud Storage: firebase-admin's credentials, or nobody for an emulator."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
from firebase_admin import credentials as firebase
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError

from batchlab.kinds import ItemError, Kind
from batchlab_processor.storage.gs_errors import ACCOUNT_CURE

# Google's own name; its client reads it too, so that the two never talk to different servers
EMULATOR = "STORAGE_EMULATOR_HOST"
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


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
        if not google_credentials:
            default = firebase.ApplicationDefault()
            return Account(default.get_credential(), default.project_id, _signs(default.get_credential()))
        content = _content(google_credentials)
        if content.get("type") != "service_account":  # workload identity, a developer's own sign-in
            found, project = google.auth.load_credentials_from_dict(  # type: ignore[no-untyped-call]
                content, scopes=_SCOPES
            )
            return Account(found, project, _signs(found))
        certificate = firebase.Certificate(content)
        return Account(certificate.get_credential(), certificate.project_id, signs=True)
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
