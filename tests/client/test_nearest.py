"""The nearest known spelling."""

import pytest

from batchlab.nearest import did_you_mean, nearest

FIELDS = ("workers", "ahead_bytes", "attempts", "idempotency_key")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("wokers", "workers"),
        ("worker", "workers"),
        ("aheadBytes", "ahead_bytes"),
        ("Idempotency-Key", "idempotency_key"),
        ("retries", None),
        ("", None),
        ("x" * 1_000_000, None),
    ],
)
def test_a_misspelt_word_finds_its_nearest(word: str, meant: str | None) -> None:
    assert nearest(word, FIELDS) == meant


def test_a_guess_is_a_sentence_or_nothing() -> None:
    assert did_you_mean("wokers", FIELDS) == " Did you mean workers?"
    assert did_you_mean("banana", FIELDS) == ""
