"""The committed JSON Schema: as the code says, and of one mind with `load_document`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchlab.document import load_document
from batchlab.errors import DocumentError
from batchlab.schema import json_schema

COMMITTED = Path(__file__).parents[2] / "docs" / "schema" / "job-document.json"
PHOTO = "https://x.example/a.jpg"
EXPORT = {"type": "zip-export", "output": "s3://bucket/exports", "params": {"items": [PHOTO]}}


def test_the_committed_schema_is_what_the_code_says() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == json_schema(), (
        "write it again: python -m batchlab.schema > docs/schema/job-document.json"
    )


def test_it_is_a_schema_of_2020_12() -> None:
    Draft202012Validator.check_schema(json_schema())


def _fields(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" or "$defs" in schema:
            yield from schema.get("properties", {}).items()
        for part in schema.values():
            yield from _fields(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _fields(part)


def test_every_field_has_a_description() -> None:
    fields = list(_fields(json_schema()))
    assert len(fields) > 30
    assert [name for name, field in fields if not field.get("description")] == []


@pytest.mark.parametrize(
    "document",
    [
        EXPORT,
        {"type": "self-test"},
        {"type": "self-test", "params": {"network": False}},
        {
            "type": "self-test",
            "limits": {"ahead_bytes": "64 MiB", "starts_per_second": 2, "deadline": "1h30m"},
        },
        {**EXPORT, "params": {"items": [{"url": PHOTO, "id": 17, "takenAt": "2026-06-06T14:30:00Z"}]}},
        {**EXPORT, "params": {"items": [{"manifest": PHOTO, "count": 5}, {"prefix": "s3://bucket/photos/"}]}},
        {**EXPORT, "notify": [{"email": "ana@example.com"}, {"webhook": "https://me.example/"}]},
        {**EXPORT, "limits": {"max_failures": "5%"}, "expires": "7d"},
    ],
)
def test_the_schema_takes_what_is_read(document: dict[str, Any]) -> None:
    load_document(document)
    Draft202012Validator(json_schema()).validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"type": "zip-export"},
        {**EXPORT, "titel": "x"},
        {**EXPORT, "params": {"items": []}},
        {**EXPORT, "params": {"items": [PHOTO], "compress": "always"}},
        {**EXPORT, "params": {"items": [{"ulr": PHOTO}]}},
        {**EXPORT, "params": {"items": ["a.jpg"]}},
        {**EXPORT, "params": {"items": [{"url": PHOTO, "manifest": PHOTO}]}},
        {**EXPORT, "output": "https://x.example/"},
        {**EXPORT, "limits": {"workers": 65}},
        {**EXPORT, "limits": {"starts_per_second": 0}},
        {**EXPORT, "expires": "7 days"},
        {**EXPORT, "id": "x"},
        {**EXPORT, "notify": [{"email": "ana@example.com", "webhook": "https://me.example/"}]},
    ],
)
def test_the_schema_refuses_what_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DocumentError):
        load_document(document)
    assert not Draft202012Validator(json_schema()).is_valid(document)
