"""The command types: which jobs can be run, and how their documents are written."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from batchlab.cli.options import JsonOption


def types(
    type_name: Annotated[str, typer.Argument(metavar="TYPE", hidden=True)] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="JSON Schema: of a whole document, or of TYPE's params.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List job types, or print their JSON Schema.

    An editor checks documents by the schema while they are written. With TYPE, only that type.

    \b
    Examples:
      batchlab types
      batchlab types --schema > job-document.json
      batchlab types --schema zip-export
    """
    from batchlab.cli.tables import table

    if schema:
        typer.echo(json.dumps(_schema(type_name), indent=2, ensure_ascii=False))
        return
    found = _installed()
    if type_name:
        _params_of(type_name)
        found = [each for each in found if each["name"] == type_name]
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    rows = [(each["name"], "yes" if each["runs_here"] else "no", each["summary"]) for each in found]
    typer.echo(table(("TYPE", "RUNS HERE", "WHAT IT DOES"), rows))


def _schema(type_name: str) -> Any:
    if not type_name:
        from batchlab.schema import json_schema

        return json_schema()
    return _params_of(type_name).model_json_schema()


def _params_of(type_name: str) -> Any:
    from batchlab.errors import UsageError
    from batchlab.jobs import known_types, params_model
    from batchlab.nearest import did_you_mean

    model = params_model(type_name)
    if model is None:
        known = known_types()
        guess = did_you_mean(type_name, known)
        raise UsageError(f"There is no job type {type_name!r}.{guess} Installed: {', '.join(known)}.")
    return model


def _installed() -> list[dict[str, Any]]:
    """All types whose params are known here, and those that the processor can run; sorted by name."""
    from batchlab.errors import BatchlabError
    from batchlab.jobs import known_types, params_model
    from batchlab.local import processor_says

    try:
        runnable = {each["name"]: each.get("summary", "") for each in processor_says(["types", "--json"])}
    except BatchlabError:  # no processor here: documents can still be written and submitted
        runnable = {}
    names = sorted({*known_types(), *runnable})
    return [
        {
            "name": name,
            "runs_here": name in runnable,
            "summary": runnable.get(name) or _first_line(getattr(params_model(name), "__doc__", None)),
        }
        for name in names
    ]


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]
