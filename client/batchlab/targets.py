"""Whom a job tells of its end: parts of a job document."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from batchlab.texts import Line, Reference
from batchlab.urls import WebUrl

Event = Literal["succeeded", "partial", "failed", "cancelled", "expired"]
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@[^\s@<>()\[\]\\,;:\".]+(\.[^\s@<>()\[\]\\,;:\".]+)+\Z")


def _address(address: str) -> str:
    if not _ADDRESS.match(address):
        raise ValueError("expected one e-mail address such as ana@example.com, without a name around it.")
    return address


class _Target(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    events: Annotated[
        Annotated[tuple[Event, ...], Field(min_length=1, max_length=5)] | None,
        Field(description="The ends that are told; when absent, every end."),
    ] = None


class WebhookTarget(_Target):
    """A signed POST to the developer's own service."""

    webhook: Annotated[WebUrl, Field(description="The address that receives the POST.")]
    secret_ref: Annotated[
        Reference | None, Field(description="The name of the signing secret in the configuration.")
    ] = None


class EmailTarget(_Target):
    """An e-mail to a person."""

    email: Annotated[
        Annotated[Line, Field(max_length=254), AfterValidator(_address)],
        Field(description="One address, such as ana@example.com."),
    ]


def _kind_of(value: Any) -> str:
    if isinstance(value, EmailTarget) or (isinstance(value, dict) and "email" in value):
        return "EmailTarget"
    return "WebhookTarget"


NotifyTarget = Annotated[
    Annotated[WebhookTarget, Tag("WebhookTarget")] | Annotated[EmailTarget, Tag("EmailTarget")],
    Discriminator(_kind_of),
]
