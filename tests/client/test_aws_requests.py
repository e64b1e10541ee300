"""S3 requests without boto3, held against what boto3 would have sent."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batchlab import aws
from batchlab.aws import s3_client
from batchlab.aws_requests import S3Requests
from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from tests.strict_s3 import StrictS3

KEYS = {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "secret", "aws_session_token": "token"}


class Captured(Exception):
    """Stops botocore where it would have sent its request."""


def sent_by_boto3(
    configured: Settings,
    scheme: str,
    method: str,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The request as botocore prepared it."""
    if scheme == "s3":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", configured.aws_access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", configured.aws_secret_key)
        monkeypatch.setenv("AWS_SESSION_TOKEN", configured.aws_session_token)
        monkeypatch.setenv("AWS_DEFAULT_REGION", configured.aws_region)
    client = s3_client(scheme, configured)
    seen: list[Any] = []

    def capture(request: Any, **_: Any) -> None:
        seen.append(request)
        raise Captured

    client.meta.events.register("before-send.s3", capture)
    try:
        with pytest.raises(Captured):
            getattr(client, method)(**parameters)
    finally:
        client.meta.events.unregister("before-send.s3", capture)
    return seen[0]


PLACES = [
    ("s3", Settings(**KEYS, aws_region="eu-central-1"), "photos-of-weddings"),
    ("s3", Settings(**KEYS, aws_region="eu-central-1"), "photos.example.com"),
    ("s3", Settings(**KEYS, aws_region="us-east-1"), "abc"),
    ("s3", Settings(**KEYS, aws_region="cn-north-1"), "photos"),
    ("s3", Settings(**KEYS, aws_region="eu-central-1", s3_endpoint="https://minio.example.com"), "photos"),
    (
        "s3",
        Settings(**KEYS, aws_region="eu-central-1", s3_endpoint="https://minio.example.com:9000"),
        "a.b.c",
    ),
    ("s3", Settings(**KEYS, aws_region="eu-central-1", s3_endpoint="https://minio.example.com/s3"), "photos"),
    (
        "r2",
        Settings(r2_endpoint="https://a.r2.example.com", r2_access_key="id", r2_secret_key="secret"),
        "photos",
    ),
]


@pytest.mark.parametrize(("scheme", "configured", "bucket"), PLACES)
def test_a_part_goes_where_boto3_would_send_it_with_the_same_signature(
    scheme: str, configured: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "_clients", {})  # a client of this test's environment
    requests = S3Requests(scheme, configured)

    @given(key=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(
        lambda key: not key.startswith("/") and not {".", ".."} & set(key.split("/"))
    ))  # fmt: skip
    @example(key="a b+/~%&=?#'*()!ü/📷.jpg")
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def compare(key: str) -> None:
        parameters = {"Bucket": bucket, "Key": key, "UploadId": "a+/=~ b", "PartNumber": 7, "Body": b"photo"}
        theirs = sent_by_boto3(configured, scheme, "upload_part", parameters, monkeypatch)
        headers = {name.lower(): value for name, value in theirs.headers.items()}
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()
        }
        names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        ours = {name: headers[name] for name in names if name != "host" and not name.startswith("x-amz-")}
        now = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        query = {"uploadId": "a+/=~ b", "partNumber": "7"}
        place, sent = requests.prepared("PUT", bucket, key, query, ours, now=now)
        address, _, asked = theirs.url.partition("?")
        assert place.origin + place.path == address
        assert sorted(place.query.split("&")) == sorted(asked.split("&"))
        assert sent["authorization"] == headers["authorization"]

    compare()


@pytest.fixture
def strict_settings(strict_s3: StrictS3) -> Settings:
    return Settings.from_environment(strict_s3.server.environment())


def test_a_bucket_in_another_region_is_found_there(strict_s3: StrictS3) -> None:
    environment = {**strict_s3.server.environment(), "AWS_DEFAULT_REGION": "us-east-1"}
    requests = S3Requests("s3", Settings.from_environment(environment))
    for _ in range(2):
        assert requests.send("PUT", "bucket", "photo.jpg", body=b"photo").status == 200
    assert strict_s3.objects["bucket", "photo.jpg"].data == b"photo"


def test_a_body_is_sent_from_the_memory_it_lies_in_and_a_connection_is_used_again(
    strict_s3: StrictS3, strict_settings: Settings
) -> None:
    requests = S3Requests("s3", strict_settings)
    buffer = memoryview(bytearray(b"0123456789" * 100_000))
    requests.send("PUT", "bucket", "whole", body=buffer)
    assert strict_s3.objects["bucket", "whole"].data == buffer
    requests.send("PUT", "bucket", "piece", body=buffer[5:15])
    requests.send("PUT", "bucket", "empty", body=b"")
    assert strict_s3.objects["bucket", "piece"].data == b"5678901234"
    assert strict_s3.objects["bucket", "empty"].data == b""
    head = requests.send("HEAD", "bucket", "whole")
    assert (head.status, head.headers["content-length"], head.body) == (200, "1000000", b"")
    assert strict_s3.connections == 1


def test_r2_that_is_not_configured_says_what_to_set() -> None:
    with pytest.raises(ItemError, match="R2_ENDPOINT") as caught:
        S3Requests("r2", Settings())
    assert caught.value.kind is Kind.VALIDATION


def test_nobody_with_keys_is_an_answer_that_says_what_to_do() -> None:
    with pytest.raises(ItemError, match="AWS_ACCESS_KEY_ID") as caught:
        S3Requests("s3", Settings())
    assert caught.value.kind is Kind.AUTH


def test_keys_of_a_profile_are_found_and_renewed_before_they_run_out(
    strict_s3: StrictS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """credential_process stands for a role: keys that are about to run out are asked for at each request."""
    asked = tmp_path / "asked"
    script = tmp_path / "keys.py"
    script.write_text(
        "import datetime, json, pathlib\n"
        f"asked = pathlib.Path({str(asked)!r})\n"
        "asked.write_text(asked.read_text() + 'x' if asked.exists() else 'x')\n"
        "soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=90)\n"
        f"print(json.dumps(dict(Version=1, AccessKeyId={strict_s3.server.access_key!r},"
        f" SecretAccessKey={strict_s3.server.secret_key!r}, Expiration=soon.isoformat())))\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"[profile role]\ncredential_process = {sys.executable} {script}\nregion = {strict_s3.server.region}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "role")
    requests = S3Requests("s3", Settings(s3_endpoint=strict_s3.server.endpoint_url))
    assert requests.send("PUT", "bucket", "photo.jpg", body=b"photo").status == 200
    first = len(asked.read_text())
    assert requests.send("PUT", "bucket", "photo.jpg", body=b"photo").status == 200
    assert len(asked.read_text()) > first
    script.write_text("raise SystemExit('the role is gone')")
    with pytest.raises(ItemError) as caught:
        requests.send("PUT", "bucket", "photo.jpg", body=b"photo")
    assert caught.value.kind is Kind.EXPIRED_CREDENTIALS


def test_a_bundle_of_certificates_is_trusted_and_nothing_else(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    bundle = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with raw_server(lambda peer, _: answer_each(peer, ok), tls) as port:
        place = Settings(**KEYS, s3_endpoint=f"https://127.0.0.1:{port}")
        with pytest.raises(ItemError, match="certificate is not trusted"):
            S3Requests("s3", place).send("GET", "bucket", "key")
        trusting = Settings(**KEYS, s3_endpoint=place.s3_endpoint, aws_ca_bundle=str(bundle))
        assert S3Requests("s3", trusting).send("GET", "bucket", "key").body == b"ok"
        absent = Settings(**KEYS, s3_endpoint=place.s3_endpoint, aws_ca_bundle=str(tmp_path / "absent"))
        with pytest.raises(ItemError, match="AWS_CA_BUNDLE"):
            S3Requests("s3", absent).send("GET", "bucket", "key")


def test_a_proxy_of_the_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = S3Requests("s3", Settings(**KEYS, aws_region="eu-central-1"))
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert requests.direct("bucket")
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    assert not requests.direct("bucket")
    monkeypatch.setenv("no_proxy", "localhost,.amazonaws.com")
    assert requests.direct("bucket")


def test_a_server_that_hung_up_on_an_idle_connection_is_asked_again() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    asked = threading.Event()

    def serve(peer: socket.socket, number: int) -> None:
        answer_each(peer, ok, times=1)
        if number == 1:
            # the next request is read, and then nothing but the end: a load balancer's time-out
            peer.recv(1)
            asked.set()

    with raw_server(serve) as port:
        requests = S3Requests("s3", Settings(**KEYS, s3_endpoint=f"http://127.0.0.1:{port}"))
        assert requests.send("GET", "bucket", "key").body == b"ok"
        assert requests.send("PUT", "bucket", "key", body=b"x" * 100_000).body == b"ok"
        assert asked.is_set()


def test_a_refusal_before_the_body_was_read_is_heard() -> None:
    no = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

    def serve(peer: socket.socket, _: int) -> None:
        peer.recv(1024)
        peer.sendall(no)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    with raw_server(serve) as port:
        requests = S3Requests("s3", Settings(**KEYS, s3_endpoint=f"http://127.0.0.1:{port}"))
        answer = requests.send("PUT", "bucket", "key", body=memoryview(bytearray(8 * 1024 * 1024)))
        assert (answer.status, answer.body) == (403, b"no")


def test_blanks_that_keep_an_answer_alive_are_no_part_of_its_end() -> None:
    """S3 answers Complete with a blank now and then, chunked, while it works."""
    pieces = b"".join(f"{len(piece):x}\r\n{piece}\r\n".encode() for piece in (" ", "   ", "<done/>"))
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    with raw_server(lambda peer, _: answer_each(peer, chunked)) as port:
        requests = S3Requests("s3", Settings(**KEYS, s3_endpoint=f"http://127.0.0.1:{port}"))
        for _ in range(2):
            assert requests.send("POST", "bucket", "key", body=b"<parts/>").body.strip() == b"<done/>"


def test_boto3_is_not_imported_where_the_environment_holds_the_keys(strict_s3: StrictS3) -> None:
    code = (
        "import json, os, sys\n"
        "from batchlab.aws_requests import S3Requests\n"
        "from batchlab.settings import Settings\n"
        "requests = S3Requests('s3', Settings.from_environment(os.environ))\n"
        "assert requests.direct('bucket')\n"
        "assert requests.send('PUT', 'bucket', 'key', body=b'photo').status == 200\n"
        "print(json.dumps([name for name in ('boto3', 'botocore', 'httpx', 'pydantic') if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=strict_s3.server.environment(), capture_output=True, check=True
    )
    assert json.loads(done.stdout) == []


def answer_each(peer: socket.socket, answer: bytes, times: int = 1000) -> None:
    """Answers so many requests on one connection, each when it is there whole."""
    for _ in range(times):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = peer.recv(65536)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            ),
            0,
        )
        while len(body) < length:
            body += peer.recv(65536)
        peer.sendall(answer)


@contextmanager
def raw_server(
    serve: Callable[[socket.socket, int], None], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """The port of a server that hands each connection, numbered from 1, to `serve` in a thread and closes it."""
    threads: list[threading.Thread] = []

    def one(peer: socket.socket, number: int) -> None:
        try:
            with peer if tls is None else tls.wrap_socket(peer, server_side=True) as plain:
                plain.settimeout(10)
                serve(plain, number)
        except OSError:
            peer.close()

    def accept() -> None:
        number = 0
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            number += 1
            threads.append(threading.Thread(target=one, args=(peer, number), daemon=True))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(10)
