"""E-mail by a mail server: over TLS, except to this machine itself."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import unquote, urlsplit

from batchlab.addresses import is_loopback, parse_address
from batchlab.guard import trusted_tls
from batchlab.notify.failures import Later, Never
from batchlab.notify.mail import HEADERS, Mail, ascii_domain

_SECONDS = 15.0  # for each step of the conversation
_PORTS = {"smtp": 587, "smtps": 465}  # Source: RFC 6409 and RFC 8314: submission, and the same over TLS


@dataclass(frozen=True)
class SmtpMailer:
    """A mail server, and who we are there."""

    host: str
    port: int
    tls: bool = False  # from the first byte; else STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    seconds: float = _SECONDS

    @classmethod
    def of_url(cls, url: str) -> SmtpMailer:
        """The server that smtp[s]://user:password@host:port names; user and password may be percent-encoded."""
        parts = urlsplit(url)
        return cls(
            parts.hostname or "",
            parts.port or _PORTS[parts.scheme],
            parts.scheme == "smtps",
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    def __call__(self, mail: Mail) -> None:
        """The server has taken the mail. Raises Later or Never."""
        sender, to = ascii_domain(mail.sender), ascii_domain(mail.to)
        message = as_message(mail, sender, to)
        try:
            with self._connected(mail.domain) as server:
                server.send_message(message, sender, [to])
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(*next(iter(error.recipients.values()))) from None
        except smtplib.SMTPAuthenticationError as error:  # somebody can mend the settings
            raise Later(
                f"The mail server refused our log-in ({error.smtp_code}). See BATCHLAB_SMTP_URL."
            ) from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise _refused(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError:
            raise Never("The mail server takes no address with letters beyond ASCII.") from None
        except smtplib.SMTPResponseException as error:  # to our greeting: not about this mail
            raise Later(f"The mail server answered {error.smtp_code}.") from None
        except (OSError, smtplib.SMTPException) as error:
            raise Later(
                f"The mail server {self.host} did not take it: {str(error) or type(error).__name__}."
            ) from None

    def _connected(self, domain: str) -> smtplib.SMTP:
        """A conversation that may begin; raises OSError, SMTPException and Later."""
        local = self.host == "localhost" or bool((found := parse_address(self.host)) and is_loopback(found))
        options = {"local_hostname": domain if domain.isascii() else None, "timeout": self.seconds}
        if self.tls:
            return self._logged_in(smtplib.SMTP_SSL(self.host, self.port, context=_tls(local), **options))  # type: ignore[arg-type]
        server = smtplib.SMTP(self.host, self.port, **options)  # type: ignore[arg-type]
        try:
            server.ehlo_or_helo_if_needed()
            if server.has_extn("starttls"):
                server.starttls(context=_tls(local))
            elif not local:
                raise Later(
                    f"The mail server {self.host} offers no STARTTLS, so anybody could read along. "
                    "Use smtps:// in BATCHLAB_SMTP_URL."
                )
        except BaseException:
            server.close()
            raise
        return self._logged_in(server)

    def _logged_in(self, server: smtplib.SMTP) -> smtplib.SMTP:
        try:
            if self.user:
                server.login(self.user, self.password)
        except smtplib.SMTPNotSupportedError:
            server.close()
            raise Later(
                "The mail server takes no log-in. Leave user and password out of BATCHLAB_SMTP_URL."
            ) from None
        except BaseException:
            server.close()
            raise
        return server


def as_message(mail: Mail, sender: str, to: str) -> EmailMessage:
    """The mail as it goes over the wire: text first, then HTML, so that readers show the richest they can."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(addr_spec=sender) if sender.isascii() else sender
    local, _, domain = to.rpartition("@")
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = mail.subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{mail.message_id}@{sender.rpartition('@')[2]}>"
    for name, value in HEADERS.items():
        message[name] = value
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message


def _refused(code: int, said: bytes | str) -> Later | Never:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    reason = f"The mail server answered {code} {' '.join(text.split())[:200]}"
    return Never(reason) if 500 <= code < 600 else Later(reason)


def _tls(local: bool) -> ssl.SSLContext:
    context = trusted_tls()
    if local:  # a server on this machine has a certificate of its own making, and nobody is in between
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
