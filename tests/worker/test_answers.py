"""client/cloudflare/src: its types have the fields of the service's models, no more and no fewer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from batchlab import api, webhooks
from batchlab.document import JobDocument
from batchlab.jobs.zip_export import ItemSpec, Manifest
from batchlab.status import Counts, State

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "client" / "cloudflare" / "src"


def fields(source: str, interface: str) -> set[str]:
    """The names that a TypeScript interface or object type declares, without those of types inside it."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", (SOURCES / source).read_text("utf-8"), flags=re.DOTALL)
    found = re.search(
        rf"\b(?:interface {interface}|type {interface}\b[^{{]*) ?\{{(.*?)^\s*\}}",
        text,
        re.DOTALL | re.MULTILINE,
    )
    assert found is not None, f"{source} declares no {interface}"
    flat = re.sub(r"\{[^{}]*\}", "", found[1])
    return set(re.findall(r"^\s*(\w+)\??:", flat, re.MULTILINE))


@pytest.mark.parametrize(
    ("source", "interface", "model"),
    [
        ("answers.ts", "Counts", Counts),
        ("answers.ts", "Delivered", api.Delivered),
        ("answers.ts", "JobInfo", api.JobInfo),
        ("answers.ts", "ItemInfo", api.ItemInfo),
        ("answers.ts", "ItemPage", api.ItemPage),
        ("answers.ts", "Estimate", api.Estimate),
        ("answers.ts", "Problem", api.Problem),
        ("document.ts", "JobDocument", JobDocument),
        ("webhook.ts", "WebhookEvent", webhooks.Event),
        ("webhook.ts", "EventData", webhooks.EventData),
        ("photos.ts", "Manifest", Manifest),
        ("photos.ts", "Photo", ItemSpec),
    ],
)
def test_a_type_has_the_fields_of_its_model(source: str, interface: str, model: type[BaseModel]) -> None:
    named = {"takenAt" if name == "taken_at" else name for name in model.model_fields}
    assert fields(source, interface) == named


def test_every_state_is_known() -> None:
    text = (SOURCES / "answers.ts").read_text("utf-8")
    declared = text.partition("export type State =")[2].partition(";")[0]
    assert set(re.findall(r"'(\w+)'", declared)) == set(State)


def test_every_address_that_is_asked_is_one_of_the_endpoint() -> None:
    described = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))["paths"]
    known = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in described.items()
        for method in methods
    }
    text = (SOURCES / "client.ts").read_text("utf-8")
    asked = set(re.findall(r"'(GET|POST)', [`'](/v1[^`'?]*?)(?:\$\{asked.*)?[`']", text))
    paths = {(method, re.sub(r"\$\{encodeURIComponent\(id\)\}", "{}", path)) for method, path in asked}
    assert len(paths) == 6
    assert paths <= known
