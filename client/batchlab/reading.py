"""From text to values: JSON, or the part of YAML that means the same to everybody.

YAML is read as YAML 1.2 reads it, and narrower: only `true` and `false` are booleans, only plain decimals
are numbers, `null` and `~` are nothing, and all else is text, so `no`, `12:30`, `2026-06-06` and `007` stay
what was written. Anchors, aliases and tags are refused. The parser's events are read one by one under a
bound on depth, because both of PyYAML's loaders recurse without one (yaml/pyyaml#895).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from batchlab.errors import DocumentError
from batchlab.plain import DEEPEST, MOST_VALUES, Refused, Repeated

LARGEST_BYTES = 16 * 1024**2  # of JSON: about 30,000 photos with signed URLs; longer lists are manifests
LARGEST_YAML_BYTES = 4 * 1024**2  # YAML takes ten times the time
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?\Z")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)\Z")
_DIGITS = 20  # more are beyond any number we take, and thousands are slow to read


def read_text(source: str | bytes, name: str) -> Any:
    """The values that `source` spells; raises DocumentError naming line and column where it is no JSON or YAML.

    `name` stands in messages. A name ending in .json, .yaml or .yml decides the format; otherwise a text
    that begins with a bracket, brace or quote is JSON.
    """
    text = _decoded(source, name)
    if not text.strip():
        raise DocumentError(f"{name}: is empty. Expected a job document in JSON or YAML.")
    begins_like_json = text.lstrip()[0] in '{["'
    is_json = name.endswith(".json") or (begins_like_json and not name.endswith((".yaml", ".yml")))
    return _read_json(text, name) if is_json else _read_yaml(text, name)


def _decoded(source: str | bytes, name: str) -> str:
    try:
        content = source.encode() if isinstance(source, str) else source
        if content.startswith(_BYTE_ORDER_MARKS):
            raise DocumentError(f"{name}: is UTF-16. Save it as UTF-8.")
        if len(content) > LARGEST_BYTES:
            raise DocumentError(
                f"{name}: is {len(content):,} bytes long, at most {LARGEST_BYTES:,} are read. "
                "Put long lists into a manifest."
            )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{name}: is not UTF-8 at byte {error.start:,}. Save it as UTF-8.") from None
    except UnicodeEncodeError as error:
        message = (
            f"{name}: holds half of a character (a lone surrogate) at character {error.start:,}. Take it out."
        )
        raise DocumentError(message) from None


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _DIGITS else Refused("the number is too long. Write it in quotes.")


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    seen: set[str] = set()
    repeated = Repeated(fields)
    repeated.names = tuple(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return repeated


def _read_json(text: str, name: str) -> Any:
    if text.count(",") > MOST_VALUES:  # before they take memory; a text of so many commas is none of ours
        raise DocumentError(f"{name}: holds more than {MOST_VALUES:,} values. Use a manifest.")
    try:
        return json.loads(text, object_pairs_hook=_fields, parse_int=_integer)
    except json.JSONDecodeError as error:
        message = f"{name}:{error.lineno}:{error.colno}: is not valid JSON: {error.msg}."
        raise DocumentError(message) from None
    except RecursionError:
        raise DocumentError(f"{name}: is nested too deeply: at most {DEEPEST} levels.") from None


def _read_yaml(text: str, name: str) -> Any:
    import yaml  # takes 20 ms, and most documents are JSON

    if len(text) > LARGEST_YAML_BYTES:
        raise DocumentError(
            f"{name}: is {len(text):,} characters of YAML, at most {LARGEST_YAML_BYTES:,} are read. "
            "Write it as JSON, or put long lists into a manifest."
        )
    try:
        return _Events(name, yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))).tree()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = error.problem or error.context or "cannot be read"
        raise DocumentError(f"{where}: is not valid YAML: {problem}.") from None
    except yaml.reader.ReaderError as error:
        raise DocumentError(
            f"{name}: is not valid YAML at character {error.position:,}: {error.reason}."
        ) from None


@dataclass
class _Open:
    """A list or an object whose end has not come yet."""

    parts: list[Any]  # of a list; of an object the values
    names: list[str] | None  # of an object; None: a list

    def awaits_name(self) -> bool:
        return self.names is not None and len(self.names) == len(self.parts)

    def closed(self) -> Any:
        return self.parts if self.names is None else _fields(list(zip(self.names, self.parts, strict=True)))


class _Events:
    """Builds the values from the parser's events, which come one at a time."""

    def __init__(self, name: str, events: Iterator[Any]) -> None:
        self._name = name
        self._events = events
        self._open: list[_Open] = []
        self._whole: list[Any] = []  # the one document, when it has ended

    def tree(self) -> Any:
        import yaml

        for event in self._events:
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                self._refuse(event, "anchors (&) and aliases (*) are not read. Write the value out")
            if isinstance(event, yaml.DocumentStartEvent) and self._whole:
                self._refuse(event, "holds more than one document. Keep one")
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event, is_list=isinstance(event, yaml.SequenceStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._put(self._open.pop().closed())
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
        if not self._whole:
            raise DocumentError(f"{self._name}: is empty. Expected a job document in JSON or YAML.")
        return self._whole[0]

    def _begin(self, event: Any, *, is_list: bool) -> None:
        if event.tag is not None:
            self._refuse(event, "tags (!) are not read. Write the plain value")
        if self._open and self._open[-1].awaits_name():
            self._refuse(event, "the name of a field must be a text")
        if len(self._open) >= DEEPEST:
            self._refuse(event, f"is nested too deeply: at most {DEEPEST} levels")
        self._open.append(_Open([], None if is_list else []))

    def _scalar(self, event: Any) -> None:
        if event.tag is not None:
            self._refuse(event, "tags (!) are not read. Write the plain value")
        if self._open and self._open[-1].awaits_name():
            names = self._open[-1].names
            assert names is not None
            names.append(event.value)
        else:
            self._put(_meaning(event.value) if event.implicit[0] else event.value)

    def _put(self, value: Any) -> None:
        (self._open[-1].parts if self._open else self._whole).append(value)

    def _refuse(self, event: Any, message: str) -> None:
        mark = event.start_mark
        raise DocumentError(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {message}.")


def _meaning(word: str) -> Any:
    """What an unquoted word of YAML stands for."""
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.match(word):
        return _integer(word)
    if _NUMBER.match(word):
        return float(word)
    return Refused("NaN and Infinity are no numbers here.") if _NOT_A_NUMBER.match(word) else word
