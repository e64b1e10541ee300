"""E-mails by Amazon SES: read back from moto's, and what its refusals mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber

from batchlab.notify.failures import Later, Never
from batchlab.notify.mail import Mail, mailer_of
from batchlab.notify.ses import SesMailer
from batchlab.settings import Settings
from tests.client.notify.test_composing import story

MAIL = Mail(
    "photos@shop.example", "ana@münchen.example", "Fertig: Žaneta", "text\n", "<p>html</p>\n", "msg_1"
)


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS is moto's simulation of it, in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    try:
        yield
    finally:
        server.stop()


def test_without_a_mail_server_amazon_ses_takes_the_mails_of_the_region() -> None:
    mailer = mailer_of(Settings(aws_region="eu-central-1"))
    assert isinstance(mailer, SesMailer) and mailer.region == "eu-central-1"


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_whole_mail_comes_back_from_ses_as_it_was_composed(ses: None, language: str) -> None:
    from moto.ses.models import ses_backends

    mailer = SesMailer("eu-central-1")
    mailer._client.create_email_identity(EmailIdentity="photos@shop.example")
    made = story("ready-incomplete", language)
    mailer(made)
    message = ses_backends["123456789012"]["eu-central-1"].sent_messages[-1]
    assert message.source == made.sender
    assert message.destinations["ToAddresses"] == [made.to]
    assert message.subject == made.subject
    assert message.body == made.html


def test_a_sender_that_ses_does_not_know_is_refused_for_good(ses: None) -> None:
    with pytest.raises(Never, match="not verified"):
        SesMailer("eu-central-1")(dataclasses.replace(MAIL, sender="stranger@elsewhere.example"))


def test_ses_is_asked_for_both_parts_and_the_header_of_automatic_mails(
    stubbed: tuple[SesMailer, Stubber],
) -> None:
    mailer, stub = stubbed
    body = {
        "Text": {"Data": "text\n", "Charset": "UTF-8"},
        "Html": {"Data": "<p>html</p>\n", "Charset": "UTF-8"},
    }
    stub.add_response(
        "send_email",
        {"MessageId": "1"},
        {
            "FromEmailAddress": "photos@shop.example",
            "Destination": {"ToAddresses": ["ana@xn--mnchen-3ya.example"]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": "Fertig: Žaneta", "Charset": "UTF-8"},
                    "Body": body,
                    "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
                }
            },
        },
    )
    mailer(MAIL)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("MessageRejected", 400, Never),
        ("MailFromDomainNotVerifiedException", 400, Never),
        ("BadRequestException", 400, Never),
        ("TooManyRequestsException", 429, Later),
        ("LimitExceededException", 400, Later),
        ("SendingPausedException", 400, Later),
        ("AccountSuspendedException", 400, Later),
        ("InternalFailure", 500, Later),
        ("AccessDeniedException", 403, Later),
    ],
)
def test_a_refusal_of_this_mail_is_the_last_word_and_any_other_is_not(
    stubbed: tuple[SesMailer, Stubber], code: str, status: int, outcome: type[Exception]
) -> None:
    mailer, stub = stubbed
    stub.add_client_error(
        "send_email", code, "because", status, expected_params=dict.fromkeys(PARAMETERS, ANY)
    )
    with pytest.raises(outcome, match=f"{code}: because"):
        mailer(MAIL)
    stub.assert_no_pending_responses()  # one request: we try again ourselves


def test_ses_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://email.eu-central-1.amazonaws.com")

    mailer = SesMailer("eu-central-1")
    monkeypatch.setattr(mailer._client, "send_email", away)
    with pytest.raises(Later, match="Amazon SES"):
        mailer(MAIL)


PARAMETERS = ("FromEmailAddress", "Destination", "Content")


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SesMailer, Stubber]]:
    """A mailer whose answers the test gives."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    mailer = SesMailer("eu-central-1")
    with Stubber(mailer._client) as stub:
        yield mailer, stub
