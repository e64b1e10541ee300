from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchlab import Client, ContactSheets, SelfTest, ZipExport, load_document
from batchlab.api import JobInfo
from batchlab.errors import DocumentError, ServiceError, UsageError, WaitTimeout
from batchlab.following import Following
from batchlab.http_asks import Look, look
from batchlab.http_backend import HttpBackend
from batchlab.http_connection import Endpoint as Address
from batchlab.http_protocol import Patience
from batchlab.job import Job
from batchlab.jobs.contact_sheets import ContactSheetsParams
from batchlab.jobs.self_test import SelfTestParams
from batchlab.jobs.sheet_style import SheetStyle
from batchlab.jobs.zip_export import ZipExportParams
from batchlab.status import Counts, State
from tests.client.scripted_endpoint import HANG_UP, Endpoint, Says, scripted_endpoint
from tests.client.test_http_backend import ID, INFO


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with scripted_endpoint() as scripted:
        yield scripted


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[Client]:
    backend = HttpBackend(endpoint.url, patience=Patience(attempts=1), sleep=lambda _: None)
    with Client(backend=backend) as made:
        yield made


def sent(client: Client, endpoint: Endpoint, document: Any, **more: Any) -> dict[str, Any]:
    """The document as it came to the service, without its id."""
    endpoint.answers(Says(INFO, 202))
    client.jobs.submit(document, **more)
    body = dict(endpoint.asked[-1].json)
    del body["id"]
    return body


PARAMS = {"items": ["https://example.com/1.jpg"]}
BODY = {"version": 1, "type": "zip-export", "params": PARAMS, "output": "s3://bucket/exports"}


def test_a_document_is_taken_in_every_form(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        "type: zip-export\nparams: {items: ['https://example.com/1.jpg']}\noutput: s3://bucket/exports\n"
    )
    for document in (BODY, load_document(BODY), path, path.read_text(), path.read_bytes()):
        assert sent(client, endpoint, document) == BODY


def test_a_typed_document_says_the_same(client: Client, endpoint: Endpoint) -> None:
    typed = ZipExport(items=["https://example.com/1.jpg"], output="s3://bucket/exports", title="Ana & Ben")
    body = sent(client, endpoint, typed, tags={"event": "7"})
    assert body == {
        **BODY,
        "params": {**PARAMS, "name": "album.zip"},
        "title": "Ana & Ben",
        "tags": {"event": "7"},
    }
    client.jobs.submit(typed)
    client.jobs.submit(typed)
    assert endpoint.asked[-1].json["id"] == endpoint.asked[-2].json["id"]


def test_a_typed_document_says_everything_wrong_where_it_is_made() -> None:
    with pytest.raises(DocumentError) as raised:
        ZipExport(items=["htps://example.com/1.jpg"], output="bucket", shards=0, expires="soon")
    assert len(raised.value.problems) == 4


@pytest.mark.parametrize(
    ("typed", "params"),
    [(ZipExport, ZipExportParams), (ContactSheets, ContactSheetsParams), (SelfTest, SelfTestParams)],
)
def test_a_typed_document_has_every_field_of_its_params(typed: Any, params: Any) -> None:
    fields = set(params.model_fields) - (
        set(SheetStyle.model_fields) if typed is ContactSheets else {"dates"}
    )
    assert fields <= set(typed.__dataclass_fields__)


def test_the_look_of_contact_sheets_stands_apart_from_the_title_of_the_job() -> None:
    sheets = ContactSheets(
        domain="marathon",
        output="s3://bucket/sheets",
        manifest="s3://bucket/runners.csv",
        title="City marathon",
        style={"title": "{name}", "dpi": 150},
    )
    assert sheets.document.title == "City marathon"
    assert sheets.document.params["title"] == "{name}"


def test_what_is_given_beside_a_document_joins_it(client: Client, endpoint: Endpoint) -> None:
    document = {**BODY, "tags": {"event": "7"}, "notify": [{"email": "ana@example.com"}], "expires": "1d"}
    body = sent(
        client,
        endpoint,
        document,
        idempotency_key="event-7",
        notify=["ben@example.com", "https://example.com/hook"],
        expires=timedelta(days=7),
        tags={"event": "8", "round": "1"},
    )
    assert body["idempotency_key"] == "event-7"
    assert body["expires"] == "7d"
    assert body["tags"] == {"event": "8", "round": "1"}
    assert body["notify"] == [
        {"email": "ana@example.com"},
        {"email": "ben@example.com"},
        {"webhook": "https://example.com/hook"},
    ]
    assert sent(client, endpoint, BODY, notify="ana@example.com")["notify"] == [{"email": "ana@example.com"}]
    assert document["tags"] == {"event": "7"}


def test_a_field_written_twice_is_still_said(client: Client) -> None:
    text = '{"type": "self-test", "title": "a", "title": "b"}'
    with pytest.raises(DocumentError, match="title"):
        client.jobs.submit(text, tags={"event": "7"})


def test_a_type_that_only_the_service_has_is_its_to_judge(client: Client, endpoint: Endpoint) -> None:
    body = sent(client, endpoint, {"type": "csv-magic", "params": {"rows": 3}})
    assert body["type"] == "csv-magic"
    with pytest.raises(DocumentError, match="params"):
        client.jobs.submit({"type": "zip-export", "params": {}, "output": "s3://bucket/x"})


@pytest.mark.parametrize("url", ["", "ftp://x", "jobs.example.com", "batch://queue", "file:"])
def test_an_address_that_is_none_is_answered_with_those_that_are(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHLAB_URL", url)
    with pytest.raises(UsageError, match=r"https://|batch://"):
        Client.from_env()


def test_the_environment_names_service_and_token(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHLAB_URL", endpoint.url)
    monkeypatch.setenv("BATCHLAB_TOKEN", "geheim")
    endpoint.answers(Says(INFO))
    with Client.from_env() as client:
        assert client.jobs.get(ID).id == ID
    assert endpoint.asked[0].headers["authorization"] == "Bearer geheim"


def test_a_list_asks_for_no_more_than_is_wanted(client: Client, endpoint: Endpoint) -> None:
    endpoint.answers(Says({"jobs": [INFO] * 3, "next": "c"}), Says({"jobs": [INFO] * 3, "next": "d"}))
    assert len(list(client.jobs.list(limit=4))) == 4
    assert [asked.query["limit"] for asked in endpoint.asked] == ["4", "1"]
    jobs = client.jobs.list()
    next(jobs)
    assert len(endpoint.asked) == 3  # the next page is asked for when it is wanted


def test_a_list_says_which_states_there_are(client: Client) -> None:
    with pytest.raises(UsageError, match="Did you mean partial"):
        list(client.jobs.list(status="partal"))
    with pytest.raises(UsageError, match="limit"):
        list(client.jobs.list(limit=0))


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def info_of(state: str = "running", **counts: int) -> JobInfo:
    return JobInfo(
        id=ID,
        type="zip-export",
        state=State(state),
        counts=Counts(**counts),
        created_at=datetime(2026, 11, 26, tzinfo=UTC),
    )


def test_without_a_word_from_the_service_a_quiet_job_is_looked_at_less_and_less() -> None:
    clock = Clock()
    following = Following(ID, monotonic=lambda: clock.now)
    pauses = []
    for _ in range(12):
        look = Look(info_of(done=1, total=2))
        following.news(look)
        pauses.append(following.pause(look))
    assert pauses[0] == 0.2
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5
    assert following.news(Look(info_of(done=2, total=2)))
    assert following.pause(look) == 0.2


def test_a_wait_is_never_longer_than_its_timeout_and_says_how_far_the_job_is() -> None:
    clock = Clock()
    following = Following(ID, timedelta(seconds=10), monotonic=lambda: clock.now)
    look = Look(info_of(done=12, total=40), again_after_seconds=60)
    following.news(look)
    assert following.pause(look) == 10
    clock.sleep(10)
    with pytest.raises(WaitTimeout, match=r"after 10 s \(running, 12 of 40 photos\)\. It goes on"):
        following.pause(look)


def test_a_service_that_is_away_for_minutes_does_not_end_a_wait() -> None:
    clock = Clock()
    following = Following(ID, monotonic=lambda: clock.now)
    following.news(Look(info_of()))
    error = ServiceError("away")
    while clock.now < 1290:
        clock.sleep(following.failed(error))
    following.news(Look(info_of()))  # it came back
    clock.sleep(following.failed(error))
    clock.sleep(400)
    with pytest.raises(ServiceError, match="away"):
        following.failed(error)


def test_a_service_that_restarts_between_submission_and_first_look_is_waited_for(endpoint: Endpoint) -> None:
    slept: list[float] = []
    backend = HttpBackend(endpoint.url, patience=Patience(attempts=1))
    endpoint.answers(HANG_UP, Says(status=503), Says(INFO | {"state": "succeeded"}))
    job = Job(backend, JobInfo.model_validate(INFO), sleep=slept.append)
    assert job.wait().state is State.SUCCEEDED
    assert slept == [5, 5]
    backend.close()


@pytest.mark.parametrize("trouble", [HANG_UP, Says(status=503, headers={"Retry-After": "30"})])
def test_a_wait_ends_in_time_whatever_the_service_asks_for(endpoint: Endpoint, trouble: Says) -> None:
    slept: list[float] = []
    backend = HttpBackend(
        endpoint.url, patience=Patience(first_seconds=30, longest_seconds=30), sleep=slept.append
    )
    endpoint.answers(trouble)
    job = Job(backend, JobInfo.model_validate(INFO))
    with pytest.raises(WaitTimeout, match="The last look failed: http://127"):
        job.wait(timeout=0.2)
    assert slept == []
    backend.close()


@pytest.mark.parametrize(("left", "seconds"), [(-1.0, 5.0), (0.0, 5.0), (7.0, 7.0), (math.inf, 60.0)])
def test_a_request_waits_no_longer_than_its_caller_has_time(left: float, seconds: float) -> None:
    request = Address.parse("https://jobs.example.com").request(httpx.Client(), look(ID), left)
    assert request.extensions["timeout"]["read"] == seconds
    assert request.extensions["timeout"]["connect"] == min(seconds, 10.0)


def test_a_job_is_watched_through_an_outage(endpoint: Endpoint) -> None:
    slept: list[float] = []
    backend = HttpBackend(endpoint.url, patience=Patience(attempts=1))
    endpoint.answers(
        Says(INFO, headers={"Retry-After": "2"}),
        Says(status=502),
        Says(INFO | {"state": "running"}, headers={"Retry-After": "3"}),
        Says(INFO | {"state": "succeeded"}),
    )
    job = Job(backend, JobInfo.model_validate(INFO), sleep=slept.append)
    assert [info.state for info in job.watch()] == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    assert slept == [2, 5, 3]
    backend.close()
