"""Texts as they may be shown: URLs without user, query and fragment, because those carry tokens, and no secrets.

`scrub` is the last wall in front of logs, reports and errors. It would rather cut too much than too little,
runs in linear time (a hostile server chooses the text), and changes nothing when it is applied twice.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# No pattern below looks further than a bounded way, or than the next character that starts it again: that is
# what keeps them linear.

# "scheme://user:pass/word@host": passwords may hold anything, and a URL cut at "/" would show the rest.
_USER = re.compile(
    r"//[^\s/?#@'\"\[\]]{0,128}:(?!\d{1,5}(?:[/?#]|$))[^\s'\"]{0,256}?@(?=[^\s@/'\"]{0,256}(?:[/\s'\"?#,;)]|$))"
)
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s'\"<>\\^`{|}]+")

_NAMES = (
    r"(?:signature|token|credentials?|secret|passwo?r?d|passphrase|authorization|cookie|session"
    r"|api[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|private[_-]?key|secret[_-]?key|security[_-]?token|sig)"
)
# Signed query parts that libraries print without their URL ("/photo.jpg?X-Amz-Signature=...").
_QUERY = re.compile(
    r"\?(?!\.\.\.)[^\s'\"<>?]*(?:" + _NAMES + r"|key|expires|auth|code)=[^\s'\"<>]*", re.IGNORECASE
)
# The same inside another URL: "https%3A%2F%2Fhost%2Fphoto.jpg%3Falt%3Dmedia%26token%3D..."
_ENCODED_QUERY = re.compile(r"%3F(?:(?!%3F)[^\s'\"<>?/&=]){0,512}?%3D[^\s'\"<>?/&=]*", re.IGNORECASE)
# "password=x", "aws_secret_access_key = x", "'x-api-key': 'x'", "&token=x". After a colon only what looks like
# a secret (quoted, with a digit, or long): "params.password: unknown field" is a sentence.
_NAMED = re.compile(
    r"(" + _NAMES + r"['\"]?)"
    r"(\s{0,3}=\s{0,3}|\s{0,3}(?:[:,]|=>)\s{0,3}(?=b?['\"]|[^\s,;]{0,64}?\d|[^\s,;]{16}))"
    r"(?!\.\.\.)(?!(?:Bearer|Basic|Digest|AWS4-HMAC-SHA256)\b)"
    r"(b?'[^']*'?|b?\"[^\"]*\"?|[^\s'\"&,;)\]}]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\b(Bearer|Basic|Digest|Token)\s+(?!\.\.\.)(?=[^\s'\"]{0,64}?[\d=._+/-]|[^\s'\"]{16})[^\s'\",;)]+",
    re.IGNORECASE,
)
_SIGV4 = re.compile(r"\b(AWS4-HMAC-SHA256)\s+(?!\.\.\.)\S[^'\"\n]*")
# Secrets that say what they are: JSON web tokens, AWS key ids, Google, GitHub and Slack keys, secrets of webhooks,
# PEM keys.
_SHAPED = re.compile(
    r"\beyJ[\w-]{8,2048}\.[\w-]+(?:\.[\w-]*)?|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bya29\.[\w.-]+"
    r"|\bgh[pousr]_\w{20,}|\bwhsec_[A-Za-z0-9+/=]{16,}|\bxox[abprs]-[\w-]{10,}"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*"
)


def shown(url: str) -> str:
    """`url` without user, password, query and fragment; a text that is no URL comes back scrubbed of `?...`."""
    url = _without_user(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("?", 1)[0].split("#", 1)[0].rpartition("@")[2]
    netloc = parts.netloc.rpartition("@")[2]
    path = _ENCODED_QUERY.sub("...", parts.path)
    if not netloc and "://" in url[: len(parts.scheme) + 3]:
        return f"{parts.scheme}://{path}"  # urlunsplit would drop the slashes of an empty host
    return urlunsplit((parts.scheme, netloc, path, "", ""))


def scrub(text: str) -> str:
    """`text` in which every URL is `shown`, and loose signed queries, headers and named secrets are cut."""
    text = _without_user(text)
    text = _URL.sub(lambda found: shown(found[0]), text)
    text = _QUERY.sub("?...", text)
    text = _ENCODED_QUERY.sub("...", text)
    text = _SIGV4.sub(r"\1 ...", text)
    text = _HEADER.sub(r"\1 ...", text)
    text = _NAMED.sub(r"\1\2...", text)
    return _SHAPED.sub("...", text)


def _without_user(text: str) -> str:
    return _USER.sub("//", text) if "@" in text else text


def scrubbed(value: object) -> object:
    """A JSON value in which every text is scrubbed, the names of its fields too."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(str(name)): scrubbed(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(part) for part in value]
    return value
