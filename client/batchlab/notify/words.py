"""The words of e-mails, one file a language. Numbers, sizes, times and reasons are the customer's page's."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from batchlab.page.texts import Texts, texts


class Words:
    """All that e-mails say in one language. A key that does not exist is a KeyError: the tests ask for every one."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.texts: Texts = texts(language)
        sections = tomllib.loads(Path(__file__).with_name(f"{language}.toml").read_text("utf-8"))
        self.by_key: dict[str, str] = {
            f"{section}.{key}": text for section, lines in sections.items() for key, text in lines.items()
        }

    def say(self, key: str, **values: str) -> str:
        """The text `key`, filled in."""
        return self.by_key[key].format(**values)

    def things(self, job_type: str) -> str:
        """What a job of this type delivers."""
        return self.by_key.get(f"things.{job_type}", self.by_key["things.default"])


@cache
def words(language: str) -> Words:
    """The words of one of batchlab.settings.LANGUAGES."""
    return Words(language)
