"""docs/openapi.json: as the code says."""

from __future__ import annotations

import json
from pathlib import Path

from batchlab.service.openapi import openapi_document

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_the_committed_document_is_what_the_code_says() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == openapi_document(), (
        "write it again: python -m batchlab.service.openapi > docs/openapi.json"
    )


def test_every_route_says_what_every_status_means() -> None:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    for path, operations in document["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            assert {"401", "403", "429", "500", "503"} <= set(answers), path
            for status, answer in answers.items():
                assert answer["description"], (path, status)
                kinds = set(answer.get("content", {}))
                expected = {"application/json"} if status < "300" else {"application/problem+json"}
                assert kinds == (set() if status == "304" else expected), (path, status)
