"""S3 requests without boto3: signed, over pooled connections, with bodies sent from the memory they lie in.

    requests = S3Requests("s3", settings)
    answer = requests.send("PUT", "bucket", "key", {"partNumber": "1", "uploadId": ...}, body=memoryview(part))

For the hot path of an upload. Endpoint, addressing and credentials are those that `aws.s3_client` has. The
endpoint is the operator's own and may lie inside the network, so its address is not checked, its certificate is.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import urllib.request
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from batchlab.addresses import parse_address
from batchlab.answers import Answer, as_item_error
from batchlab.aws import check_r2, credentials
from batchlab.aws_signing import Keys, encoded_path, encoded_query, signed
from batchlab.connections import GuardedConnection, Patience, Pool, Watch
from batchlab.errors import Denied, UsageError
from batchlab.guard import resolve, trusted_tls
from batchlab.kinds import ItemError, Kind
from batchlab.locations import Location, locate
from batchlab.settings import Settings

LARGEST_ANSWER_BYTES = 8 * 1024 * 1024  # a page of ListParts is 0.3 MB
# S3 answers Complete and copies with a blank now and then while it works, for minutes
_PATIENCE = Patience(stall_seconds=60, bytes_per_second=0.01)
_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")  # a bucket that may stand before S3's own name
_REGION = re.compile(r"[a-z0-9-]{1,40}")  # it becomes a part of a host's name
_NAMED_REGION = re.compile(rb"<Region>([^<]*)</Region>")


@dataclass(frozen=True)
class Answered:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class S3Requests:
    """Requests to s3:// or r2://; safe to share between threads.

    Raises ItemError: validation when r2:// is not configured, auth without credentials, expired_credentials.
    """

    def __init__(self, scheme: str, settings: Settings, *, patience: Patience | None = None) -> None:
        self._patience = patience or _PATIENCE
        self._pool = Pool()
        weakref.finalize(self, self._pool.close)
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        self._ca_bundle = settings.aws_ca_bundle
        self._regions: dict[str, str] = {}  # where a bucket was found to be
        self._keys, self._endpoint, self._region = _account(scheme, settings)

    def direct(self, bucket: str) -> bool:
        """Whether no proxy of the environment stands before the bucket: these connections would go around it."""
        place = urlsplit(self._place(bucket, "", self._region)[0])
        proxies = urllib.request.getproxies()
        return place.scheme not in proxies or bool(urllib.request.proxy_bypass(place.netloc))

    def send(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
    ) -> Answered:
        """The answer, whatever its status; sent once, or twice when the bucket is in another region.

        Raises ItemError: network, timeout, and what the credentials' source raises.
        """
        asked = self._regions.get(bucket, self._region)
        answer = self._once(method, bucket, key, query or {}, headers or {}, body, asked)
        region = _other_region(answer)
        if region and region != asked and answer.status in (301, 307, 400):
            self._regions[bucket] = region
            answer = self._once(method, bucket, key, query or {}, headers or {}, body, region)
        return answer

    def prepared(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        region: str = "",
        now: datetime | None = None,
    ) -> tuple[Location, dict[str, str]]:
        """Where such a request goes, and all headers that it has there."""
        region = region or self._region
        origin, path = self._place(bucket, key, region)
        place = replace(locate(origin), path=path, query=encoded_query(query))
        host = place.origin.partition("://")[2]
        return place, signed(self._keys(), region, method, host, path, place.query, headers, now=now)

    def close(self) -> None:
        """Closes idle connections; the object can be used again."""
        self._pool.close()

    def _place(self, bucket: str, key: str, region: str) -> tuple[str, str]:
        """(origin, path). Addressed like botocore does: AWS by the bucket's host name, others by path."""
        path = encoded_path(key)
        if self._endpoint:
            parts = urlsplit(self._endpoint)
            return f"{parts.scheme}://{parts.netloc}", f"{parts.path.rstrip('/')}/{bucket}/{path}"
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        host = f"s3.{domain}" if region == "us-east-1" else f"s3.{region}.{domain}"
        if _HOST_NAME.fullmatch(bucket):  # a name with dots fits no certificate
            return f"https://{bucket}.{host}", f"/{path}"
        return f"https://{host}", f"/{bucket}/{path}"

    def _once(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | memoryview | None,
        region: str,
    ) -> Answered:
        place, sent = self.prepared(method, bucket, key, query, headers, region)
        del sent["host"]  # the connection sends it
        return self._exchange(method, place, sent, body)

    def _exchange(
        self, method: str, place: Location, headers: Mapping[str, str], body: bytes | memoryview | None
    ) -> Answered:
        watch = Watch(self._patience)
        while True:
            connection = self._pool.take(place) or self._connect(place, watch)
            fresh, before = connection.fresh, watch.received
            try:
                response = connection.exchange(method, place, headers, body, watch)
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                stale = not fresh and watch.received == before and not isinstance(error, TimeoutError)
                if stale:  # the server hung up on an idle connection; every request of ours may come twice
                    continue
                raise as_item_error(error, place.url) from error
            except BaseException:
                connection.close()
                raise
            with Answer(place.url, response, connection, self._pool, LARGEST_ANSWER_BYTES) as answer:
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Answered(answer.status, found, _read(answer))

    def _connect(self, place: Location, watch: Watch) -> GuardedConnection:
        try:
            texts = [place.host] if parse_address(place.host) else resolve(place.host, place.port)
        except (OSError, UnicodeError) as error:
            raise ItemError(Kind.NETWORK, f"The host {place.host} was not found ({error}).") from error
        failure: Exception | None = None
        for text in texts:
            address = parse_address(text)
            if address is None:
                continue
            connection = GuardedConnection(
                place, address, self._context() if place.scheme == "https" else None
            )
            try:
                connection.open(watch)
            except (OSError, ValueError) as error:
                failure = failure or error
            else:
                return connection
        raise as_item_error(failure or OSError("the host has no address"), place.url) from failure

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                try:
                    bundle = self._ca_bundle
                    self._tls = ssl.create_default_context(cafile=bundle) if bundle else trusted_tls()
                except (OSError, ssl.SSLError) as error:
                    said = (
                        f"AWS_CA_BUNDLE: {self._ca_bundle} holds no certificates that can be read ({error})."
                    )
                    raise ItemError(Kind.VALIDATION, said) from error
            return self._tls


def _read(answer: Answer) -> bytes:
    """The body to its end, so that the connection can be used again."""
    if answer.length is not None and answer.length <= LARGEST_ANSWER_BYTES:
        return answer.read(answer.length + 1)
    pieces = []
    while piece := answer.read(64 * 1024):
        pieces.append(piece)
    return b"".join(pieces)


def _other_region(answer: Answered) -> str:
    """The region that the bucket is in, when the answer says that it is another."""
    if answer.status < 300:
        return ""
    found = _NAMED_REGION.search(answer.body)
    said = answer.headers.get("x-amz-bucket-region", "") or (
        found[1].decode(errors="replace") if found else ""
    )
    return said if _REGION.fullmatch(said) else ""


def _account(scheme: str, settings: Settings) -> tuple[Callable[[], Keys], str, str]:
    """(what gives the keys of this moment, the endpoint or "" for AWS, the region)."""
    try:
        if scheme == "r2":
            check_r2(settings)
            keys = Keys(settings.r2_access_key, settings.r2_secret_key)
            return lambda: keys, settings.r2_endpoint, "auto"
        region = settings.aws_region or "us-east-1"  # a bucket of AWS that is elsewhere says so
        if settings.aws_access_key and settings.aws_secret_key:
            keys = Keys(settings.aws_access_key, settings.aws_secret_key, settings.aws_session_token)
            return lambda: keys, settings.s3_endpoint, region
        found, configured = credentials()
    except UsageError as error:
        raise ItemError(Kind.VALIDATION, error.message) from error
    except Denied as error:
        raise ItemError(Kind.AUTH, error.message) from error

    def frozen() -> Keys:
        try:
            return found()
        except Denied as error:
            raise ItemError(Kind.EXPIRED_CREDENTIALS, error.message) from error

    return frozen, settings.s3_endpoint, configured or region
