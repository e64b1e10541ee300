"""Cloud Storage: what is its own, on fake-gcs-server and on a small server that answers as Google does."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption

from batchlab.kinds import ItemError, Kind
from batchlab.settings import Settings
from batchlab_processor.storage import gs_writer
from batchlab_processor.storage.base import WriteOptions
from batchlab_processor.storage.firebase import FirebaseScheme
from batchlab_processor.storage.gs_account import account
from batchlab_processor.storage.gs_errors import kind_of, of_status
from tests.processor.storage.conftest import Place

PHOTO = b"photo" * 100


@pytest.mark.parametrize("extra", [-1, 0, 1, 300_000])
def test_a_large_object_goes_up_in_chunks_and_is_whole(
    place_gs: Place, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(gs_writer, "CHUNK_BYTES", 256 * 1024)
    data = bytes(range(251)) * 3000
    data = data[: 512 * 1024 + extra]
    with place_gs.scheme.write(place_gs.url("a"), WriteOptions()) as writer:
        for start in range(0, len(data), 100_000):
            writer.write(memoryview(data)[start : start + 100_000])
        assert list(place_gs.scheme.list(place_gs.prefix)) == []
        assert writer.commit().size_bytes == len(data)
    assert place_gs.get("a") == data


def test_a_large_object_that_is_given_up_leaves_nothing(
    place_gs: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs_writer, "CHUNK_BYTES", 256 * 1024)
    with place_gs.scheme.write(place_gs.url("a"), WriteOptions()) as writer:
        writer.write(b"x" * 1_000_000)
    assert list(place_gs.scheme.list(place_gs.prefix)) == []


def test_a_large_object_is_refused_before_it_is_sent(
    place_gs: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs_writer, "CHUNK_BYTES", 256 * 1024)
    place_gs.put("a", b"first")
    with (
        place_gs.scheme.write(place_gs.url("a"), WriteOptions()) as writer,
        pytest.raises(ItemError, match="--overwrite"),
    ):
        writer.write(b"x" * 1_000_000)
    assert place_gs.get("a") == b"first"


def test_what_was_written_is_checked(place_gs: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gs_writer.Checksum, "text", "AAAAAA==")
    with pytest.raises(ItemError, match="not what was written") as caught:
        place_gs.put("a")
    assert caught.value.kind is Kind.CORRUPT


@contextmanager
def answering(
    status: int, headers: dict[str, str], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FirebaseScheme, list[Any]]]:
    """A server that gives one answer to everything, and what it was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    scheme = FirebaseScheme.of_settings(Settings())
    try:
        yield scheme, asked
    finally:
        scheme.close()
        server.shutdown()
        server.server_close()
        thread.join()


def crc32c(data: bytes) -> str:
    return "crc32c=" + base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def described(data: bytes, **more: str) -> dict[str, str]:
    return {"Content-Length": str(len(data)), "X-Goog-Generation": "7", "X-Goog-Hash": crc32c(data)} | more


def test_a_compressed_object_comes_as_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = gzip.compress(PHOTO)
    more = {"Content-Encoding": "gzip", "X-Goog-Stored-Content-Encoding": "gzip"}
    with answering(200, described(stored, **more), stored, monkeypatch) as (scheme, asked):
        with scheme.open("gs://bucket/a b/é.jpg") as reader:
            assert reader.read() == stored
        assert asked[0][0] == "/download/storage/v1/b/bucket/o/a%20b%2F%C3%A9.jpg?alt=media"
        assert asked[0][1]["Accept-Encoding"] == "gzip"


def test_an_object_that_was_decompressed_on_its_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"X-Goog-Stored-Content-Encoding": "gzip", "X-Goog-Generation": "7"}
    with (
        answering(200, headers, PHOTO, monkeypatch) as (scheme, _),
        pytest.raises(ItemError, match="decompressed on its way"),
        scheme.open("gs://bucket/a"),
    ):
        pass


def test_bytes_that_are_not_what_the_checksum_says_are_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = described(PHOTO) | {"X-Goog-Hash": crc32c(b"other") + ",md5=x"}
    with answering(200, headers, PHOTO, monkeypatch) as (scheme, _), scheme.open("gs://bucket/a") as reader:
        with pytest.raises(ItemError, match="CRC-32C") as caught:
            reader.read()
        assert caught.value.kind is Kind.CORRUPT


def test_a_download_that_breaks_off_never_looks_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        answering(200, described(PHOTO), PHOTO[:100], monkeypatch) as (scheme, _),
        scheme.open("gs://bucket/a") as reader,
    ):
        with pytest.raises(ItemError) as caught:
            reader.read()
        assert caught.value.kind is Kind.NETWORK


def test_the_generation_is_asked_for_and_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, described(PHOTO), PHOTO, monkeypatch) as (scheme, asked):
        with scheme.open("gs://bucket/a", validator="7") as reader:
            assert reader.read() == PHOTO
        assert "ifGenerationMatch=7" in asked[0][0]
        with pytest.raises(ItemError) as caught, scheme.open("gs://bucket/a", validator="6"):
            pass
        assert caught.value.kind is Kind.CHANGED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, Kind.AUTH),
        (404, Kind.MISSING),
        (410, Kind.MISSING),
        (412, Kind.CHANGED),
        (429, Kind.RATE_LIMIT),
        (400, Kind.VALIDATION),
        (500, Kind.API_ERROR),
        (503, Kind.API_ERROR),
    ],
)
def test_every_status_has_its_kind(monkeypatch: pytest.MonkeyPatch, status: int, kind: Kind) -> None:
    headers = {"Content-Length": "0", "Retry-After": "9"}
    with (
        answering(status, headers, b"", monkeypatch) as (scheme, _),
        pytest.raises(ItemError) as caught,
        scheme.open("gs://bucket/a"),
    ):
        pass
    assert caught.value.kind is kind
    if kind is Kind.RATE_LIMIT:
        assert caught.value.retry_after_seconds == 9


def test_who_is_not_signed_in_is_told_how() -> None:
    error = of_status(401, "gs://bucket/a")
    assert error.kind is Kind.AUTH and "FIREBASE_SERVICE_ACCOUNT" in error.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (api.NotFound("no"), Kind.MISSING),  # type: ignore[no-untyped-call]
        (api.Forbidden("no"), Kind.AUTH),  # type: ignore[no-untyped-call]
        (api.TooManyRequests("no"), Kind.RATE_LIMIT),  # type: ignore[no-untyped-call]
        (api.ServiceUnavailable("no"), Kind.API_ERROR),  # type: ignore[no-untyped-call]
        (api.RetryError("no", None), Kind.TIMEOUT),  # type: ignore[no-untyped-call]
        (auth.RefreshError("no"), Kind.EXPIRED_CREDENTIALS),
        (auth.TransportError("no"), Kind.NETWORK),
        (auth.DefaultCredentialsError("no"), Kind.AUTH),
        (requests.ConnectionError("no"), Kind.NETWORK),
        (requests.ReadTimeout("no"), Kind.TIMEOUT),
        (DataCorruption(None, "no"), Kind.CORRUPT),
        (ValueError("no"), Kind.BUG),
    ],
    ids=lambda each: type(each).__name__,
)
def test_every_error_of_the_libraries_has_its_kind(error: Exception, kind: Kind) -> None:
    assert kind_of(error, "gs://bucket/a").kind is kind


def service_account() -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "gallery",
        "client_email": "batchlab@gallery.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        "private_key": pem.decode(),
    }


@pytest.mark.parametrize("as_file", [True, False])
def test_a_service_account_signs_urls(tmp_path: Path, as_file: bool) -> None:
    text = json.dumps(service_account())
    if as_file:
        (tmp_path / "key.json").write_text(text)
        text = str(tmp_path / "key.json")
    scheme = FirebaseScheme.of_settings(Settings(google_credentials=text))
    signed = scheme.signed_url("gs://photos/a b/é.jpg", timedelta(hours=12))
    assert signed.startswith("https://storage.googleapis.com/photos/a%20b/%C3%A9.jpg?")
    assert "X-Goog-Expires=43200" in signed
    with pytest.raises(ItemError, match="7 days"):
        scheme.signed_url("gs://photos/a", timedelta(days=8))
    scheme.close()


@pytest.mark.parametrize(
    "given",
    ["/nowhere/key.json", "{not json", "[]", '{"type": "service_account", "private_key": "canary"}', "{}"],
)
def test_a_key_that_does_not_work_is_said_without_showing_it(given: str) -> None:
    with pytest.raises(ItemError, match="FIREBASE_SERVICE_ACCOUNT") as caught:
        account(given)
    assert caught.value.kind is Kind.AUTH
    assert "canary" not in caught.value.message


def test_another_kind_of_credentials_is_taken_where_google_looks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    (tmp_path / "adc.json").write_text(json.dumps(content))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "gallery")
    found = account(str(tmp_path / "adc.json"))
    assert found.project == "gallery" and not found.signs
    scheme = FirebaseScheme(lambda: found)
    with pytest.raises(ItemError, match="service account's key only"):
        scheme.signed_url("gs://photos/a", timedelta(hours=1))
    scheme.close()


def test_no_account_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Callable[[], None]:
        raise auth.DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", none)
    with pytest.raises(ItemError, match="FIREBASE_SERVICE_ACCOUNT"):
        account("")
