"""The job document as JSON Schema 2020-12, so that an editor can check a YAML file while it is written.

`python -m batchlab.schema` prints it; docs/schema/job-document.json is that print.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from batchlab.document import JobDocument
from batchlab.jobs import built_in_types, params_model

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a document with the params of each built-in job type; strangers' params are left open."""
    models = {name: model for name in built_in_types() if (model := params_model(name))}
    described: list[type[BaseModel]] = [JobDocument, *models.values()]
    references, definitions = models_json_schema(
        [(model, "validation") for model in described],
        title="Job document of batchlab",
        schema_generator=_WithoutFieldTitles,
    )
    schema = definitions["$defs"].pop("JobDocument")
    schema["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {
                "properties": {"params": references[(model, "validation")]},
                "required": [
                    *(["params"] if _needs_params(model) else []),
                    *(["output"] if getattr(model, "delivers", False) else []),
                ],
            },
        }
        for name, model in models.items()
    ]
    schema["properties"]["type"]["examples"] = list(models)
    return {"$schema": DIALECT, **definitions, **schema, "title": definitions["title"]}


class _WithoutFieldTitles(GenerateJsonSchema):
    """A title "Taken At" says no more than the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _needs_params(model: Any) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
