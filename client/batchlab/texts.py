"""Short texts in documents: one line, a name of a configured entry, a digest, a file name."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr

REFERENCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*]')  # Windows refuses them, and / makes a path
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z", re.IGNORECASE)


def is_line(text: str) -> bool:
    """Whether `text` has neither control characters nor line breaks, U+2028 among them."""
    return not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


def _line(text: str) -> str:
    if not is_line(text):
        raise ValueError("control characters and line breaks are not allowed.")
    return text


def file_name_problem(name: str) -> str | None:
    """Why `name` cannot be the name of a file everywhere, or None."""
    if not is_line(name):
        return "a file name has no control characters."
    refused = _NOT_IN_NAMES.search(name)
    if refused:
        return f"expected a file name, not a path: {refused[0]} is not allowed in it."
    if name.startswith((".", " ")) or name.endswith((".", " ")):
        return "a file name begins and ends with neither a dot nor a space."
    if _RESERVED.match(name):
        return "Windows keeps this file name for a device. Choose another."
    if len(name.encode()) > 200:
        return f"is {len(name.encode())} bytes long, at most 200."
    return None


Line = Annotated[StrictStr, AfterValidator(_line)]  # one line of text
Reference = Annotated[StrictStr, Field(pattern=REFERENCE_PATTERN)]  # names an entry of the configuration
Sha256 = Annotated[StrictStr, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
