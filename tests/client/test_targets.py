"""Whom a job tells of its end."""

import pytest
from pydantic import TypeAdapter, ValidationError

from batchlab.targets import EmailTarget, NotifyTarget, WebhookTarget

TARGET: TypeAdapter[WebhookTarget | EmailTarget] = TypeAdapter(NotifyTarget)


def test_a_target_is_a_webhook_or_an_address() -> None:
    assert TARGET.validate_python(
        {"webhook": "https://me.example/hook", "secret_ref": "hook-1"}
    ) == WebhookTarget(webhook="https://me.example/hook", secret_ref="hook-1")
    assert TARGET.validate_python({"email": "ana@example.com", "events": ["partial"]}) == EmailTarget(
        email="ana@example.com", events=("partial",)
    )


@pytest.mark.parametrize(
    "address",
    [
        "ana",
        "ana@",
        "@example.com",
        "ana@localhost",
        "a@b@c.example",
        "Ana <ana@example.com>",
        "ana@example.com\n",
        "ana@example.com\r\nBcc: eve@example.com",
        "ana@example..com",
        "ana @example.com",
        "a,b@example.com",
        "ana@example.com,eve@example.com",
        "",
        7,
        None,
    ],
)
def test_what_is_not_one_plain_address_is_refused(address: object) -> None:
    with pytest.raises(ValidationError):
        TARGET.validate_python({"email": address})


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"webhook": "me.example"},
        {"webhook": "s3://bucket/x"},
        {"webhook": "https://me.example", "secret": "s3cr3t"},
        {"webhook": "https://me.example", "secret_ref": "my secret"},
        {"webhook": "https://me.example", "email": "ana@example.com"},
        {"email": "ana@example.com", "events": []},
        {"email": "ana@example.com", "events": ["done"]},
        "ana@example.com",
    ],
)
def test_other_shapes_are_refused(target: object) -> None:
    with pytest.raises(ValidationError):
        TARGET.validate_python(target)
