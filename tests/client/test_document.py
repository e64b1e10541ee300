"""The job document: one contract in Python, JSON and YAML, and all that is wrong at once."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from batchlab.document import JobDocument, Limits, canonical, digest, load_document
from batchlab.errors import DocumentError
from batchlab.ids import is_id
from batchlab.jobs.zip_export import ZipExportParams

YAML = """
type: zip-export
title: Anna & Ben
output: s3://bucket/exports/
params:
  items:
    - https://x.example/a.jpg?sig=abc
    - {url: https://x.example/b.jpg, takenAt: 2026-06-06T14:30:00+02:00, id: 17}
    - manifest: s3://bucket/list.csv.gz
limits: {workers: 8, ahead_bytes: 64 MiB, starts_per_second: 2, deadline: 90m, max_failures: 5%}
expires: 7d
notify:
  - {webhook: https://me.example/hook, secret_ref: hook}
  - {email: ana@example.com, events: [partial, failed]}
tags: {gallery: g-1}
"""
JSON = {
    "version": 1,
    "type": "zip-export",
    "title": "Anna & Ben",
    "output": "s3://bucket/exports",
    "params": {
        "name": "album.zip",
        "items": [
            {"url": "https://x.example/a.jpg?sig=abc"},
            {"id": "17", "url": "https://x.example/b.jpg", "taken_at": "2026-06-06T14:30:00+02:00"},
            {"manifest": "s3://bucket/list.csv.gz"},
        ],
    },
    "limits": {
        "workers": 8,
        "ahead_bytes": 67108864,
        "attempts": 3,
        "starts_per_second": 2.0,
        "deadline": "1h30m",
        "max_failures": "5%",
    },
    "expires": "168h",
    "notify": [
        {"webhook": "https://me.example/hook", "secret_ref": "hook"},
        {"email": "ana@example.com", "events": ["partial", "failed"]},
    ],
    "tags": {"gallery": "g-1"},
}
WRONG = """
type: zip-export
titel: x
output: https://x.example/out
id: ABC
params:
  compress: txt
  items:
    - https://x.example/a b.jpg?sig=CANARY
    - {url: htps://ana:CANARY@x.example/b.jpg, id: "17", ulr: 3}
    - {url: https://x.example/c.jpg, id: 17, size: -1}
    - {name: a.jpg}
    - 7
limits: {wokers: 8, workers: 100, attempts: "3"}
resources: {queue: expres}
expires: 7 days
notify:
  - {email: Ana <ana@example.com>}
tags: {gallery: 5}
"""


def problems(source: Any, **options: Any) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_document(source, **options)
    return caught.value.problems


def test_yaml_json_and_python_spell_the_same_document() -> None:
    from_yaml = load_document(YAML)
    from_json = load_document(json.dumps(JSON))
    from_mapping = load_document(JSON)
    in_python = JobDocument(
        type="zip-export",
        title="Anna & Ben",
        output="s3://bucket/exports",
        params=ZipExportParams.model_validate(JSON["params"]),  # type: ignore[arg-type]  # a model is read as its JSON
        limits=Limits(
            workers=8,
            ahead_bytes=64 * 1024**2,
            starts_per_second=2,
            deadline=timedelta(minutes=90),
            max_failures="5%",
        ),
        expires=timedelta(days=7),
        notify=from_yaml.notify,
        tags={"gallery": "g-1"},
    )
    assert len({digest(each) for each in (from_yaml, from_json, from_mapping, in_python)}) == 1
    assert from_yaml.typed_params == in_python.typed_params


def test_a_document_without_an_id_gets_one_and_keeps_a_given_one() -> None:
    assert is_id(load_document("type: self-test").id)
    assert load_document("type: self-test").id != load_document("type: self-test").id
    assert load_document("type: self-test\nid: 01jzzzzzzzzzzzzzzzzzzzzzzz").id == "01jzzzzzzzzzzzzzzzzzzzzzzz"


def test_all_problems_are_told_at_once_one_line_each() -> None:
    assert problems(WRONG) == [
        "id: has not the right form. Expected: A ULID in lower case; when absent, one is made.",
        "params.items[0].url: https://x.example/a b.jpg holds a space. Write it as %20.",
        (
            "params.items[1].url: the scheme htps:// is not one of "
            "http://, https://, s3://, r2://, gs://, file://, memory://. Did you mean https?"
        ),
        "params.items[1].ulr: unknown field. Did you mean url?",
        "params.items[2].size: -1 is too small: at least 0.",
        "params.items[3].url: missing. Expected: Where the photo is read from.",
        "params.items[4]: expected an object with fields, got a number.",
        'params.items[2].id: "17" is already the key of items[1]. Give each its own id.',
        "params.compress: \"txt\" is not allowed. Expected 'never' or 'text'. Did you mean text?",
        "output: the scheme https:// is not one of s3://, r2://, gs://, file://, memory://.",
        "limits.workers: 100 is too large: at most 64.",
        "limits.attempts: expected a whole number, got a text. Write it without quotes.",
        "limits.wokers: unknown field. Did you mean workers?",
        "resources.queue: \"expres\" is not allowed. Expected 'standard' or 'express'. Did you mean express?",
        'expires: expected a duration such as "90s", "12h", "7d" or "1h30m".',
        "notify[0].email: expected one e-mail address such as ana@example.com, without a name around it.",
        "tags.gallery: expected a text, got a number. Write it in quotes.",
        "titel: unknown field. Did you mean title?",
    ]


def test_no_problem_repeats_a_secret() -> None:
    assert "CANARY" not in "\n".join(problems(WRONG))
    assert "CANARY" not in "\n".join(
        problems(
            {
                "type": "zip-export",
                "output": "s3://bucket/x?X-Amz-Signature=CANARY",
                "https://ana:CANARY@x.example/?token=CANARY": 1,
                "params": {
                    "items": ["https://x.example/a.jpg"],
                    "password_ref": "CANARY CANARY",
                    "password": "CANARY",
                },
                "notify": [{"webhook": "https://ana:CANARY@/?CANARY", "secret_ref": "/CANARY"}],
            }
        )
    )


def test_what_a_strangers_validator_says_is_shown_without_secrets() -> None:
    class Params(BaseModel):
        source: str

        @field_validator("source")
        @classmethod
        def _never(cls, source: str) -> str:
            raise ValueError(f"cannot\nuse {source}")

    document = {"type": "copy", "params": {"source": "https://ana:CANARY@x.example/a.jpg?token=CANARY"}}
    assert problems(document, types={"copy": Params}) == [
        "params.source: cannot use https://x.example/a.jpg."
    ]


def test_an_unknown_type_names_the_nearest_installed_one() -> None:
    [problem] = problems("type: zip-exprot")
    assert problem == (
        'type: no job type "zip-exprot". Did you mean zip-export? '
        "Installed: cleanup, contact-sheets, self-test, zip-export."
    )


def test_the_caller_may_say_which_types_are_installed() -> None:
    class Shout(BaseModel):
        model_config = ConfigDict(extra="forbid")
        words: list[str]

    types = {"shout": Shout, "whisper": None}
    assert load_document({"type": "shout", "params": {"words": ["a"]}}, types=types).params == {
        "words": ["a"]
    }
    assert load_document({"type": "whisper", "params": {"any": 1}}, types=types).params == {"any": 1}
    assert problems({"type": "shout", "params": {"word": []}}, types=types) == [
        "params.words: missing. Expected: a value.",
        "params.word: unknown field. Did you mean words?",
    ]
    assert problems({"type": "zip-export"}, types=types)[0].startswith(
        'type: no job type "zip-export". Installed: shout'
    )


def test_a_document_of_a_type_that_is_not_here_can_be_held_but_not_understood() -> None:
    document = JobDocument(type="shout", params={"words": ["a"]})
    assert len(digest(document)) == 64
    with pytest.raises(DocumentError, match='no job type "shout"'):
        _ = document.typed_params


def test_a_document_made_in_python_is_checked_as_well() -> None:
    with pytest.raises(ValidationError):
        JobDocument(type="zip-export", params={"items": []}, output="s3://bucket/x")
    with pytest.raises(ValidationError):
        JobDocument(type="shout", params={"words": {1, 2}})
    with pytest.raises(ValidationError):
        load_document("type: self-test").title = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title": "a\nb"}, "title: control characters"),
        ({"title": "x" * 201}, "title: is too long: 201, at most 200 are allowed."),
        ({"version": 2}, "version: expected 1, got a number."),
        ({"shards": 2}, "shards: this self-test job runs on one machine. Leave shards out."),
        ({"tags": {"a": "x" * 41}}, "tags.a: the value of a tag is one line of at most 40 bytes."),
        ({"tags": {"ü" * 21: "x"}}, f'tags["{"ü" * 21}"]: the name of a tag'),
        ({"tags": {"": "x"}}, 'tags[""]: the name of a tag is empty.'),
        ({"tags": {str(n): "x" for n in range(6)}}, "tags: is too long: 6, at most 5 are allowed."),
        ({"tags": {str(n) + "ü" * 19: "ü" * 20 for n in range(5)}}, "tags: percent-encoded they take"),
        (
            {"notify": [{"email": f"a{n}@example.com"} for n in range(6)]},
            "notify: names 6 e-mail addresses, at most 5",
        ),
        ({"notify": {"email": "a@example.com"}}, "notify: expected a list, got an object."),
        ({"idempotency_key": ""}, "idempotency_key: is empty."),
        ({"idempotencyKey": "x"}, "idempotencyKey: unknown field. Did you mean idempotency_key?"),
        ({"params": None}, "params: expected an object with fields, got nothing (null)."),
        ({"params": {"network": "yes"}}, "params.network: expected true or false, got a text."),
        ({"limits": []}, "limits: expected an object with fields, got a list."),
        ({"type": "Self Test"}, "type: has not the right form. Expected: The job type, such as zip-export."),
        ({"type": None}, "type: expected a text, got nothing (null)."),
        ({"a\x00": 1}, "document: the name of a field holds a NUL character"),
        ({"params": {"url": "a\x00"}}, "params.url: the text holds a NUL character. Take it out."),
        ({"title": "\ud800"}, "title: the text holds half of a character"),
        ({"params": {"n": 2**53}}, "params.n: the number is beyond 2^53"),
        ({"params": {"n": float("inf")}}, "params.n: NaN and Infinity"),
        ({"params": {"n": {1}}}, "params.n: a value of type set cannot stand in a document."),
        ({"params": {1: 2}}, "params: the names of fields must be texts."),
        (
            {"expires": timedelta(microseconds=1)},
            "expires: a duration is zero or more, in whole milliseconds",
        ),
    ],
)
def test_each_field_says_what_it_expects(fields: dict[str, Any], said: str) -> None:
    lines = problems({"type": "self-test", **fields})
    assert [line for line in lines if line.startswith(said)], lines


@pytest.mark.parametrize("source", [[], 7, None, "[1]", "x", "null", '"x"', b"[]"])
def test_what_is_no_object_is_no_document(source: Any) -> None:
    assert problems(source, name="job.yaml") == [
        "job.yaml: expected a job document, an object with the fields type, params and output."
    ]


def test_a_zip_export_names_where_it_delivers() -> None:
    lines = problems({"type": "zip-export", "params": {"items": ["https://x.example/a.jpg"]}})
    assert lines == [
        "output: missing. zip-export delivers files: name their prefix, as in s3://bucket/exports."
    ]


def test_a_field_written_twice_is_an_error_in_json_and_yaml() -> None:
    said = ["limits.workers: is written more than once. Keep one."]
    assert problems("type: self-test\nlimits:\n  workers: 1\n  workers: 2\n") == said
    assert problems('{"type": "self-test", "limits": {"workers": 1, "workers": 2}}') == said


def test_deep_wide_and_cyclic_values_are_bounded() -> None:
    cycle: dict[str, Any] = {"type": "self-test"}
    cycle["params"] = {"a": [cycle, cycle]}
    assert len(problems(cycle)) <= 1_000
    assert "nested too deeply" in problems(cycle)[0]
    assert (
        "more than 1,000,000 values" in problems({"type": "self-test", "params": {"n": [0] * 1_000_001}})[0]
    )


def test_thousands_of_problems_are_cut_and_counted() -> None:
    lines = problems({"type": "zip-export", "output": "s3://b/x", "params": {"items": ["nowhere"] * 5_000}})
    assert len(lines) == 1_001
    assert lines[-1] == "... and 4,000 more problems."


def test_the_way_through_json_and_yaml_changes_nothing() -> None:
    document = load_document(YAML)
    for text in (
        json.dumps(document.as_json()),
        yaml.safe_dump(document.as_json()),
        document.model_dump_json(),
    ):
        again = load_document(text)
        assert again == document
        assert canonical(again) == canonical(document)


def test_the_digest_is_of_what_is_asked_for_and_of_nothing_else() -> None:
    document = load_document(YAML)
    same = load_document({**JSON, "idempotency_key": "k", "resources": {"queue": "standard"}, "shards": 1})
    assert digest(same) == digest(document)
    for change in ({"title": "other"}, {"expires": "8d"}, {"tags": {}}, {"output": "s3://bucket/other"}):
        assert digest(load_document({**JSON, **change})) != digest(document)


def test_the_digest_of_version_1_stays_what_it_is() -> None:
    document = load_document(JSON)
    assert canonical(document).startswith(
        b'{"expires":"7d","limits":{"ahead_bytes":67108864,"deadline":"1h30m",'
    )
    assert digest(document) == "39f3d1b891902fc34b347f5c122cd89d4b354c4e2d7a8247174534b6d3928af2"


def test_reading_a_document_imports_neither_boto3_nor_yaml_nor_httpx() -> None:
    code = (
        'import sys, batchlab.document as d; d.load_document(\'{"type": "self-test"}\');'
        "print([name for name in ('boto3', 'botocore', 'yaml', 'httpx') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_package_shows_its_names_when_they_are_asked_for() -> None:
    import batchlab

    assert batchlab.JobDocument is JobDocument
    assert {getattr(batchlab, name).__name__ for name in batchlab.__all__} == set(batchlab.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Jobs'"):
        _ = batchlab.Jobs  # type: ignore[attr-defined]


def test_the_documents_in_the_docs_are_valid() -> None:
    page = Path(__file__).parents[2] / "docs" / "documents.md"
    blocks = page.read_text(encoding="utf-8").split("```yaml\n")[1:]
    assert len(blocks) >= 2
    for block in blocks:
        load_document(block.split("```")[0])
