"""batchlab_infra.deploy.services"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from batchlab.errors import Denied, UsageError
from batchlab_infra.deploy import services
from batchlab_infra.deploy.account import Account
from batchlab_infra.deploy.checks import Preflight
from batchlab_infra.settings import StackSettings
from tests import servers


def flight(environ: dict[str, str], **settings: object) -> Preflight:
    return Preflight(Account("us-east-1"), StackSettings(**settings), environ)  # type: ignore[arg-type]


class Answering(Account):
    """An account whose service answers each question in turn with one of these; moto lacks quotas and SES's state."""

    def __init__(self, service: str, *answers: tuple[str, dict[str, Any]]) -> None:
        super().__init__("us-east-1")
        access = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        made = boto3.client(service, **access)  # type: ignore[call-overload]
        self._clients[service] = made
        stubber = Stubber(made)
        for operation, answer in answers:
            if "code" in answer:
                stubber.add_client_error(operation, service_error_code=answer["code"])
            else:
                stubber.add_response(operation, answer)
        stubber.activate()


def quotas(*vcpus: int) -> Preflight:
    answers = [("get_service_quota", {"Quota": {"Value": float(count)}}) for count in vcpus]
    return Preflight(Answering("service-quotas", *answers), StackSettings(), {})


def test_a_quota_that_holds_all_machines_is_said() -> None:
    assert services.quota(quotas(100, 100)) == "Spot 100 vCPUs, on-demand 100 vCPUs"


def test_a_smaller_quota_is_a_note_that_says_where_to_ask() -> None:
    said = services.quota(quotas(32, 100))
    assert said.startswith("note: Spot allows 32 vCPUs of the 100 set. Jobs beyond wait.")
    assert "L-34B43A08" in said


def test_a_quota_that_holds_no_job_stops_the_deployment() -> None:
    with pytest.raises(UsageError, match="a job needs 2 vCPUs; Spot allows 0 vCPUs of the 100 set"):
        services.quota(quotas(0, 1))


def test_a_quota_that_may_not_be_read_stops_nothing() -> None:
    account = Answering("service-quotas", ("get_service_quota", {"code": "AccessDeniedException"}))
    said = services.quota(Preflight(account, StackSettings(), {}))
    assert said == "note: the quotas of EC2 could not be read (AccessDeniedException)"


def mailing(*answers: tuple[str, dict[str, Any]]) -> Preflight:
    return Preflight(Answering("sesv2", *answers), StackSettings(mail_from="photos@lab.example"), {})


UNKNOWN = ("get_email_identity", {"code": "NotFoundException"})
VERIFIED = ("get_email_identity", {"VerifiedForSendingStatus": True})


@pytest.mark.parametrize("identities", [(VERIFIED,), (UNKNOWN, VERIFIED)])
def test_mail_is_sent_by_a_verified_address_or_domain(identities: Any) -> None:
    account = ("get_account", {"ProductionAccessEnabled": True})
    assert services.mail(mailing(*identities, account)) == "photos@lab.example may send"


def test_mail_from_an_unverified_sender_stops_the_deployment() -> None:
    with pytest.raises(UsageError, match="has not verified photos@lab"):
        services.mail(mailing(UNKNOWN, UNKNOWN))


def test_mail_from_the_sandbox_stops_the_deployment() -> None:
    account = ("get_account", {"ProductionAccessEnabled": False})
    with pytest.raises(UsageError, match="SES is in the sandbox"):
        services.mail(mailing(VERIFIED, account))


def test_r2_is_written_and_read_and_nothing_stays() -> None:
    with servers.moto_s3() as server, server.bucket() as bucket:
        assert services.r2(flight(server.r2_environment(bucket))) == f"{bucket} can be written and read"
        client = server.client()
        assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        client.close()


@contextmanager
def google(status: int) -> Iterator[str]:
    """Who gives tokens to service accounts, or refuses them."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
            answer = json.dumps(body if status == 200 else {"error": "invalid_grant"}).encode()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def account(private_key: str, token_url: str) -> str:
    email = "reader@lab.example"
    return json.dumps(
        {"type": "service_account", "client_email": email, "private_key": private_key, "token_uri": token_url}
    )


def test_a_service_account_lists_each_bucket_that_jobs_may_read(private_key: str, tmp_path: Path) -> None:
    with google(200) as token_url, servers.fake_gcs() as server, server.bucket() as bucket:
        path = tmp_path / "key.json"  # a path does as well as the key itself
        path.write_text(account(private_key, token_url))
        given = {"FIREBASE_SERVICE_ACCOUNT": str(path), **server.environment()}
        roots = (f"gs://{bucket}/events",)
        assert services.firebase(flight(given, source_roots=roots)) == f"reader@lab.example: gs://{bucket}"
        with pytest.raises(Denied, match="may not read gs://nowhere") as caught:
            services.firebase(flight(given, source_roots=("gs://nowhere",)))
        assert "Storage Object Viewer" in caught.value.message


def test_a_service_account_that_google_refuses_is_named_and_its_key_is_not_shown(private_key: str) -> None:
    with google(400) as token_url:
        given = {"FIREBASE_SERVICE_ACCOUNT": account(private_key, token_url)}
        with pytest.raises(Denied, match="Google refuses reader@lab") as caught:
            services.firebase(flight(given))
    assert "PRIVATE KEY" not in caught.value.message


def test_what_nobody_asked_for_is_not_looked_at() -> None:
    assert services.r2(flight({})) == services.firebase(flight({})) == services.mail(flight({})) == ""
