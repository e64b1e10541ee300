"""From text to values: JSON, and YAML that means the same to everybody."""

import json
from typing import Any

import pytest

from batchlab.errors import DocumentError
from batchlab.plain import Refused
from batchlab.reading import LARGEST_BYTES, LARGEST_YAML_BYTES, read_text

TEXTS_OF_YAML_1_2 = """
no yes on off y 12:30 190:20:30 2026-06-06 2026-06-06T10:00:00Z 007 0x1F 0o17 1_000 1e5 12e45 << = 5% 1.2.3 - + . x:y
"""


def refusal(source: str | bytes, name: str = "job.yaml") -> str:
    with pytest.raises(DocumentError) as caught:
        read_text(source, name)
    return caught.value.message


def test_json_and_yaml_give_the_same_values() -> None:
    values = {"a": [1, -2.5, True, False, None, "x"], "b": {"c": "", "d": []}}
    assert read_text(json.dumps(values), "document") == values
    assert read_text(json.dumps(values), "job.yaml") == values
    assert read_text("a: [1, -2.5, true, false, ~, x]\nb:\n  c: ''\n  d: []\n", "document") == values


@pytest.mark.parametrize("word", TEXTS_OF_YAML_1_2.split())
def test_what_yaml_1_1_would_turn_into_something_else_stays_text(word: str) -> None:
    assert read_text(f"value: {word}\n" if word != "-" else "value: '-'", "job.yaml") == {"value": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("17", 17),
        ("-3", -3),
        ("+4", 4),
        ("0", 0),
        ("2.5", 2.5),
        ("-.5", -0.5),
        ("1.5e+3", 1500.0),
        ("TRUE", True),
        ("Null", None),
        ("", None),
        ('"17"', "17"),
        ("'true'", "true"),
    ],
)
def test_plain_numbers_booleans_and_nothing_are_read(word: str, value: Any) -> None:
    read = read_text(f"value: {word}", "job.yaml")["value"]
    assert (type(read), read) == (type(value), value)


def test_the_names_of_fields_are_always_texts() -> None:
    assert read_text("no: 1\n2026: 2\n~: 3\n", "job.yaml") == {"no": 1, "2026": 2, "~": 3}


@pytest.mark.parametrize("word", [".nan", ".inf", "-.INF", "9" * 5_000])
def test_numbers_that_no_document_may_hold_are_marked(word: str) -> None:
    assert isinstance(read_text(f"value: {word}", "job.yaml")["value"], Refused)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "job.yaml: is empty"),
        (" \n\t\n", "job.yaml: is empty"),
        ("# nothing\n", "job.yaml: is empty"),
        ("---\n...\n", ""),
        ("a: 1\n---\nb: 2\n", "job.yaml:2:1: holds more than one document"),
        ("a: &x 1\nb: *x\n", "job.yaml:1:4: anchors (&) and aliases (*) are not read"),
        ("b: *x\n", "job.yaml:1:4: anchors"),
        ("a: !!python/object/apply:os.system [ls]\n", "job.yaml:1:4: tags (!) are not read"),
        ("a: !!int '7'\n", "job.yaml:1:4: tags (!) are not read"),
        ("a: ! 17\n", "job.yaml:1:4: tags (!) are not read"),
        ("? [a, b]\n: 1\n", "job.yaml:1:3: the name of a field must be a text"),
        ("a: [1, 2\n", "is not valid YAML"),
        ("a:\n\t- b\n", "job.yaml:2:1: is not valid YAML"),
        ("a: \x07\n", "is not valid YAML"),
        ("a: b: c\n", "job.yaml:1:5: is not valid YAML"),
        ("[" * 100_000, "job.yaml:1:33: is nested too deeply"),
        ("- " * 100_000, "is nested too deeply"),
        ("{a: " * 50_000, "is nested too deeply"),
        (b"\xff\xfea\x00", "is UTF-16. Save it as UTF-8"),
        (b"title: \xe4", "is not UTF-8 at byte 7"),
        ("title: \ud800", "half of a character (a lone surrogate) at character 7"),
    ],
)
def test_a_text_that_is_no_document_is_refused_where_it_goes_wrong(source: str | bytes, said: str) -> None:
    if said:
        assert said in refusal(source)
    else:
        assert read_text(source, "job.yaml") is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('{"a": 1,\n "b": }', "job.json:2:7: is not valid JSON"),
        ("{a: 1}", "job.json:1:2: is not valid JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a":' * 100_000, "is nested too deeply"),
        ("[" + "1," * 1_000_001 + "1]", "job.json: holds more than 1,000,000 values"),
        ("type: zip-export", "job.json:1:1: is not valid JSON"),
    ],
)
def test_broken_json_is_refused_where_it_goes_wrong(source: str, said: str) -> None:
    assert said in refusal(source, "job.json")


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert "anchors" in refusal(bomb)


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert read_text(b'\xef\xbb\xbf{"a": 1}', "document") == {"a": 1}
    assert read_text("\ufeffa: 1", "document") == {"a": 1}


def test_what_is_too_long_is_refused_with_the_way_out() -> None:
    assert "manifest" in refusal(b" " * (LARGEST_BYTES + 1))
    assert "Write it as JSON" in refusal("#" * (LARGEST_YAML_BYTES + 1))
