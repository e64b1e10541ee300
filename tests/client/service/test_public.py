"""What anybody may ask for, and what they get: pages, files, and the promised hour."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

from batchlab.errors import ServiceError
from batchlab.page import Pages, open_pages, publish, token
from batchlab.page.pages import MemoryPages
from batchlab.records import JobRecords
from batchlab.report import Artifact, Report
from batchlab.service.public import PublicAnswer, PublicRequest, answer
from batchlab.settings import Settings
from batchlab.status import Counts, State
from batchlab.stores.memory import MemoryStore
from tests import servers
from tests.customer_jobs import STATES, end, move, new_job, run

NOBODY = "AAAAAAAAAAAAAAAAAAAAAA"
BODY = bytes(range(256)) * 40


@dataclass
class Door:
    """The answers over one store and its pages, at any time."""

    settings: Settings = field(default_factory=lambda: Settings(contact="photos@example.com"))
    store: MemoryStore = field(default_factory=lambda: MemoryStore("public"))
    pages: Pages = field(default_factory=MemoryPages)
    later: timedelta = timedelta(0)

    def publish(self, records: JobRecords) -> str:
        publish(records, self.pages, self.settings)
        return token(records)

    def ask(self, path: str, method: str = "GET", **headers: str) -> PublicAnswer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer(
            PublicRequest(method, path, named), self.pages, self.settings, datetime.now(UTC) + self.later
        )


@pytest.fixture
def door() -> Door:
    return Door()


def read(said: PublicAnswer) -> bytes:
    return said.body if isinstance(said.body, bytes) else b"".join(said.body)


def delivered(records: JobRecords, *urls: str, names: tuple[str, ...] = ("album.zip",)) -> None:
    """The job ends now, having delivered what lies at `urls`."""
    now = records.store.now()
    artifacts = tuple(
        Artifact(name=name, url=url, size_bytes=len(BODY), content_type="application/zip", members=5)
        for name, url in zip(names, urls, strict=True)
    )
    report = Report(
        id=records.id, type="zip-export", state=State.SUCCEEDED, started_at=now, ended_at=now, seconds=1,
        counts=Counts(total=5, done=5), artifacts=artifacts,
    )  # fmt: skip
    records.create_report(1, report)
    move(records, State.SUCCEEDED, counts=report.counts, ended_at=now)


# -- pages ------------------------------------------------------------------------------------------------------


def test_a_page_is_served_as_it_was_written_with_the_policy_that_stands_in_it(door: Door) -> None:
    its = door.publish(new_job(door.store))
    said = door.ask(f"/s/{its}")
    assert (said.status, said.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert read(said) == door.pages.get(f"{its}/index.html")
    policy = said.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("; form-action 'none'; frame-ancestors 'none'")


def test_a_page_that_another_version_wrote_keeps_its_own_policy(door: Door) -> None:
    its = door.publish(new_job(door.store))
    page = b"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-old'\">"
    door.pages.put(f"{its}/index.html", page, "text/html")
    policy = door.ask(f"/s/{its}").headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'sha256-old'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "path", ["/s/{}", "/s/{}/status.json", "/d/{}", "/d/{}/9", "/healthz", "/s/x", "/", "/d/{}/1"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_answer_forbids_what_no_answer_needs(door: Door, path: str, method: str) -> None:
    said = door.ask(path.format(door.publish(STATES["several-volumes"](door.store))), method)
    assert "noindex" in said.headers["X-Robots-Tag"]
    assert said.headers["Referrer-Policy"] == "no-referrer"
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in said.headers["Content-Security-Policy"]
    assert said.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert said.headers["Cache-Control"] in ("private, no-cache", "private, no-store")
    assert "Set-Cookie" not in said.headers


def test_a_script_that_knows_the_status_already_is_told_so(door: Door) -> None:
    records = new_job(door.store)
    its = door.publish(records)
    first = door.ask(f"/s/{its}/status.json")
    assert (first.status, json.loads(read(first))["state"]) == (200, "queued")
    tag = first.headers["ETag"]
    for sent in (tag, f'"other", {tag}', f"W/{tag}"):
        again = door.ask(f"/s/{its}/status.json", if_none_match=sent)
        assert (again.status, read(again), again.headers["ETag"]) == (304, b"", tag)
    run(records)
    door.publish(records)
    assert door.ask(f"/s/{its}/status.json", if_none_match=tag).status == 200


def test_head_says_what_get_says_without_a_body(door: Door) -> None:
    its = door.publish(STATES["succeeded"](door.store))
    for path in (f"/s/{its}", f"/s/{its}/status.json", "/healthz", f"/s/{NOBODY}"):
        get, head = door.ask(path), door.ask(path, "HEAD")
        assert (head.status, dict(head.headers), head.body) == (get.status, dict(get.headers), b"")
        assert get.headers["Content-Length"] == str(len(read(get)))


def test_no_request_changes_anything(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    its = door.publish(STATES["several-volumes"](door.store))
    for verb in ("put", "delete"):
        monkeypatch.setattr(door.pages, verb, lambda *_: pytest.fail("a request changed the pages"))
    for path in ("/s/{}", "/s/{}/status.json", "/d/{}", "/d/{}/1", "/d/{}/7"):
        for method in ("GET", "HEAD", "DELETE", "PUT", "POST"):
            door.ask(path.format(its), method)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "nonsense"])
def test_other_methods_are_refused(door: Door, method: str) -> None:
    said = door.ask("/healthz", method)
    assert (said.status, said.headers["Allow"]) == (405, "GET, HEAD")


def test_the_service_says_that_it_is_there(door: Door) -> None:
    assert (door.ask("/healthz").status, read(door.ask("/healthz"))) == (200, b"ok\n")


def test_an_unknown_token_and_a_malformed_one_are_told_the_same_after_the_same_work(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    get = door.pages.get
    monkeypatch.setattr(door.pages, "get", lambda name: looked.append(name.split("/")[1]) or get(name))
    for shape in ("/s/{}", "/s/{}/status.json", "/d/{}", "/d/{}/1"):
        answers = []
        for its in (NOBODY, "x", "a" * 23, "..", "%2e%2e", "a" * 21 + "ä"):
            looked.clear()
            said = door.ask(shape.format(its))
            answers.append((said.status, read(said), dict(said.headers), list(looked)))
        assert all(each == answers[0] for each in answers)
        assert answers[0][0] == 404 and answers[0][3]


@pytest.mark.parametrize(
    "path",
    ["/", "/s", "/s/", "/d/", "/x/{}", "/s/{}/", "/s/{}/link.json", "/s/{}/gone.html", "/d/{}/1/2", "//s/{}"],
)
def test_there_is_nothing_at_any_other_address(door: Door, path: str) -> None:
    its = door.publish(STATES["succeeded"](door.store))
    assert door.ask(path.format(its)).status == 404


def test_storage_that_is_away_is_our_fault_and_stands_in_the_log_without_the_token(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    its = door.publish(new_job(door.store))

    def away(name: str) -> bytes:
        raise ServiceError("the customers' pages: no answer.")

    monkeypatch.setattr(door.pages, "get", away)
    with caplog.at_level(logging.DEBUG):
        said = door.ask(f"/s/{its}")
    assert (said.status, said.headers["Retry-After"]) == (503, "60")
    assert "Please try again" in read(said).decode()
    assert "no answer" in caplog.text and its not in caplog.text


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"{", b'{"artifacts": [{}]}', b'{"artifacts": [1], "expires_at": 5}']
)
def test_a_link_that_cannot_be_read_is_our_fault_too(door: Door, broken: bytes) -> None:
    its = door.publish(STATES["succeeded"](door.store))
    door.pages.put(f"{its}/link.json", broken, "application/json")
    assert door.ask(f"/d/{its}/1").status in (503, 410)


# -- what is handed out ----------------------------------------------------------------------------------------


def test_a_download_that_is_not_ready_shows_the_page(door: Door) -> None:
    its = door.publish(new_job(door.store))
    said = door.ask(f"/d/{its}")
    assert (said.status, read(said)) == (200, door.pages.get(f"{its}/index.html"))
    assert door.ask(f"/d/{its}/1").status == 404


def test_several_files_are_a_list_unless_one_is_named(tmp_path: Path, door: Door) -> None:
    door.settings = replace(door.settings, output_roots=(tmp_path.as_uri(),))
    names = ("album-1.zip", "Ä & ß?.zip")
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    records = new_job(door.store)
    delivered(records, *[(tmp_path / name).as_uri() for name in names], names=names)
    its = door.publish(records)
    assert read(door.ask(f"/d/{its}")) == door.pages.get(f"{its}/index.html")
    assert read(door.ask(f"/d/{its}/1")) == b"album-1.zip"
    assert read(door.ask(f"/d/{its}/2")).decode() == names[1]
    assert read(door.ask(f"/d/{its}/%C3%84%20%26%20%C3%9F%3F.zip")).decode() == names[1]
    for which in ("3", "0", "-1", "01", "album-3.zip", "..", "%2e%2e%2fetc"):
        assert door.ask(f"/d/{its}/{which}").status == 404


def test_the_file_keeps_its_own_name_in_every_script(tmp_path: Path, door: Door) -> None:
    name = 'Hochzeit "Ä" 写真 50%.zip'
    (tmp_path / name).write_bytes(BODY)
    door.settings = replace(door.settings, output_roots=(tmp_path.as_uri(),))
    records = new_job(door.store)
    delivered(records, (tmp_path / name).as_uri(), names=(name,))
    said = door.ask(f"/d/{door.publish(records)}")
    plain, _, encoded = said.headers["Content-Disposition"].partition("; filename*=UTF-8''")
    assert plain == 'attachment; filename="Hochzeit ___ __ 50_.zip"'
    assert unquote(encoded) == name and encoded.isascii() and '"' not in encoded


def test_files_outside_of_the_listed_outputs_are_never_handed_out(
    tmp_path: Path, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    secret, listed = tmp_path / "secret.zip", tmp_path / "out"
    secret.write_bytes(b"secret")
    listed.mkdir()
    (listed / "link.zip").symlink_to(secret)
    door.settings = replace(door.settings, output_roots=(listed.as_uri(),))
    for url in (secret.as_uri(), (listed / "link.zip").as_uri(), f"{listed.as_uri()}/../secret.zip"):
        records = new_job(door.store)
        delivered(records, url)
        said = door.ask(f"/d/{door.publish(records)}")
        assert said.status == 501 and b"secret" not in read(said)
    assert "BATCHLAB_OUTPUT_ROOTS" in caplog.text


def test_a_file_that_was_taken_away_is_not_found(tmp_path: Path, door: Door) -> None:
    door.settings = replace(door.settings, output_roots=(tmp_path.as_uri(),))
    records = new_job(door.store)
    delivered(records, (tmp_path / "gone.zip").as_uri())
    assert door.ask(f"/d/{door.publish(records)}").status == 404


def test_where_nobody_can_sign_the_page_says_so(door: Door) -> None:
    records = new_job(door.store)
    delivered(records, "gs://bucket/album.zip")
    said = door.ask(f"/d/{door.publish(records)}")
    assert said.status == 501
    assert b"cannot be downloaded from here" in read(said)


def test_google_links_are_signed_by_a_service_account(door: Door) -> None:
    pytest.importorskip("google.cloud.storage")
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account", "project_id": "p", "client_email": "robot@p.example", "private_key": key.decode(),
        "token_uri": "https://oauth2.example/token",
    }  # fmt: skip
    door.settings = replace(door.settings, google_credentials=json.dumps(account))
    records = new_job(door.store, expires="1h")
    delivered(records, "gs://bucket/zips/album.zip")
    said = door.ask(f"/d/{door.publish(records)}")
    url = urlsplit(said.headers["Location"])
    assert (said.status, url.path) == (302, "/bucket/zips/album.zip")
    assert parse_qs(url.query)["X-Goog-Expires"] == ["900"]
    assert parse_qs(url.query)["response-content-disposition"][0].startswith("attachment; ")


# -- the promised hour --------------------------------------------------------------------------------------


@pytest.fixture(params=["r2-seaweedfs", "s3-seaweedfs", "r2-moto", "file"])
def promised(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Door, JobRecords]:
    """A job that has just delivered a file for one hour, and the door to it; pages lie beside the file."""
    if request.param == "file":
        door = Door(Settings(output_roots=(tmp_path.as_uri(),), pages_root=tmp_path.as_uri()))
        (tmp_path / "album.zip").write_bytes(BODY)
        url = (tmp_path / "album.zip").as_uri()
    else:
        scheme, kind = request.param.split("-")
        name = {"moto": "moto_s3", "seaweedfs": "seaweedfs"}[kind]
        server: servers.S3Server = request.getfixturevalue(name)
        bucket = request.getfixturevalue(f"{kind}_bucket")
        if scheme == "s3":
            patch = request.getfixturevalue("monkeypatch")
            for variable, value in server.environment().items():
                patch.setenv(variable, value)
            settings = Settings(s3_endpoint=server.endpoint_url)
        else:
            settings = Settings(
                r2_endpoint=server.endpoint_url,
                r2_access_key=server.access_key,
                r2_secret_key=server.secret_key,
            )
        door = Door(replace(settings, pages_root=f"{scheme}://{bucket}/customers"))
        client = server.client()
        client.put_object(Bucket=bucket, Key="zips/Ä album.zip", Body=BODY)
        client.close()
        url = f"{scheme}://{bucket}/zips/%C3%84%20album.zip"
    door.pages = open_pages(door.settings, door.store)
    records = new_job(door.store, expires="1h")
    delivered(records, url, names=("Ä album.zip",))
    door.publish(records)
    return door, records


def fetched(said: PublicAnswer, **more: Any) -> tuple[int, bytes, Mapping[str, str]]:
    """What a browser gets of the answer."""
    if said.status != 302:
        return said.status, read(said), said.headers
    got = httpx.get(said.headers["Location"], **more)
    return got.status_code, got.content, got.headers


def test_a_link_works_until_the_promised_hour_and_not_a_second_longer(
    promised: tuple[Door, JobRecords],
) -> None:
    door, records = promised
    path = f"/d/{token(records)}"
    for later in (timedelta(0), timedelta(minutes=30), timedelta(minutes=59, seconds=40)):
        door.later = later
        status, body, headers = fetched(door.ask(path))
        assert (status, body) == (200, BODY)
        assert "filename*=UTF-8''%C3%84%20album.zip" in headers["Content-Disposition"]
    door.later = timedelta(hours=1)
    for gone in (door.ask(path), door.ask(f"{path}/1"), door.ask(path.replace("/d/", "/s/"))):
        assert gone.status == 410
        assert "No longer available" in read(gone).decode()
    assert door.ask(f"/s/{token(records)}/status.json").status == 410


def test_no_signed_url_outlives_the_promise_or_a_quarter_of_an_hour(
    promised: tuple[Door, JobRecords],
) -> None:
    door, records = promised
    if door.ask(f"/d/{token(records)}").status == 200:
        return  # a file of this machine needs no signature
    for minutes, most in ((0, 900), (45, 900), (50, 600), (59, 60)):
        door.later = timedelta(minutes=minutes)
        query = parse_qs(urlsplit(door.ask(f"/d/{token(records)}").headers["Location"]).query)
        assert most - 5 <= int(query["X-Amz-Expires"][0]) <= most


def test_the_page_of_an_expired_job_is_in_its_language(door: Door) -> None:
    records = new_job(door.store, language="de", expires="1h")
    end(records, ago=timedelta(minutes=59))
    its = door.publish(records)
    door.later = timedelta(minutes=2)
    assert "Nicht mehr verfügbar" in read(door.ask(f"/d/{its}")).decode()
    door.publish(records)
    assert "Nicht mehr verfügbar" in read(door.ask(f"/s/{its}")).decode()


def _moved(url: str) -> str:
    return url.replace("album.zip", "other.zip")


def _longer(url: str) -> str:
    return re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=604800", url)


def _renamed(url: str) -> str:
    return url.replace("attachment", "inline", 1)


def _flipped(url: str) -> str:
    return url[:-1] + ("0" if url[-1] != "0" else "1")


@pytest.mark.parametrize("tampered", [_moved, _longer, _renamed, _flipped])
def test_a_signed_url_that_was_tampered_with_is_refused(
    seaweedfs: servers.S3Server, seaweedfs_bucket: str, door: Door, tampered: Callable[[str], str]
) -> None:
    url, _ = _signed(seaweedfs, seaweedfs_bucket, door)
    assert httpx.get(url).content == BODY
    assert tampered(url) != url
    assert httpx.get(tampered(url)).status_code == 403


def test_a_signed_url_is_refused_once_its_time_is_over(
    seaweedfs: servers.S3Server, seaweedfs_bucket: str, door: Door
) -> None:
    door.later = timedelta(hours=1) - timedelta(seconds=3)
    url, until = _signed(seaweedfs, seaweedfs_bucket, door)
    seconds = int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])
    assert 1 <= seconds <= 3
    while httpx.get(url).status_code == 200:
        assert time.monotonic() < until + 30, "it works on and on"
        time.sleep(0.2)
    assert httpx.get(url).status_code == 403


def test_a_program_that_asks_for_the_head_first_gets_one_that_works(
    seaweedfs: servers.S3Server, seaweedfs_bucket: str, door: Door
) -> None:
    url, _ = _signed(seaweedfs, seaweedfs_bucket, door, method="HEAD")
    assert httpx.head(url).headers["content-length"] == str(len(BODY))


def _signed(server: servers.S3Server, bucket: str, door: Door, *, method: str = "GET") -> tuple[str, float]:
    door.settings = Settings(
        r2_endpoint=server.endpoint_url, r2_access_key=server.access_key, r2_secret_key=server.secret_key
    )
    client = server.client()
    for key in ("album.zip", "other.zip"):
        client.put_object(Bucket=bucket, Key=key, Body=BODY)
    client.close()
    records = new_job(door.store, expires="1h")
    delivered(records, f"r2://{bucket}/album.zip")
    return door.ask(f"/d/{door.publish(records)}", method).headers["Location"], time.monotonic()
