"""One e-mail to one person, and who takes it: a mail server (BATCHLAB_SMTP_URL), else Amazon SES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import idna

from batchlab.notify.failures import Never
from batchlab.settings import Settings


@dataclass(frozen=True)
class Mail:
    """An e-mail as its reader sees it. All texts are one or more lines of ours; what strangers wrote is made safe."""

    sender: str
    to: str
    subject: str  # one line
    text: str
    html: str
    message_id: str  # the same over all tries

    @property
    def domain(self) -> str:
        """The sender's."""
        return self.sender.rpartition("@")[2]


Mailer = Callable[[Mail], None]  # returns when the mail was taken; raises Later or Never

# Source: RFC 3834, section 5: vacation responders stay silent.
HEADERS = {"Auto-Submitted": "auto-generated"}


def mailer_of(settings: Settings) -> Mailer:
    """The way out that the settings name; makes no connection yet."""
    if settings.smtp_url:
        from batchlab.notify.smtp import SmtpMailer

        return SmtpMailer.of_url(settings.smtp_url)
    from batchlab.notify.ses import SesMailer

    return SesMailer(settings.aws_region)


def ascii_domain(address: str) -> str:
    """`address` with its domain as mail servers write it: ana@xn--mnchen-3ya.example. Raises Never."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain.lower()).decode()}"
    except idna.IDNAError:
        raise Never("The address has a domain that cannot be.") from None
