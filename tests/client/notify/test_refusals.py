"""A document whose targets cannot be told is refused at once, with the settings that would let them be."""

from __future__ import annotations

from typing import Any

import pytest

from batchlab.document import JobDocument
from batchlab.named import NamedEntries
from batchlab.notify import refusals
from batchlab.settings import Settings
from tests.client.notify.ended_jobs import SECRET

ALL = Settings(
    webhook_hosts=("shop.example",),
    webhook_secret=SECRET,
    mail_from="photos@shop.example",
    public_base_url="https://shop.example",
    named=NamedEntries({"webhook_secrets": {"good": SECRET, "short": "whsec_abcd"}}),
)


def of(*notify: dict[str, Any], settings: Settings = ALL) -> list[str]:
    return refusals(JobDocument(type="self-test", notify=notify), settings)  # type: ignore[arg-type]


def test_nobody_to_tell_needs_no_setting() -> None:
    assert of(settings=Settings()) == []


def test_targets_that_can_be_told_pass() -> None:
    assert of({"webhook": "https://shop.example/x", "secret_ref": "good"}, {"email": "ana@example.com"}) == []


@pytest.mark.parametrize(
    ("target", "settings", "cures"),
    [
        ({"webhook": "https://other.example/x"}, ALL, ["Add other.example to BATCHLAB_WEBHOOK_HOSTS"]),
        ({"webhook": "http://shop.example/x"}, ALL, ["use https://"]),
        (
            {"webhook": "https://shop.example/x"},
            Settings(),
            ["Add shop.example to BATCHLAB_WEBHOOK_HOSTS", "Set BATCHLAB_WEBHOOK_SECRET"],
        ),
        (
            {"webhook": "https://shop.example/x", "secret_ref": "goode"},
            ALL,
            ["Did you mean good? Set BATCHLAB_WEBHOOK_SECRET_GOODE, or add it"],
        ),
        ({"webhook": "https://shop.example/x", "secret_ref": "short"}, ALL, ["openssl rand -base64 32"]),
        (
            {"email": "ana@example.com"},
            Settings(),
            ["Set BATCHLAB_MAIL_FROM", "Set BATCHLAB_PUBLIC_BASE_URL"],
        ),
    ],
)
def test_each_line_names_what_to_set(target: dict[str, str], settings: Settings, cures: list[str]) -> None:
    lines = of({"webhook": "https://shop.example/x"}, target, settings=settings)
    mine = [line for line in lines if line.startswith("notify[1]: ")]
    assert len(mine) == len(cures)
    for line, cure in zip(mine, cures, strict=True):
        assert cure in line
