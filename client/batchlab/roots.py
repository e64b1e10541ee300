"""The entries of BATCHLAB_SOURCE_ROOTS, BATCHLAB_OUTPUT_ROOTS and BATCHLAB_HTTP_HOSTS: read, and matched."""

from __future__ import annotations

from collections.abc import Iterable

from batchlab.kinds import ItemError
from batchlab.locations import DEFAULT_PORTS, WEB_SCHEMES, Location, locate, normal_host, split_port

ANY_HOST = "*"


def parse_path_root(text: str) -> str:
    """The normalised root that `text` names; raises ValueError saying what is wrong."""
    try:
        place = locate(text)
    except ItemError as error:
        raise ValueError(error.message) from error
    if place.scheme in WEB_SCHEMES:
        raise ValueError(f"{place.scheme}:// has no prefixes; list its host in BATCHLAB_HTTP_HOSTS")
    if place.scheme == "memory":
        raise ValueError("memory:// is for tests")
    if place.url == "file:///":
        raise ValueError("file:/// is the whole machine; name a directory")
    return place.url


def parse_host(text: str) -> str:
    """The normalised entry: "example.com", "example.com:8443", "example.com:*", "*.example.com", "[::1]:8080", "*".

    Raises ValueError saying what is wrong.
    """
    if text == ANY_HOST:
        return text
    if "/" in text or "@" in text:
        raise ValueError("a host is written without https:// and path: example.com")
    name, port = split_port(text)
    if port is not None and port != "*" and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("the port is a number from 1 to 65535, or * for any")
    star = "*." if name.startswith("*.") else ""
    host = normal_host(name.removeprefix("*."))
    if star and (":" in host or "." not in host or host.replace(".", "").isdigit()):
        raise ValueError("a * stands for the first part of a name of two or more: *.example.com")
    host = f"[{host}]" if ":" in host else host
    return star + host + (f":{port}" if port is not None else "")


def host_entry(place: Location) -> str:
    """The entry that lists this URL's host with its port."""
    return place.origin.partition("://")[2]


class PathRoots:
    """Prefixes, matched by whole segments: s3://b/photos does not admit s3://b/photos-private/x."""

    def __init__(self, roots: Iterable[str]) -> None:
        places = (locate(root) for root in roots)
        self._roots = {(place.scheme, place.host, place.path.rstrip("/")) for place in places}

    def admit(self, place: Location) -> bool:
        """Whether `place` is one of the roots or lies below one."""
        path = place.path.rstrip("/")
        while (place.scheme, place.host, path) not in self._roots:
            if not path:
                return False
            path = path.rpartition("/")[0]
        return True


class Hosts:
    """Host entries. Without a port an entry stands for the scheme's own; "*.example.com" is not example.com."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries: set[tuple[str, str | None]] = {split_port(entry) for entry in entries}

    def admit(self, place: Location, *, by_name: bool = False) -> bool:
        """Whether the host of this URL is listed; `by_name`: not by a * in place of its name."""
        name = f"[{place.host}]" if ":" in place.host else place.host
        ports: set[str | None] = {"*", str(place.port)}
        if place.port == DEFAULT_PORTS.get(place.scheme):
            ports.add(None)
        names = [name]
        if not by_name:
            labels = name.split(".")
            names += [f"*.{'.'.join(labels[cut:])}" for cut in range(1, len(labels))] + [ANY_HOST]
        return any((known, port) in self._entries for known in names for port in ports)
