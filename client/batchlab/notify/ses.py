"""E-mail by Amazon SES, version 2 of its API."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from batchlab import aws
from batchlab.notify.failures import Later, Never
from batchlab.notify.mail import HEADERS, Mail, ascii_domain

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

# Source: Amazon SES API v2 Reference, SendEmail: what no repetition of the same request mends.
_REFUSED = frozenset({"MessageRejected", "MailFromDomainNotVerifiedException", "BadRequestException"})


class SesMailer:
    """Sends by the SES of one region. SES sets Message-ID and Date itself and lets nobody else."""

    def __init__(self, region: str = "") -> None:
        self.region = region

    def __call__(self, mail: Mail) -> None:
        """SES has taken the mail. Raises Later or Never."""
        from botocore.exceptions import BotoCoreError, ClientError

        sender, to = ascii_domain(mail.sender), ascii_domain(mail.to)
        try:
            self._client.send_email(
                FromEmailAddress=sender,
                Destination={"ToAddresses": [to]},
                Content={
                    "Simple": {
                        "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": mail.text, "Charset": "UTF-8"},
                            "Html": {"Data": mail.html, "Charset": "UTF-8"},
                        },
                        "Headers": [{"Name": name, "Value": value} for name, value in HEADERS.items()],
                    }
                },
            )
        except ClientError as error:
            code, _ = aws.code_and_status(error)
            said = str(error.response.get("Error", {}).get("Message", ""))
            raise (Never if code in _REFUSED else Later)(f"Amazon SES answered {code}: {said}") from None
        except BotoCoreError as error:
            raise Later(aws.explained(error, "Amazon SES").message) from None

    @cached_property
    def _client(self) -> SESV2Client:
        client: SESV2Client = aws.service_client("sesv2", self.region, attempts=1)  # we try again ourselves
        return client
