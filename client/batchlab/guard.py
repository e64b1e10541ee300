"""The SSRF-checked transport: every request to an address that a stranger may have chosen goes through here.

A URL passes the authority; its host is resolved once; every address in the answer must be public; the
connection goes to the very address that was checked. All of it again at every redirect. Proxies named in the
environment are not used.

    guard = Guard.of(authority)
    with guard.request("GET", url) as answer:
        while count := answer.readinto(buffer): ...
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urljoin

from batchlab.addresses import Address, is_loopback, is_public, parse_address
from batchlab.answers import Answer, as_item_error
from batchlab.authority import Authority
from batchlab.connections import GuardedConnection, Patience, Pool, Watch
from batchlab.kinds import ItemError, Kind
from batchlab.locations import Location, blocked, locate
from batchlab.redact import shown

REDIRECTS = 5
_REDIRECT_STATUS = (301, 302, 303, 307, 308)
_DRAINED_BYTES = 16 * 1024  # of a redirect's body, to keep its connection

Resolve = Callable[[str, int], Iterable[str]]


def resolve(host: str, port: int) -> list[str]:
    """All addresses of `host`, once each; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def trusted_tls() -> ssl.SSLContext:
    """TLS that trusts what this machine trusts (SSL_CERT_FILE and SSL_CERT_DIR count), else certifi's list."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


class Guard:
    """Makes requests to checked addresses; safe to share between threads."""

    def __init__(
        self,
        check: Callable[[str], str],
        allows_local: Callable[[str], bool] = lambda _: False,
        *,
        patience: Patience | None = None,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`check` gives the normalised URL or raises ItemError; `allows_local`: whether loopback is meant."""
        self.patience = patience or Patience()
        self._check = check
        self._allows_local = allows_local
        self._resolve = resolve
        self._tls = tls
        self._now = now
        self._pool = Pool(now)

    @classmethod
    def of(cls, authority: Authority, **options: Any) -> Guard:
        """A guard for what `authority` lets a job read."""
        return cls(authority.check_source, authority.allows_local, **options)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        *,
        follow: bool = True,
        limit_bytes: int | None = None,
        patience: Patience | None = None,
    ) -> Answer:
        """The answer, whatever its status, its body unread; with `follow`, at most 5 redirects of a GET or HEAD later.

        Raises ItemError: blocked_url (also for a sixth redirect), network, timeout.
        """
        watch = Watch(patience or self.patience, self._now)
        place = self._place(url)
        for _ in range(REDIRECTS + 1):
            answer = self._once(method, place, headers or {}, body, watch, limit_bytes)
            location = answer.headers.get("Location")
            if not (follow and location and answer.status in _REDIRECT_STATUS and method in ("GET", "HEAD")):
                return answer
            with answer:
                answer.drain(_DRAINED_BYTES)
                place = self._next(place, location)
        raise blocked(url, f"it redirects more than {REDIRECTS} times. Name the URL that it ends at")

    def close(self) -> None:
        """Closes idle connections; the guard can be used again."""
        self._pool.close()

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def addresses(self, place: Location) -> list[Address]:
        """The addresses of a host, every one of them checked; raises ItemError(blocked_url or network)."""
        literal = parse_address(place.host)
        try:
            texts = [place.host] if literal else list(self._resolve(place.host, place.port))
        except (OSError, UnicodeError) as error:
            raise ItemError(Kind.NETWORK, f"The host {place.host} was not found ({error}).") from error
        found = [parse_address(text) for text in texts]
        if not found:
            raise ItemError(Kind.NETWORK, f"The host {place.host} has no address.")
        local = self._allows_local(place.url)
        for address in found:
            if address is None or not (is_public(address) or (local and is_loopback(address))):
                raise blocked(place.url, self._private(address))
        return [address for address in found if address is not None]

    def _private(self, address: Address | None) -> str:
        cure = ""
        if address is not None and is_loopback(address):
            cure = "; --allow-local (BATCHLAB_ALLOW_LOCAL=1) with its host listed by name lets it through"
        return f"its host leads inside the network, not to a public server{cure}"

    def _place(self, url: str) -> Location:
        return locate(self._check(url))

    def _next(self, place: Location, location: str) -> Location:
        """Where a redirect leads, checked like the first URL."""
        # http.client reads headers as Latin-1; servers that send other characters mean UTF-8.
        text = location.encode("latin-1", "replace").decode("utf-8", "replace")
        try:
            target = urljoin(place.url, text)
        except ValueError as error:
            raise blocked(place.url, "it redirects to something that is no URL") from error
        then = self._place(target)
        if then.scheme == "http" and place.scheme == "https":
            raise blocked(target, f"{shown(place.url)} redirects from https:// to plain http")
        return then

    def _once(
        self,
        method: str,
        place: Location,
        headers: Mapping[str, str],
        body: bytes | memoryview | None,
        watch: Watch,
        limit_bytes: int | None,
    ) -> Answer:
        if place.scheme not in ("https", "http"):
            raise blocked(place.url, "only https:// and http:// are fetched here")
        while True:
            connection = self._pool.take(place) or self._connect(place, watch)
            fresh, before = connection.fresh, watch.received
            try:
                response = connection.exchange(method, place, headers, body, watch)
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                # A server may hang up on an idle connection at the very moment it is used again.
                stale = not fresh and watch.received == before and not isinstance(error, TimeoutError)
                if stale and method in ("GET", "HEAD"):
                    continue
                raise as_item_error(error, place.url) from error
            except BaseException:
                connection.close()
                raise
            return Answer(place.url, response, connection, self._pool, limit_bytes)

    def _connect(self, place: Location, watch: Watch) -> GuardedConnection:
        failure: Exception | None = None
        for address in self.addresses(place):
            if place.scheme == "https" and self._tls is None:
                self._tls = trusted_tls()
            tls = self._tls if place.scheme == "https" else None
            connection = GuardedConnection(place, address, tls, mostly_reads=True)
            try:
                connection.open(watch)
            except (OSError, ValueError) as error:
                failure = failure or error
            else:
                return connection
        assert failure is not None  # there is at least one address
        raise as_item_error(failure, place.url) from failure
