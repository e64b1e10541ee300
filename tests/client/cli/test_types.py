from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from tests.client.cli.conftest import Command


def test_types_say_what_they_do_and_whether_they_run_here(batchlab: Command, processor: Path) -> None:
    lines = batchlab("types").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["cleanup", "no"],
        ["contact-sheets", "no"],
        ["self-test", "no"],
        ["zip-export", "yes"],
    ]


def test_types_are_listed_where_only_the_client_is(batchlab: Command, no_processor: None) -> None:
    found = json.loads(batchlab("types", "--json").out)
    assert {(each["name"], each["runs_here"]) for each in found} == {
        ("cleanup", False),
        ("contact-sheets", False),
        ("self-test", False),
        ("zip-export", False),
    }
    assert all(each["summary"] for each in found)


def test_the_schema_of_a_document_checks_documents(batchlab: Command) -> None:
    schema = json.loads(batchlab("types", "--schema").out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"type": "self-test"})
    assert not validator.is_valid({"type": "zip-export"})


def test_the_schema_of_one_type_is_that_of_its_params(batchlab: Command) -> None:
    schema = json.loads(batchlab("types", "--schema", "zip-export").out)
    assert "items" in schema["properties"]


def test_an_unknown_type_is_answered_with_the_nearest(batchlab: Command, no_processor: None) -> None:
    for arguments in (["types", "--schema", "zip-exprot"], ["types", "zip-exprot"]):
        ran = batchlab(*arguments)
        assert ran.code == 2
        assert "Did you mean zip-export?" in ran.err
