"""Whatever comes in: a document or a DocumentError, and nothing else.

BATCHLAB_TEST_DOCUMENTS says how many inputs are tried in all; 400 at each run, 2,000 in CI, 100,000 by hand.
"""

import copy
import json
import os
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from batchlab.document import JobDocument, digest, load_document
from batchlab.errors import DocumentError

DOCUMENTS = int(os.environ.get("BATCHLAB_TEST_DOCUMENTS", "400"))


def share(percent: int) -> settings:
    """So many of all inputs; nothing is kept on disk."""
    return settings(
        max_examples=max(1, DOCUMENTS * percent // 100),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )


CANARY = "CANARY"
_NAMES = """
version id type title params output limits resources shards expires notify tags idempotency_key
workers ahead_bytes attempts starts_per_second min_interval deadline max_failures queue vcpus memory_mib
items url name size takenAt taken_at manifest sha256 count prefix compress password_ref dates sink
network webhook email secret_ref events wokers __proto__ <<
"""
NAMES = st.sampled_from(_NAMES.split())
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        f"zip-export self-test https://x.example/a.jpg s3://bucket/x https://u:{CANARY}@h:x/a?token={CANARY} 12h 5% "
        "express never text album.zip ana@example.com 2026-06-06T14:30:00Z 2026-06-06T14:30:00+99:99 01jzzzzzzzzzzzzzz "
        "9999999999d 1e999 ../x.zip no ~ file:///a memory:// https://[ \ud800 \x00".split(" ")
    ),
    st.text(st.characters(categories=["Cs", "Cc", "Lo", "Nd"]), max_size=10),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    TEXTS,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=5),
    max_leaves=25,
)

PHOTOS = st.one_of(
    st.sampled_from(
        ["https://x.example/a.jpg", "s3://bucket/b c.jpg", "gs://bucket/d.jpg?sig=abc", "memory://e/f.jpg"]
    ),
    st.builds(lambda path: f"https://x.example/{path}.jpg", st.text(max_size=8)),
)
ITEMS = st.one_of(
    PHOTOS,
    st.fixed_dictionaries(
        {"url": PHOTOS},
        optional={
            "name": st.text(min_size=1, max_size=20),
            "id": st.one_of(st.integers(0, 9), st.text(min_size=1, max_size=5)),
            "size": st.integers(0, 2**40),
            "takenAt": st.datetimes(timezones=st.one_of(st.none(), st.timezones())).map(
                lambda at: at.isoformat()
            ),
        },
    ),
    st.fixed_dictionaries({"manifest": PHOTOS}, optional={"count": st.integers(1, 10**6)}),
    st.just({"prefix": "s3://bucket/photos/"}),
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "workers": st.integers(1, 64),
        "ahead_bytes": st.one_of(st.integers(1, 2**30), st.sampled_from(["256 MiB", "1.5 GB", "12kB"])),
        "attempts": st.integers(1, 20),
        "starts_per_second": st.one_of(st.integers(1, 50), st.floats(0.01, 50)),
        "min_interval": st.sampled_from(["2s", "1500ms", "1m"]),
        "deadline": st.sampled_from(["2h", "120m", "1d2h3m4s5ms"]),
        "max_failures": st.one_of(st.integers(0, 100), st.floats(0, 100).map(lambda share: f"{share:.2f}%")),
    },
)
DOCUMENT = st.fixed_dictionaries(
    {
        "type": st.just("zip-export"),
        "output": st.sampled_from(["s3://bucket/exports", "file:///srv/out/", "r2://bucket"]),
        "params": st.fixed_dictionaries(
            {"items": st.lists(ITEMS, min_size=1, max_size=6)},
            optional={
                "name": st.sampled_from(["album.zip", "küste 写真.zip"]),
                "compress": st.sampled_from(["never", "text"]),
                "passwordRef": st.just("gala"),
            },
        ),
    },
    optional={
        "version": st.just(1),
        "title": st.text(max_size=30),
        "limits": LIMITS,
        "resources": st.just({"queue": "express", "vcpus": 2}),
        "expires": st.sampled_from(["7d", "12h", "90m"]),
        "notify": st.just(
            [{"email": "ana@example.com"}, {"webhook": "https://me.example/h", "events": ["partial"]}]
        ),
        "tags": st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=5),
        "idempotency_key": st.text(min_size=1, max_size=20),
    },
)


def read(source: Any) -> JobDocument | None:
    """The document, or None after a well-formed refusal."""
    try:
        return load_document(source)
    except DocumentError as error:
        refusal = error
    assert refusal.problems
    assert all(problem.strip() and problem.isprintable() for problem in refusal.problems)
    assert CANARY not in refusal.message
    assert CANARY not in "".join(refusal.problems)
    return None


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in `value` with each of its keys or positions."""
    inside = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    found = [(value, key) for key, _ in inside]
    return found + [place for _, part in inside if isinstance(part, dict | list) for place in places(part)]


def mutated(data: st.DataObject, values: dict[str, Any]) -> dict[str, Any]:
    """`values` with one to three of its parts renamed, removed or replaced."""
    values = copy.deepcopy(values)
    for _ in range(data.draw(st.integers(1, 3))):
        where = places(values)
        if not where:
            break
        container, key = data.draw(st.sampled_from(where))
        match data.draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case "replace":
                container[key] = data.draw(VALUES)
            case "remove":
                del container[key]
            case "rename" if isinstance(container, dict):
                container[data.draw(st.one_of(NAMES, TEXTS))] = container.pop(key)
            case _ if isinstance(container, dict):
                container[data.draw(NAMES)] = data.draw(VALUES)
            case _:
                container.append(data.draw(VALUES))
    return values


@share(20)
@given(VALUES)
def test_any_value_is_a_document_or_an_error(value: Any) -> None:
    read(value if isinstance(value, dict) else {"type": value})


@share(30)
@given(st.data())
def test_a_mutated_document_is_a_document_or_an_error(data: st.DataObject) -> None:
    values = mutated(data, data.draw(DOCUMENT))
    document = read(values)
    if document is not None:
        assert digest(load_document(document.as_json())) == digest(document)


@share(10)
@given(st.data())
def test_a_mutated_document_as_json_text_is_a_document_or_an_error(data: st.DataObject) -> None:
    text = json.dumps(mutated(data, data.draw(DOCUMENT)))
    cut = data.draw(st.integers(0, len(text)))
    read(text)
    read(text[:cut] + data.draw(st.text(max_size=3)) + text[cut:])


@share(10)
@given(st.one_of(st.text(), st.text("{}[]:,-\"'#&*!|>%@`?~ \n\tab1.<"), TEXTS))
def test_any_text_is_a_document_or_an_error(text: str) -> None:
    read(text)
    read("type: self-test\nparams: " + text)


@share(10)
@given(
    st.one_of(st.binary(), st.binary().map(lambda tail: b'{"type": "self-test", "title": "' + tail + b'"}'))
)
def test_any_bytes_are_a_document_or_an_error(content: bytes) -> None:
    read(content)


@share(20)
@given(DOCUMENT)
def test_a_round_trip_is_the_identity_and_keeps_the_digest(values: dict[str, Any]) -> None:
    document = read(values)
    assume(document is not None)
    assert document is not None
    as_yaml = yaml.safe_dump(
        document.as_json()
    )  # with allow_unicode PyYAML itself reads U+0085 back as a space
    for text in (json.dumps(document.as_json()), document.model_dump_json(), as_yaml):
        again = load_document(text)
        assert again == document
        assert digest(again) == digest(document)
