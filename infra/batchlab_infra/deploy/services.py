"""Checks of what lies outside of the stack: quotas, mail, R2, Firebase."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from batchlab.aws import code_and_status, explained, s3_client
from batchlab.errors import Denied, ServiceError, UsageError
from batchlab.settings import Settings
from batchlab_infra.settings import R2_VARIABLES

if TYPE_CHECKING:
    from batchlab_infra.deploy.checks import Preflight

# Source: Amazon EC2 User Guide, "Amazon EC2 service quotas": families A, C, D, H, I, M, R, T, Z
_QUOTAS = {"Spot": "L-34B43A08", "on-demand": "L-1216C47A"}
_GOOGLE_READS = "https://www.googleapis.com/auth/devstorage.read_only"


def quota(flight: Preflight) -> str:
    """Raises UsageError when not even one job may run; fewer vCPUs than max_vcpus are only said."""
    client = flight.account.client("service-quotas")
    settings = flight.settings
    wanted = {"Spot": settings.max_vcpus, "on-demand": settings.max_on_demand_vcpus}
    notes, found = [], {}
    for kind, code in _QUOTAS.items():
        try:
            answer = client.get_service_quota(ServiceCode="ec2", QuotaCode=code)
        except Exception as error:  # noqa: BLE001  a right that many accounts lack is no reason to stop
            return f"note: the quotas of EC2 could not be read ({code_and_status(error)[0] or error})"
        found[kind] = int(answer["Quota"]["Value"])
        if found[kind] < wanted[kind]:
            notes.append(f"{kind} allows {found[kind]} vCPUs of the {wanted[kind]} set")
    cure = "Ask for more: Service Quotas, Amazon EC2, " + " and ".join(_QUOTAS.values())
    if max(found.values()) < settings.vcpus:
        raise UsageError(f"quota of EC2: a job needs {settings.vcpus} vCPUs; {', '.join(notes)}. {cure}.")
    if notes:
        return f"note: {'; '.join(notes)}. Jobs beyond wait. {cure}."
    return ", ".join(f"{kind} {count} vCPUs" for kind, count in found.items())


def mail(flight: Preflight) -> str:
    """Raises UsageError unless MAIL_FROM may send; "" when no mail is asked for."""
    sender = flight.settings.mail_from
    if not sender:
        return ""
    ses = flight.account.client("sesv2")
    verified = False
    for identity in (sender, sender.partition("@")[2]):
        with flight.account.asking(f"SES identity {identity}", absent=("NotFoundException",)):
            verified = verified or bool(
                ses.get_email_identity(EmailIdentity=identity)["VerifiedForSendingStatus"]
            )
    if not verified:
        raise UsageError(
            f"mail_from: SES in {flight.account.region} has not verified {sender}. Run "
            f"`aws sesv2 create-email-identity --email-identity {sender}` and follow the mail, or leave mail_from out."
        )
    with flight.account.asking("SES"):
        account = ses.get_account()
    if not account.get("ProductionAccessEnabled"):
        raise UsageError(
            "mail_from: this account's SES is in the sandbox and writes to verified addresses only. Ask for "
            "production access (SES, Account dashboard), or leave mail_from out."
        )
    return f"{sender} may send"


def r2(flight: Preflight) -> str:
    """What was written was read back from R2; "" when no R2 is given."""
    given = {name: flight.environ.get(name, "").strip() for name in R2_VARIABLES}
    if not any(given.values()):
        return ""
    if missing := [name for name, value in given.items() if not value]:
        raise UsageError(f"R2 needs {', '.join(missing)} too.")
    bucket, key = given["R2_BUCKET"], f"batchlab-deploy-{secrets.token_hex(8)}"
    client: Any = s3_client("r2", Settings.from_environment(given), attempts=2)
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"batchlab")
        try:
            read = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        finally:
            client.delete_object(Bucket=bucket, Key=key)
    except Exception as error:  # noqa: BLE001  whatever botocore says is explained
        raise explained(error, f"R2 bucket {bucket}") from None
    if read != b"batchlab":
        raise ServiceError(f"R2 bucket {bucket}: what was written did not come back. Is R2_ENDPOINT right?")
    return f"{bucket} can be written and read"


def firebase(flight: Preflight) -> str:
    """The service account is accepted, and lists each gs:// place of source_roots; "" when none is given."""
    given = flight.environ.get("FIREBASE_SERVICE_ACCOUNT", "").strip()
    if not given:
        return ""
    session, email = _google(given)
    roots = [urlsplit(root) for root in flight.settings.source_roots if root.startswith("gs://")]
    server = flight.environ.get("STORAGE_EMULATOR_HOST", "https://storage.googleapis.com")
    for root in roots:
        url = f"{server}/storage/v1/b/{root.netloc}/o"
        prefix = quote(root.path.lstrip("/"), safe="")
        answer = session.get(f"{url}?maxResults=1&prefix={prefix}", timeout=20)
        if answer.status_code != 200:
            raise Denied(
                f"{email} may not read gs://{root.netloc} ({answer.status_code}). "
                "Does the bucket exist? Give the account the role Storage Object Viewer there."
            )
    places = ", ".join(f"gs://{root.netloc}" for root in roots) or "no gs:// place is in source_roots yet"
    return f"{email}: {places}"


def _google(given: str) -> tuple[Any, str]:
    """A session that Google has given a token to, and its account; never shows the key."""
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession, Request
    from google.oauth2.service_account import Credentials

    cure = "Make a new key: Firebase console, Project settings, Service accounts."
    try:
        content = json.loads(given if given.startswith("{") else Path(given).read_text("utf-8"))
        credentials = Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            content, scopes=[_GOOGLE_READS]
        )
    except (OSError, ValueError, TypeError):
        raise UsageError(
            f"FIREBASE_SERVICE_ACCOUNT is neither the JSON of a service account's key nor the path of one. {cure}"
        ) from None
    try:
        credentials.refresh(Request())
    except GoogleAuthError as error:
        raise Denied(
            f"Google refuses {credentials.service_account_email} ({type(error).__name__}). {cure}"
        ) from None
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return session, str(credentials.service_account_email)
