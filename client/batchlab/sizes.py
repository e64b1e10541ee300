"""Sizes as people write them: 268435456, "256 MiB", "1.5 GB". Always whole bytes afterwards."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12} | {
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": TIB,
}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]{1,3})?")
_EXPECTED = 'expected a size in bytes, or a text such as "256 MiB"'


def parse_size(text: str) -> int:
    """Whole bytes, rounded down. MB is 1,000,000 bytes and MiB 1,048,576; without a unit, bytes."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get((found[2] or "B").lower()) if found else None
    if found is None or unit is None:
        raise ValueError(_EXPECTED)
    return int(Decimal(found[1]) * unit)


def _read(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_size(value)
    raise ValueError(_EXPECTED)


ByteSize = Annotated[
    int,
    BeforeValidator(_read),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?([kKmMgGtT]i?)?[bB]?$"},
            ],
            "examples": [268_435_456, "256 MiB"],
        }
    ),
]
