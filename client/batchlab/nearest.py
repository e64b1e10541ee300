"""What the writer probably meant: the nearest known word to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 64  # comparing takes quadratic time, and no known word is longer


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is alike; case, "_" and "-" count for nothing."""
    spelled = {_plain(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_plain(word[:_LONGEST]), spelled, n=1, cutoff=0.6)
    return spelled[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean workers?', or '' when nothing is near."""
    found = nearest(word, known)
    return f" Did you mean {found}?" if found else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
