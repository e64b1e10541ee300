"""A mail server on loopback that keeps what it is sent, or refuses it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.servers import free_ports


@dataclass
class Mailbox:
    """What came, and what the server is to say to a recipient and to a message."""

    port: int
    recipient_answer: str = "250 OK"
    data_answer: str = "250 OK"
    came: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logged_in: list[bytes] = field(default_factory=list)

    def parts(self) -> tuple[str, str]:
        """Its text and its HTML, with the line ends of this machine."""
        text, html = self.message().iter_parts()
        assert isinstance(text, EmailMessage) and isinstance(html, EmailMessage)
        assert text.get_content_type() == "text/plain" and html.get_content_type() == "text/html"
        return text.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")

    def message(self) -> EmailMessage:
        """The only one that came, as a mail program reads it."""
        [envelope] = self.came
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        return message

    async def handle_RCPT(  # noqa: N802  the name of the hook
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(  # noqa: N802  the name of the hook
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.encrypted.append(session.ssl is not None)
        if self.data_answer.startswith("250"):
            self.came.append(envelope)
        return self.data_answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.logged_in.append(data.password)
        known = data.login == b"shop" and data.password == b"pass word"
        return AuthResult(success=known, handled=False)


@contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, whole: bool = False, **options: Any
) -> Iterator[Mailbox]:
    """A mail server on a free port. With `tls` it offers STARTTLS; when `whole`, it speaks TLS from the first byte."""
    box = Mailbox(*free_ports(1))
    more = {"ssl_context": tls} if whole else {"tls_context": tls}
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        authenticator=box.authenticate,
        auth_require_tls=tls is not None,
        enable_SMTPUTF8=True,
        **(more if tls is not None else {}),
        **options,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
