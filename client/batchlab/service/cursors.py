"""Cursors: where a page ended, as a text that callers only hand back."""

from __future__ import annotations

import base64
import binascii

from batchlab.errors import DocumentError

NO_CURSOR = "cursor: is none of ours. Give back `next` of the page before, unchanged."


def cursor_of(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> str:
    """What `cursor_of` was given; "" for None. Raises DocumentError for a text that is no cursor."""
    try:
        text = cursor or ""
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise DocumentError(
            "cursor: is none of ours. Give back `next` of the page before, unchanged."
        ) from None
