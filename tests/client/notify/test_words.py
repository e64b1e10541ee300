from __future__ import annotations

import re

import pytest

from batchlab.jobs import known_types
from batchlab.kinds import Kind
from batchlab.notify.words import words
from batchlab.settings import LANGUAGES

HOLES = re.compile(r"{(\w+)}")


def test_every_language_has_the_same_keys() -> None:
    assert len({frozenset(words(language).by_key) for language in LANGUAGES}) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_none_is_left_in_english(language: str) -> None:
    known = words(language).by_key
    assert all(text.strip() for text in known.values())
    if language != "en":
        assert {key for key, text in known.items() if text == words("en").by_key[key]} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_failure_has_a_reason_without_a_technical_word(language: str) -> None:
    for kind in Kind:
        reason = words(language).texts.reason(kind)
        assert reason and not re.search(r"HTTP|URL|API|\b\d{3}\b|_", reason)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_job_type_delivers_something_that_has_a_name(language: str) -> None:
    assert all(words(language).things(job_type) for job_type in (*known_types(), "strangers-own"))
