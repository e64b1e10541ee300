"""How a client of the endpoint connects: where to, what it shows of itself, whom it trusts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from batchlab.addresses import is_loopback, parse_address
from batchlab.errors import UsageError
from batchlab.redact import shown

if TYPE_CHECKING:
    import httpx

    from batchlab.http_asks import Ask

TIMEOUT_SECONDS = 60.0  # of one try: a function that starts cold and checks 100,000 items takes 20
_CONNECT_SECONDS = 10.0
_SHORTEST_SECONDS = 5.0  # what a request gets at least, however little time its caller has left


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, as a URL names it."""

    base: str  # https://host[:port][/path], without a trailing slash; never with a user or a query
    host: str
    signed: bool  # by AWS credentials; else by the token
    token: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, token: str = "") -> Endpoint:
        """Raises UsageError for what no client may connect to."""
        from batchlab.aws_auth import function_region

        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            raise UsageError(f"{shown(url)}: {error}. An endpoint is written https://host") from None
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.scheme not in ("https", "http") or not host or parts.fragment or "@" in parts.netloc:
            raise UsageError(
                f"{shown(url)}: an endpoint is written https://host, without a user and without #."
            )
        if set(query) - {"auth"} or query.get("auth", "aws") != "aws":
            raise UsageError(f"{shown(url)}: the only thing behind ? is auth=aws, for AWS signatures.")
        if parts.scheme == "http" and not _here(host):
            raise UsageError(
                f"{shown(url)}: plain http:// would show your token and your documents to the network. Use "
                "https://; only this machine itself is reached by http."
            )
        base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        return cls(base, host, "auth" in query or bool(function_region(host)), token)

    def client_options(self) -> dict[str, Any]:
        """What an httpx client is made with: no redirects; a proxy of the environment, but not to this machine."""
        from batchlab.guard import trusted_tls

        options: dict[str, Any] = {
            "headers": {"accept": "application/json, application/problem+json", "user-agent": "batchlab"},
            "trust_env": not _here(self.host),
        }
        if self.base.startswith("https:"):
            options["verify"] = trusted_tls()
        if self.signed:
            from batchlab.aws_auth import LambdaSignature, function_region

            options["auth"] = LambdaSignature(function_region(self.host))
        elif self.token:
            options["headers"]["authorization"] = f"Bearer {self.token}"
        return options

    def request(
        self, client: httpx.Client | httpx.AsyncClient, ask: Ask[Any], left_seconds: float
    ) -> httpx.Request:
        """The request for `ask`, in UTF-8; it waits no longer than `left_seconds`, but 5 at least."""
        import httpx

        headers = dict(ask.headers)
        if ask.body is not None:
            headers["content-type"] = "application/json"
        longest = min(TIMEOUT_SECONDS, max(left_seconds, _SHORTEST_SECONDS))
        timeout = httpx.Timeout(longest, connect=min(longest, _CONNECT_SECONDS))
        return client.build_request(
            ask.method, self.base + ask.target, headers=headers, content=ask.body, timeout=timeout
        )


def _here(host: str) -> bool:
    address = parse_address(host)
    return host == "localhost" or (address is not None and is_loopback(address))
