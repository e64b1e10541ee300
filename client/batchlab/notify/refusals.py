"""Whether the targets of a submitted document can be told at all: asked before the job exists."""

from __future__ import annotations

from batchlab.document import JobDocument
from batchlab.errors import UsageError
from batchlab.kinds import ItemError
from batchlab.notify.webhook import check_url, signing_secret
from batchlab.settings import Settings
from batchlab.targets import EmailTarget, WebhookTarget
from batchlab.webhooks import keys


def refusals(document: JobDocument, settings: Settings) -> list[str]:
    """Why targets of `document` cannot be told, a line each that names the setting to add; [] when all can be."""
    lines = []
    for number, target in enumerate(document.notify):
        found = _of_email(settings) if isinstance(target, EmailTarget) else _of_webhook(target, settings)
        lines += [f"notify[{number}]: {line}" for line in found]
    return lines


def _of_webhook(target: WebhookTarget, settings: Settings) -> list[str]:
    lines = []
    try:
        check_url(target.webhook, settings)
    except ItemError as error:
        lines.append(error.message)
    try:
        keys(signing_secret(target, settings))
    except (ItemError, UsageError) as error:
        lines.append(error.message)
    return lines


def _of_email(settings: Settings) -> list[str]:
    lines = []
    if not settings.mail_from:
        lines.append("No e-mail is sent from here. Set BATCHLAB_MAIL_FROM to the sender's address.")
    if not settings.public_base_url:
        lines.append("E-mails carry a link to the customer's page. Set BATCHLAB_PUBLIC_BASE_URL.")
    return lines
