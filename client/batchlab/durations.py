"""Durations as people write them: "90s", "12h", "7d", "1h30m", "500ms".

`Duration` is a field of a pydantic model: a `timedelta` in Python, the shortest such text in JSON.
A bare number is refused, because nobody can see whether it means seconds or milliseconds.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}  # unit -> milliseconds
_PARTS = re.compile("".join(rf"(?:([0-9]{{1,15}}){unit}\s*)?" for unit in _UNITS))
_LONGEST = timedelta(days=3_650)  # ten years: longer is a slip of the keyboard
_EXPECTED = 'expected a duration such as "90s", "12h", "7d" or "1h30m"'


def parse_duration(text: str) -> timedelta:
    """The duration that `text` names, exact to the millisecond; raises ValueError saying what is expected."""
    parts = _PARTS.fullmatch(text.strip())
    if parts is None or not any(parts.groups()):
        raise ValueError(_EXPECTED)
    milliseconds = sum(
        int(count or 0) * unit for count, unit in zip(parts.groups(), _UNITS.values(), strict=True)
    )
    if milliseconds > _LONGEST // timedelta(milliseconds=1):
        raise ValueError(f"is too long: at most {_LONGEST.days}d")
    return timedelta(milliseconds=milliseconds)


def format_duration(duration: timedelta) -> str:
    """The canonical text: largest units first, zero parts left out; `parse_duration` reads it back.

    Raises ValueError for what no text can say: negative, or finer than a millisecond.
    """
    milliseconds, finer = divmod(duration, timedelta(milliseconds=1))
    if finer or milliseconds < 0:
        raise ValueError("a duration is zero or more, in whole milliseconds")
    text = ""
    for unit, size in _UNITS.items():
        count, milliseconds = divmod(milliseconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _read(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return parse_duration(format_duration(value))
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(_EXPECTED)


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "examples": ["90s", "12h", "7d", "1h30m", "500ms"],
        }
    ),
]
