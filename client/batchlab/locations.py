"""URLs taken apart once, with nothing left to interpret: what the authority compares and the guard connects to.

Whatever two programs could read in two ways is refused rather than mended: control characters, backslashes,
user names, "..", slashes that appear only after decoding, numbers that are addresses in disguise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

import idna

from batchlab.kinds import ItemError, Kind
from batchlab.redact import shown

OBJECT_SCHEMES = ("s3", "r2", "gs")
WEB_SCHEMES = ("https", "http")
DEFAULT_PORTS = {"https": 443, "http": 80}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_PATH_SAFE = "/!$&'()*+,;=:@~-._"  # RFC 3986 pchar and "/"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")  # and the backslash
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECODINGS = 4  # how often a path may have been encoded over and over


@dataclass(frozen=True)
class Location:
    """One URL, normalised."""

    scheme: str  # lower case
    host: str  # https, http: lower case ASCII or an address (IPv6 without brackets); s3, r2, gs, memory: the bucket
    port: int  # https, http only; else 0
    path: (
        str  # https, http: as sent, encoded, begins with "/"; else decoded, without the leading "/" of a key
    )
    query: str = ""  # https, http only; as sent

    @cached_property
    def origin(self) -> str:
        """scheme://host, with the port when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port and self.port != DEFAULT_PORTS.get(self.scheme) else ""
        return f"{self.scheme}://{host}{port}"

    @cached_property
    def url(self) -> str:
        if self.scheme in WEB_SCHEMES:
            return self.origin + self.target
        path = quote(self.path, safe=_PATH_SAFE)
        return f"{self.origin}{path}" if self.scheme == "file" else f"{self.origin}/{path}"

    @property
    def target(self) -> str:
        """What a request to it names: path and query."""
        return self.path + (f"?{self.query}" if self.query else "")

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, empty ones left out, as a file system or a lenient server sees them."""
        return tuple(part for part in self.path.split("/") if part)


def locate(url: str) -> Location:
    """The location that `url` names; raises ItemError(blocked_url) when it could be read in two ways.

    file:// paths have their symbolic links resolved.
    """
    found = _SCHEME.match(url)
    if found is None:
        raise blocked(url, "it has no scheme; write https://, s3://, r2://, gs:// or file:// in front")
    scheme = found[1].lower()
    if scheme not in (*WEB_SCHEMES, *OBJECT_SCHEMES, "file", "memory"):
        raise blocked(
            url, f"{scheme}:// is no scheme batchlab reads; use https://, s3://, r2://, gs:// or file://"
        )
    if scheme in WEB_SCHEMES:
        return _web(url, scheme)
    parts = _parts(url)
    if "?" in url or "#" in url:
        raise blocked(url, "a ? or # in a key or path is written %3F or %23")
    if scheme == "file":
        return _file(url, parts.netloc, parts.path)
    if scheme != "memory" and (not _BUCKET.fullmatch(parts.netloc) or ".." in parts.netloc):
        raise blocked(url, "the bucket's name is not one: 3 or more of a-z 0-9 . _ -")
    return Location(scheme, parts.netloc, 0, _decoded(url, parts.path).removeprefix("/"))


def blocked(url: str, reason: str) -> ItemError:
    """ItemError(blocked_url) that shows `url` without its secrets, and says why."""
    text = shown(url)
    if _SCHEME.match(url) is None or "\\" in url:  # nobody can tell where its user name ends
        text = text.rpartition("@")[2]
    text = "".join(character if character.isprintable() else "?" for character in text)
    return ItemError(Kind.BLOCKED_URL, f"{text[:200]} is not allowed: {reason}.")


def normal_host(text: str) -> str:
    """A host name in lower case ASCII, or an address in its standard form; raises ValueError saying what is wrong."""
    if text.startswith("["):
        if not text.endswith("]") or "%" in text:
            raise ValueError("an IPv6 address is written [2001:db8::1], without a zone")
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError as error:
            raise ValueError("the brackets hold no IPv6 address") from error
    if not text.isascii():
        try:
            text = idna.encode(text.lower()).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise ValueError("the host name has characters that host names cannot have") from error
    host = text.lower()
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise ValueError("the host is a number; write an address as 192.0.2.1") from error
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the host name is not one: letters, digits and - between single dots")
    return host


def split_port(text: str) -> tuple[str, str | None]:
    """("host", "443") of "host:443", ("[::1]", None) of "[::1]"."""
    host, colon, port = text.rpartition(":")
    if colon and "]" not in port and (":" not in host or host.endswith("]")):
        return host, port
    return text, None


def _parts(url: str) -> SplitResult:
    if _CONTROL.search(url):
        raise blocked(url, "it holds a control character or a backslash")
    if _SURROGATE.search(url):
        raise blocked(url, "it is not valid Unicode")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise blocked(url, "it cannot be taken apart: write it as scheme://host/path") from error
    if "@" in parts.netloc:
        raise blocked(url, "it carries a user name or password; leave out everything before the @")
    return parts


@lru_cache(maxsize=512)  # each request asks five times for the same URL
def _web(url: str, scheme: str) -> Location:
    parts = _parts(url)
    name, port = split_port(parts.netloc)
    if port is not None and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise blocked(url, "the port is not a number from 1 to 65535")
    try:
        host = normal_host(name)
    except ValueError as error:
        raise blocked(url, str(error)) from error
    # Signatures cover path and query as they are written: what is encoded stays so, the rest is made ASCII.
    return Location(
        scheme,
        host,
        int(port) if port is not None else DEFAULT_PORTS[scheme],
        quote(parts.path or "/", safe=_PATH_SAFE + "%"),
        quote(parts.query, safe=_PATH_SAFE + '%?[]{}|^`"<>'),
    )


def _file(url: str, netloc: str, path: str) -> Location:
    if netloc.lower() not in ("", "localhost"):
        raise blocked(url, "file:// takes three slashes: file:///directory/name")
    decoded = _decoded(url, path)
    if not decoded.startswith("/"):
        raise blocked(url, "a file:// path begins with a slash: file:///directory/name")
    try:
        real = str(Path(decoded).resolve())
    except (OSError, RuntimeError) as error:
        raise blocked(url, "its symbolic links lead nowhere") from error
    return Location("file", "", 0, real + "/" if decoded.endswith("/") and real != "/" else real)


def _cure(url: str) -> str:
    return "" if url.startswith("http") else "; rename it"


def _decoded(url: str, path: str) -> str:
    """`path` decoded once; refused when it, decoded however often, holds other separators or dot segments."""
    try:
        decoded = once = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise blocked(url, f"its path is not UTF-8{_cure(url)}") from error
    if any(character < " " or character == "\x7f" for character in once):
        raise blocked(url, f"its path holds an encoded control character{_cure(url)}")
    slashes = path.count("/")
    for _ in range(_DECODINGS):
        if decoded.count("/") != slashes or "\\" in decoded:
            raise blocked(url, f"its path holds an encoded slash or a backslash{_cure(url)}")
        if any(part.strip() in (".", "..") for part in decoded.split("/")):
            raise blocked(url, "its path holds . or .. as a directory")
        again = unquote_to_bytes(decoded).decode(errors="replace")
        if again == decoded:
            return once
        decoded = again
    raise blocked(url, "its path is encoded over and over")
