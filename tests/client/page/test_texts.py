"""The words of the page: the same in every language."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchlab import page
from batchlab.jobs import known_types
from batchlab.kinds import Kind
from batchlab.page.texts import texts
from batchlab.settings import LANGUAGES

FOLDER = Path(page.__file__).parent
SOURCES = "".join(path.read_text() for path in FOLDER.glob("*.py"))
# Keys that are put together from a stage, a kind, a job type or a count.
MADE_UP = re.compile(r"(noun|title|state|lead|reason)\.")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_fills_in_the_same(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert other.keys == english.keys
    for key in english.keys - {"format.months"}:
        assert fields(str(other._words[key])) == fields(str(english._words[key])), key
    assert len(other._words["format.months"]) == 12


def test_a_language_that_has_a_file_can_be_chosen() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(LANGUAGES)


def test_no_text_is_kept_that_nobody_says() -> None:
    unused = [key for key in texts("en").keys if not MADE_UP.match(key) and f'"{key}"' not in SOURCES]
    assert unused == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_failure_has_a_plain_reason(language: str) -> None:
    for kind in Kind:
        said = texts(language).reason(kind)
        assert said and "_" not in said and "{" not in said


@pytest.mark.parametrize("job_type", [*known_types(), "somebody-elses"])
def test_every_job_type_has_a_title_and_a_noun(job_type: str) -> None:
    words = texts("en")
    assert words.for_type("title", job_type)
    assert words.counted(1, job_type).startswith("1 ")
    assert words.counted(4980, job_type).startswith("4,980 ")


def test_numbers_sizes_and_times_are_written_as_the_language_does() -> None:
    english, german = texts("en"), texts("de")
    at = datetime(2026, 12, 3, 9, 5, tzinfo=UTC)
    assert english.counted(4980, "zip-export") == "4,980 photos"
    assert german.counted(4980, "zip-export") == "4.980 Fotos"
    assert english.counted(1, "zip-export") == "1 photo"
    assert english.size(1_204_311_987) == "1.2 GB"
    assert german.size(1_204_311_987) == "1,2 GB"
    assert [english.size(size) for size in (0, 999, 1000, 999_600, 123_456_789, 2_500_000_000_000)] == [
        "0 B", "999 B", "1.0 kB", "1.0 MB", "123 MB", "2.5 TB",
    ]  # fmt: skip
    assert english.moment(at) == "3 December 2026, 09:05 UTC"
    assert german.moment(at) == "3. Dezember 2026, 09:05 UTC"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a minute left"),
        (44, "less than a minute left"),
        (60, "about a minute left"),
        (240, "about 4 minutes left"),
        (3540, "about 59 minutes left"),
        (3600, "about an hour left"),
        (7 * 3600, "about 7 hours left"),
    ],
)
def test_what_is_left_is_told_no_finer_than_anybody_can_know(seconds: float, said: str) -> None:
    assert texts("en").left(seconds) == said
