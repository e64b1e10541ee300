"""Plain values: what JSON can hold and every reader of it understands alike.

Documents come from people, Workers and strangers. Before any model looks at a value, `plain` has bounded
it: text without NUL and lone surrogates, whole numbers that JavaScript keeps exact, finite numbers, at
most 32 levels deep.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from batchlab.durations import format_duration
from batchlab.redact import scrub

DEEPEST = 32  # levels; a document needs 4
MOST_VALUES = 1_000_000  # longer lists belong in a manifest
MOST_PROBLEMS = 1_000  # lines a reader may still look through
LARGEST_INTEGER = 2**53 - 1  # beyond it JavaScript rounds, so a Worker would change the document
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Refused:
    """Stands where a reader met something that no document may hold."""

    reason: str


class Repeated(dict[str, Any]):
    """An object in which some fields were written more than once."""

    names: tuple[str, ...] = ()


def path_of(place: Place) -> str:
    """ "params.items[3].url"; a field whose name is no plain word stands in brackets and quotes."""
    path = ""
    for step in place:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _NAME.match(step):
            path += f".{step}" if path else step
        else:
            path += f"[{quoted(step)}]"
    return path


def quoted(text: str) -> str:
    """`text` in quotes on one line, at most 60 characters of it, without secrets in URLs."""
    text = scrub(text[:2_000])
    return json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=not text.isprintable())


def problem_line(place: Place, message: str, root: str = "document") -> str:
    """One problem as it is shown."""
    return f"{path_of(place) or root}: {message}"


def plain(value: Any, problems: list[str], root: str = "document") -> Any:
    """A copy of `value` made of dict, list, str, int, float, bool and None; what is wrong joins `problems`.

    Models, dates and durations become their JSON form, tuples become lists.
    """
    return _Walk(problems, root).copy(value, ())


@dataclass
class _Walk:
    problems: list[str]
    root: str
    values: int = field(default=0)

    def copy(self, value: Any, place: Place) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            if self.values == MOST_VALUES + 1:
                self.say(
                    place,
                    f"holds, with what stands before it, more than {MOST_VALUES:,} values. Use a manifest.",
                )
            return None
        if len(place) > DEEPEST:
            return self.say(place[:3], f"is nested too deeply: at most {DEEPEST} levels.")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value, place)
        if isinstance(value, int):
            return self.integer(int(value), place)
        if isinstance(value, float):
            return (
                float(value)
                if math.isfinite(value)
                else self.say(place, "NaN and Infinity are no numbers here.")
            )
        if isinstance(value, Mapping):
            return self.fields(value, place)
        if isinstance(value, list | tuple):
            return [self.copy(part, (*place, position)) for position, part in enumerate(value)]
        return self.other(value, place)

    def text(self, value: str, place: Place) -> str:
        unsafe = _UNSAFE.search(value)
        if unsafe:
            what = "a NUL character" if unsafe[0] == "\0" else "half of a character (a lone surrogate)"
            self.say(place, f"the text holds {what}. Take it out.")
        return str.__str__(value)

    def integer(self, value: int, place: Place) -> int:
        if abs(value) > LARGEST_INTEGER:
            self.say(place, "the number is beyond 2^53, where JSON readers round. Write it in quotes.")
        return value

    def fields(self, value: Mapping[Any, Any], place: Place) -> dict[str, Any]:
        if isinstance(value, Repeated):
            for name in value.names:
                self.say((*place, name), "is written more than once. Keep one.")
        copied = {}
        for name, part in value.items():
            if not isinstance(name, str):
                self.say(place, "the names of fields must be texts.")
            elif _UNSAFE.search(name):
                self.say(place, "the name of a field holds a NUL character or half of a character.")
            else:
                copied[str.__str__(name)] = self.copy(part, (*place, name))
        return copied

    def other(self, value: Any, place: Place) -> Any:
        if isinstance(value, Refused):
            return self.say(place, value.reason)
        if isinstance(value, BaseModel):
            return self.copy(value.model_dump(mode="json", by_alias=True, exclude_unset=True), place)
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, timedelta):
            try:
                return format_duration(value)
            except ValueError as error:
                return self.say(place, str(error))
        return self.say(place, f"a value of type {type(value).__name__} cannot stand in a document.")

    def say(self, place: Place, message: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem_line(place, message, self.root))
