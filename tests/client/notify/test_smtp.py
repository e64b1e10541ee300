"""E-mails by a mail server, read back from it: what arrives, over what line, and what a refusal means."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
import trustme

from batchlab.notify.failures import Later, Never
from batchlab.notify.mail import Mail, mailer_of
from batchlab.notify.smtp import SmtpMailer
from batchlab.settings import Settings
from tests.client.notify.mailboxes import Mailbox, mail_server
from tests.client.notify.test_composing import an_end, story
from tests.client.notify.test_composing import mail as composed

TEXT = "Hallo Žaneta,\n\nhttps://shop.example/s/" + "x" * 120 + "\n"


def a_mail(to: str = "ana@example.com", subject: str = "Ihre Fotos sind fertig: Žaneta & Łukasz") -> Mail:
    return Mail("photos@shop.example", to, subject, TEXT, "<p>Žaneta</p>\n", "msg_01jx_g1_succeeded_1")


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    """One of its own making, that nobody trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def by(box: Mailbox, scheme: str = "smtp", user: str = "") -> SmtpMailer:
    return SmtpMailer.of_url(f"{scheme}://{user}127.0.0.1:{box.port}")


def test_the_settings_choose_the_mail_server() -> None:
    mailer = mailer_of(Settings(smtp_url="smtp://shop:pass%20word@mail.example"))
    assert mailer == SmtpMailer("mail.example", 587, tls=False, user="shop", password="pass word")
    assert mailer_of(Settings(smtp_url="smtps://mail.example")) == SmtpMailer("mail.example", 465, tls=True)
    assert "pass word" not in repr(mailer)


def test_what_arrives_has_two_parts_and_the_headers_of_an_automatic_mail(box: Mailbox) -> None:
    by(box)(a_mail())
    message = box.message()
    assert box.came[0].mail_from == "photos@shop.example" and box.came[0].rcpt_tos == ["ana@example.com"]
    assert message["From"] == "photos@shop.example" and message["To"] == "ana@example.com"
    assert message["Subject"] == "Ihre Fotos sind fertig: Žaneta & Łukasz"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<msg_01jx_g1_succeeded_1@shop.example>"
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None
    assert message.get_content_type() == "multipart/alternative"
    assert box.parts() == (TEXT, "<p>Žaneta</p>\n")
    content = box.came[0].content
    assert isinstance(content, bytes) and content.isascii()
    assert max(len(line) for line in content.splitlines()) < 200


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_whole_mail_comes_back_as_it_was_composed(box: Mailbox, language: str) -> None:
    sent = story("ready-incomplete", language)
    by(box)(sent)
    assert box.message()["Subject"] == sent.subject
    assert box.parts() == (sent.text, sent.html)


def test_two_tries_have_one_message_id(box: Mailbox) -> None:
    for _ in range(2):
        by(box)(a_mail())
    ids = {line for envelope in box.came for line in envelope.content.splitlines() if b"Message-ID" in line}  # type: ignore[union-attr]
    assert len(box.came) == 2 and len(ids) == 1


@pytest.mark.parametrize(
    "title",
    ["x\u202ey", "a" * 200, "Re: [list] \u00e4\u00f6 =?utf-8?q?Bcc=3A?= x", "\U0001f469\u200d\U0001f4bb Ž"],
)
def test_no_title_adds_a_header(box: Mailbox, title: str) -> None:
    by(box)(composed(an_end(title=title)))
    ours = {"Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"}
    servers = {"X-MailFrom", "X-Peer", "X-RcptTo"}
    assert set(box.message().keys()) - servers == ours


@pytest.mark.parametrize("to", ["o'neil+x@example.com", "a/b{c}=?@example.com"])
def test_an_unusual_address_is_used_as_it_is(box: Mailbox, to: str) -> None:
    by(box)(a_mail(to))
    assert box.came[0].rcpt_tos == [to]


def test_a_domain_beyond_ascii_is_written_as_mail_servers_do(box: Mailbox) -> None:
    by(box)(a_mail("ana@münchen.example"))
    assert box.came[0].rcpt_tos == ["ana@xn--mnchen-3ya.example"]
    with pytest.raises(Never, match="domain"):
        by(box)(a_mail("ana@-ü-.example"))


def test_a_name_beyond_ascii_goes_where_the_server_takes_it(box: Mailbox) -> None:
    by(box)(a_mail("žaneta@example.com"))
    assert box.came[0].rcpt_tos == ["žaneta@example.com"]


# -- the line ------------------------------------------------------------------------------------------------


def test_starttls_is_used_where_it_is_offered(certificate: ssl.SSLContext) -> None:
    with mail_server(tls=certificate) as box:
        by(box)(a_mail())
        assert box.encrypted == [True]


def test_smtps_is_tls_from_the_first_byte(certificate: ssl.SSLContext) -> None:
    with mail_server(tls=certificate, whole=True) as box:
        by(box, "smtps")(a_mail())
        assert len(box.came) == 1


def test_a_log_in_shows_user_and_password_decoded(certificate: ssl.SSLContext) -> None:
    with mail_server(tls=certificate) as box:
        by(box, user="shop:pass%20word@")(a_mail())
        assert len(box.came) == 1
        with pytest.raises(Later, match="BATCHLAB_SMTP_URL") as raised:
            by(box, user="shop:wrong@")(a_mail())
        assert "wrong" not in raised.value.message
        assert box.logged_in[-1] == b"wrong"


def test_elsewhere_nothing_is_said_without_tls(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is on loopback; only its name says that it is not."""
    addresses = socket.getaddrinfo("127.0.0.1", box.port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: addresses)
    with pytest.raises(Later, match="no STARTTLS"):
        SmtpMailer("mail.example", box.port, user="shop", password="pass word")(a_mail())
    assert box.came == [] and box.logged_in == []


def test_elsewhere_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tls=certificate) as box:
        addresses = socket.getaddrinfo("127.0.0.1", box.port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: addresses)
        with pytest.raises(Later, match="certificate"):
            SmtpMailer("mail.example", box.port)(a_mail())
        assert box.came == []


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("550 no such mailbox", Never),
        ("553 sender not allowed", Never),
        ("450 greylisted, come back", Later),
        ("452 too many recipients", Later),
    ],
)
def test_what_the_server_says_of_the_recipient_or_of_the_mail_decides(
    box: Mailbox, answer: str, outcome: type[Exception]
) -> None:
    box.recipient_answer = answer
    with pytest.raises(outcome, match=answer):
        by(box)(a_mail())
    box.recipient_answer, box.data_answer = "250 OK", answer
    with pytest.raises(outcome, match=answer):
        by(box)(a_mail())
    assert box.came == []


def test_a_server_that_is_away_is_tried_again() -> None:
    with mail_server() as box:
        pass
    with pytest.raises(Later, match="did not take it"):
        by(box)(a_mail())


def test_a_server_that_says_nothing_is_left() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Later, match="timed out"):
            SmtpMailer("127.0.0.1", silent.getsockname()[1], seconds=0.2)(a_mail())
