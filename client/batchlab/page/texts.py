"""The words of the page, one file a language, and how that language writes numbers, sizes and times."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from batchlab.kinds import Kind

_UNREACHABLE = (Kind.NETWORK, Kind.TIMEOUT, Kind.API_ERROR, Kind.DATABASE, Kind.RATE_LIMIT)
# Kinds that are one thing to a customer; every other kind has a text of its own name.
_REASONS = {
    **dict.fromkeys((*_UNREACHABLE, Kind.EXPIRED_CREDENTIALS), "unreachable"),
    **dict.fromkeys((Kind.BUG, Kind.CRASH), "unprocessable"),
}


class Texts:
    """All words in one language. A key that does not exist is a KeyError: the tests ask for every one."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = _flat(tomllib.loads(Path(__file__).with_name(f"{language}.toml").read_text("utf-8")))

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._words)

    def say(self, key: str, **values: str) -> str:
        """The text `key`, filled in."""
        return str(self._words[key]).format(**values)

    def for_type(self, key: str, job_type: str) -> str:
        """The text of a job type, or the one for all others."""
        return str(self._words.get(f"{key}.{job_type}", self._words[f"{key}.default"]))

    def counted(self, count: int, job_type: str) -> str:
        """ "1 photo", "4,980 photos"; the type "file" is any file."""
        known = job_type if f"noun.{job_type}.one" in self._words else "default"
        return self.say(f"noun.{known}.{'one' if count == 1 else 'many'}", count=self.number(count))

    def number(self, value: float, digits: int = 0) -> str:
        text = f"{value:,.{digits}f}"
        signs = {",": str(self._words["format.thousands"]), ".": str(self._words["format.decimal"])}
        return "".join(signs.get(letter, letter) for letter in text)

    def size(self, size_bytes: int) -> str:
        """In decimal units, as browsers count: "512 B", "1.2 GB"."""
        value = float(size_bytes)
        for unit in ("B", "kB", "MB", "GB"):
            if value < 999.5:
                return f"{self.number(value, digits=0 if unit == 'B' or value >= 99.5 else 1)} {unit}"
            value /= 1000
        return f"{self.number(value, digits=1)} TB"

    def moment(self, at: datetime) -> str:
        """In UTC, which is named; the page's script turns it into the reader's own time."""
        at = at.astimezone(UTC)
        month = self._words["format.months"][at.month - 1]
        return self.say("format.moment", day=str(at.day), month=month, year=str(at.year), time=f"{at:%H:%M}")

    def left(self, seconds: float) -> str:
        """About how long it still takes: never finer than anybody can know."""
        minutes = round(seconds / 60)
        if seconds < 45:
            return self.say("progress.moments_left")
        if minutes <= 1:
            return self.say("progress.minute_left")
        if minutes < 60:
            return self.say("progress.minutes_left", count=self.number(minutes))
        hours = round(minutes / 60)
        return (
            self.say("progress.hour_left")
            if hours == 1
            else self.say("progress.hours_left", count=self.number(hours))
        )

    def reason(self, kind: Kind) -> str:
        """Why something is missing, to somebody who never heard of a status code."""
        return self.say(f"reason.{_REASONS.get(kind, kind)}")


@cache
def texts(language: str) -> Texts:
    """The words of one of batchlab.settings.LANGUAGES."""
    return Texts(language)


def _flat(words: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in words.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
