"""Where notifications go out: one try at one target."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from batchlab.connections import Patience
from batchlab.errors import UsageError
from batchlab.guard import Guard
from batchlab.kinds import ItemError
from batchlab.notify import webhook
from batchlab.notify.composing import compose
from batchlab.notify.end import End
from batchlab.notify.failures import Later
from batchlab.notify.mail import Mailer, mailer_of
from batchlab.notify.notification import Place
from batchlab.settings import Settings
from batchlab.targets import NotifyTarget, WebhookTarget


@dataclass(frozen=True)
class Outlets:
    """The way to receivers and mailboxes; safe to share between threads."""

    settings: Settings
    guard: Guard  # for webhooks
    mailer: Mailer

    @classmethod
    def of_settings(cls, settings: Settings, *, patience: Patience = webhook.PATIENCE) -> Outlets:
        """Makes no connection yet."""
        return cls(settings, webhook.webhook_guard(settings, patience), mailer_of(settings))

    def send(self, place: Place, end: End, target: NotifyTarget, now: datetime) -> None:
        """One try; returns when whoever is at the other end has taken it. Raises Later or Never."""
        if not isinstance(target, WebhookTarget):
            self.mailer(compose(end, target.email, place.message_id, self.settings, now))
            return
        try:
            secret = webhook.signing_secret(target, self.settings)
            webhook.post(self.guard, target.webhook, webhook.payload(end), place.message_id, secret, now)
        except (ItemError, UsageError) as error:  # somebody can mend the settings
            raise Later(error.message) from None
