"""The endpoint as OpenAPI 3.1: `python -m batchlab.service.openapi` prints what docs/openapi.json holds."""

from __future__ import annotations

import json
import sys
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from batchlab.api import Problem
from batchlab.schema import json_schema
from batchlab.service.routes import router

_SCHEMAS = "#/components/schemas/"
_DESCRIPTION = """\
Submit jobs, follow them, and hand over what they delivered. docs/endpoint.md explains it with examples.

Every error is application/problem+json. Times are RFC 3339 in UTC. Unknown fields of answers are to be ignored.
"""


def openapi_document() -> dict[str, Any]:
    """The document, with the job document's schema among its own."""
    app = FastAPI(
        title="batchlab", version="1", summary="Batches of items, run to the end", description=_DESCRIPTION
    )
    app.include_router(router)
    made = app.openapi()
    schemas = made["components"]["schemas"]
    _without_the_frameworks_own(made)
    document = json_schema()
    document.pop("$schema")
    definitions = document.pop("$defs")
    _, problem = models_json_schema([(Problem, "serialization")], ref_template=_SCHEMAS + "{model}")
    schemas |= problem["$defs"] | _moved({**definitions, "JobDocument": document})
    made["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "BATCHLAB_TOKEN, where the service has one.",
        }
    }
    made["security"] = [{"token": []}, {}]
    return made


def _without_the_frameworks_own(made: dict[str, Any]) -> None:
    """FastAPI adds its own kind of 422 to every route with a parameter; no route of ours answers so."""
    for operations in made["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(name, None)


def _moved(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: part.replace("#/$defs/", _SCHEMAS) if name == "$ref" else _moved(part)
            for name, part in value.items()
        }
    return [_moved(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.stdout.write(json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n")
