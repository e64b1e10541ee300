"""URLs as they may be shown: without user, query and fragment, because those carry tokens."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>\\^`{|}]+")
# Signed query parts that libraries print without their URL ("/photo.jpg?X-Amz-Signature=...").
_QUERY = re.compile(
    r"\?[^\s'\"<>]*(?:signature|token|credential|key|secret|password|sig|expires)=[^\s'\"<>]*", re.IGNORECASE
)
_BEARER = re.compile(r"\b(Bearer|Basic|AWS4-HMAC-SHA256)\s+\S[^'\"\n]*", re.IGNORECASE)


def shown(url: str) -> str:
    """`url` without user, password, query and fragment; a text that is no URL comes back scrubbed of `?...`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("?", 1)[0].split("#", 1)[0].rpartition("@")[2]
    netloc = parts.netloc.rpartition("@")[2]
    if not netloc and "://" in url[: len(parts.scheme) + 3]:
        return f"{parts.scheme}://{parts.path}"  # urlunsplit would drop the slashes of an empty host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def scrub(text: str) -> str:
    """`text` in which every URL is `shown`, and loose signed queries and authorization headers are cut."""
    text = _URL.sub(lambda found: shown(found[0]), text)
    text = _QUERY.sub("?...", text)
    return _BEARER.sub(r"\1 ...", text)
