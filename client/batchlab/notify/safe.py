"""What strangers wrote, such as titles and file names, as part of one line of ours."""

from __future__ import annotations

import unicodedata

_JOINERS = frozenset("\u200c\u200d")  # names in Persian and emoji need them


def safe_line(text: str, longest: int) -> str:
    """`text` on one line without invisible characters: none turns the reading direction round or ends a header."""
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif character in _JOINERS or category not in ("Cf", "Cs", "Co", "Cn"):
            kept.append(character)
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
