from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from batchlab.backend import Backend, JobQuery
from batchlab.document import JobDocument, load_document
from batchlab.errors import BatchlabError, Denied, DocumentError, NotFound, ServiceError, UsageError
from batchlab.http_backend import HttpBackend
from batchlab.http_protocol import Patience
from batchlab.status import State
from tests.client.scripted_endpoint import HANG_UP, Asked, Endpoint, Says, scripted_endpoint, signature_fits

ID = "01jz8f3s2m9k4n5p6q7r8s9t0v"
INFO = {"id": ID, "type": "self-test", "state": "queued", "created_at": "2026-11-26T12:00:00Z"}
PROBLEM = {
    "title": "Wrong",
    "status": 422,
    "detail": "It is wrong.",
    "problems": ["a: wrong.", "b: wrong, too."],
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a/secret+key"}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with scripted_endpoint() as scripted:
        yield scripted


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def backend(endpoint: Endpoint, slept: list[float]) -> Iterator[HttpBackend]:
    made = HttpBackend(endpoint.url, token="a-token", patience=Patience(attempts=3), sleep=slept.append)
    yield made
    made.close()


def self_test(**fields: Any) -> JobDocument:
    return load_document({"type": "self-test", **fields})


def test_it_is_a_backend(backend: HttpBackend) -> None:
    seen: Backend = backend
    assert {name for name in dir(Backend) if not name.startswith("_")} <= set(dir(seen))


def test_a_document_is_sent_as_it_is_with_its_key_and_the_token(
    backend: HttpBackend, endpoint: Endpoint
) -> None:
    endpoint.answers(Says(INFO, 202))
    document = self_test(title="Ana ♥ Ben 婚礼", idempotency_key="event-7")
    assert backend.submit(document).state is State.QUEUED
    asked = endpoint.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/jobs")
    assert asked.json == document.as_json()
    assert asked.headers["idempotency-key"] == "event-7"
    assert asked.headers["authorization"] == "Bearer a-token"


def test_a_document_without_a_key_is_submitted_under_its_id_so_that_it_may_be_repeated(
    backend: HttpBackend, endpoint: Endpoint, slept: list[float]
) -> None:
    endpoint.answers(HANG_UP, Says(status=502), Says(INFO, 202))
    document = self_test()
    assert backend.submit(document).id == ID
    assert [asked.headers["idempotency-key"] for asked in endpoint.asked] == [document.id] * 3
    assert len({asked.body for asked in endpoint.asked}) == 1
    assert len(slept) == 2


def test_a_key_in_other_letters_stands_in_the_document_alone(
    backend: HttpBackend, endpoint: Endpoint
) -> None:
    endpoint.answers(Says(INFO, 202))
    backend.submit(self_test(idempotency_key="Größe 7"))
    assert "idempotency-key" not in endpoint.asked[0].headers
    assert endpoint.asked[0].json["idempotency_key"] == "Größe 7"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_service_is_asked_again(backend: HttpBackend, endpoint: Endpoint, status: int) -> None:
    endpoint.answers(Says(status=status), Says(INFO))
    assert backend.get(ID).id == ID
    assert len(endpoint.asked) == 2


def test_a_submission_that_is_in_flight_is_asked_again(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(Says({"title": "In flight", "status": 409}, 409), Says(INFO, 202))
    assert backend.submit(self_test()).id == ID


def test_a_service_that_stays_away_is_told_after_the_last_attempt(
    backend: HttpBackend, endpoint: Endpoint
) -> None:
    endpoint.answers(Says({"title": "Busy", "status": 503, "detail": "Too much to do."}, 503))
    with pytest.raises(ServiceError, match=r"503: Too much to do\. Try again"):
        backend.get(ID)
    assert len(endpoint.asked) == 3


def test_the_service_is_given_the_time_it_asks_for(
    backend: HttpBackend, endpoint: Endpoint, slept: list[float]
) -> None:
    endpoint.answers(Says(status=429, headers={"Retry-After": "7"}), Says(INFO))
    backend.get(ID)
    assert slept == [7.0]


def test_a_compressed_answer_is_read() -> None:
    packed = gzip.compress(json.dumps(INFO).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=packed))
    backend = HttpBackend("https://jobs.example.com", transport=transport)
    assert backend.get(ID).id == ID
    backend.close()


class Dripping(httpx.SyncByteStream):
    """A body that comes piece by piece, an hour each by `clock`."""

    def __init__(self, clock: list[float]) -> None:
        self._clock = clock

    def __iter__(self) -> Iterator[bytes]:
        for letter in json.dumps(INFO).encode():
            self._clock[0] += 3600.0
            yield bytes([letter])


def test_an_answer_that_comes_byte_by_byte_is_left_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("batchlab.http_answers.time.monotonic", lambda: clock[0])
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Dripping(clock)))
    backend = HttpBackend(
        "https://jobs.example.com", patience=Patience(attempts=2), transport=transport, sleep=slept.append
    )
    with pytest.raises(ServiceError, match=r"did not answer .*too slowly"):
        backend.get(ID)
    assert (clock[0], len(slept)) == (7200.0, 1)
    backend.close()


@pytest.mark.parametrize(
    "wish",
    ["soon", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "Fri, 31 Dec 2026 23:59:59 +99999999999999999"],
)
def test_a_pause_that_cannot_be_read_is_none(
    backend: HttpBackend, endpoint: Endpoint, slept: list[float], wish: str
) -> None:
    endpoint.answers(Says(status=503, headers={"Retry-After": wish}), Says(INFO))
    assert backend.get(ID).id == ID
    assert len(slept) == 1


def test_a_service_that_asks_for_an_hour_is_not_waited_for(
    backend: HttpBackend, endpoint: Endpoint, slept: list[float]
) -> None:
    endpoint.answers(Says(status=503, headers={"Retry-After": "3600"}), Says(INFO))
    with pytest.raises(ServiceError):
        backend.get(ID)
    assert slept == []


def test_the_pauses_grow_and_are_never_the_same() -> None:
    patience = Patience(first_seconds=1, longest_seconds=8)
    drawn = [{patience.pause(attempt, None) for _ in range(50)} for attempt in range(1, 7)]
    assert all(len(pauses) > 40 for pauses in drawn)
    bounds = [1, 2, 4, 8, 8, 8]
    assert all(
        bound / 2 <= pause <= bound for bound, pauses in zip(bounds, drawn, strict=True) for pause in pauses
    )


def test_a_retry_whose_answer_was_lost_is_not_repeated(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(HANG_UP, Says(INFO))
    with pytest.raises(ServiceError, match="look at the job before you repeat it"):
        backend.retry(ID)
    assert len(endpoint.asked) == 1


def test_a_retry_that_was_turned_away_is_repeated(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(Says(status=503), Says(INFO))
    assert backend.retry(ID).id == ID


def test_a_port_where_nobody_listens_is_said_with_what_to_check(slept: list[float]) -> None:
    with scripted_endpoint() as endpoint:
        url = endpoint.url
    backend = HttpBackend(url, patience=Patience(attempts=2), sleep=slept.append)
    with pytest.raises(ServiceError, match=r"did not answer.*Check BATCHLAB_URL"):
        backend.retry(ID)
    assert len(slept) == 1  # nothing had been sent, so even a retry may be tried again
    backend.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, DocumentError),
        (401, Denied),
        (403, Denied),
        (404, NotFound),
        (409, DocumentError),
        (410, DocumentError),
        (413, DocumentError),
        (415, DocumentError),
        (422, DocumentError),
        (501, ServiceError),
        (418, ServiceError),
    ],
)
def test_each_refusal_is_the_error_that_the_other_backends_raise(
    backend: HttpBackend, endpoint: Endpoint, status: int, error: type[BatchlabError]
) -> None:
    endpoint.answers(Says({"title": "No", "status": status, "detail": "Because of this."}, status))
    with pytest.raises(error, match=r"Because of this"):
        backend.cancel(ID)
    assert len(endpoint.asked) == 1


def test_everything_wrong_with_a_document_comes_back_line_by_line(
    backend: HttpBackend, endpoint: Endpoint
) -> None:
    endpoint.answers(Says(PROBLEM, 422, {"Content-Type": "application/problem+json"}))
    with pytest.raises(DocumentError) as raised:
        backend.submit(self_test())
    assert raised.value.problems == ["a: wrong.", "b: wrong, too."]


@pytest.mark.parametrize("body", [None, "<html>", ["a"], {"id": 7}])
def test_an_answer_that_is_not_ours_is_said_and_no_traceback(
    backend: HttpBackend, endpoint: Endpoint, body: Any
) -> None:
    endpoint.answers(Says(body))
    with pytest.raises(ServiceError, match="none of batchlab's"):
        backend.get(ID)


def test_a_redirect_is_not_followed_with_the_token(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(Says(status=307, headers={"Location": "https://elsewhere.example/v1/jobs?token=x"}))
    with pytest.raises(ServiceError, match=r"sends us on to https://elsewhere\.example/v1/jobs") as raised:
        backend.get(ID)
    assert "token=x" not in str(raised.value)
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("text", ["../types", "", "latest", "01jz8f3s2m9k4n5p6q7r8s9t0v/cancel", "ü"])
def test_what_is_no_id_is_not_sent(backend: HttpBackend, endpoint: Endpoint, text: str) -> None:
    with pytest.raises(NotFound):
        backend.cancel(text)
    assert endpoint.asked == []


def test_a_list_is_asked_for_by_state_type_tag_and_time(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(Says({"jobs": [INFO], "next": "c+/="}))
    page = backend.list(
        JobQuery(
            state=State.PARTIAL,
            type="zip-export",
            tag=("event", "a&b=ü 7"),
            since=datetime(2026, 6, 6, tzinfo=UTC),
            limit=7,
            cursor="a+/=",
        )
    )
    assert (page.jobs[0].id, page.next) == (ID, "c+/=")
    assert endpoint.asked[0].query == {
        "status": "partial",
        "type": "zip-export",
        "tag": "event=a&b=ü 7",
        "since": "2026-06-06T00:00:00+00:00",
        "limit": "7",
        "cursor": "a+/=",
    }


def test_an_unchanged_job_is_not_sent_again(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(
        Says(INFO, headers={"ETag": '"1"', "Retry-After": "3"}),
        Says(status=304, headers={"Retry-After": "30"}),
    )
    first = backend.look(ID)
    second = backend.look(ID, first)
    assert endpoint.asked[1].headers["if-none-match"] == '"1"'
    assert (second.info, first.again_after_seconds, second.again_after_seconds) == (first.info, 3, 30)


def test_the_other_questions_find_their_paths(backend: HttpBackend, endpoint: Endpoint) -> None:
    answers: dict[str, Any] = {
        "/v1/estimates": {"items": 3},
        f"/v1/jobs/{ID}/items": {"items": [{"key": "1", "outcome": "failed"}]},
        f"/v1/jobs/{ID}/logs": {"lines": [], "next": "x", "ended": True},
        f"/v1/jobs/{ID}/link": {"page": "https://x/s/1", "downloads": ["https://x/d/1"]},
        f"/v1/jobs/{ID}/notifications/replay": {"replayed": 2},
        "/v1/job-types": {"job_types": [{"name": "zip-export"}]},
    }
    endpoint.answers(lambda asked: Says(answers[asked.path]))
    assert backend.estimate(self_test()).items == 3
    assert backend.items(ID, outcome="failed", cursor="c").items[0].key == "1"
    assert endpoint.asked[1].query == {"outcome": "failed", "limit": "1000", "cursor": "c"}
    assert backend.logs(ID).ended
    assert backend.link(ID).downloads == ("https://x/d/1",)
    assert backend.replay(ID) == 2
    assert backend.job_types()[0].name == "zip-export"


@pytest.mark.parametrize(
    "url",
    [
        "http://jobs.example.com",
        "http://127.0.0.1.example.com",
        "ftp://jobs.example.com",
        "https://",
        "https://user:pass@jobs.example.com",
        "https://jobs.example.com?token=x",
        "https://jobs.example.com?auth=basic",
        "https://jobs.example.com#x",
        "https://jobs.example.com:port",
    ],
)
def test_an_address_that_would_show_the_token_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        HttpBackend(url, token="a-token")
    assert "pass@" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://[::1]:80/", "http://localhost", "https://x.example/a/"]
)
def test_https_and_this_machine_are_taken(url: str) -> None:
    HttpBackend(url, token="a-token").close()


def test_many_threads_share_one_backend(backend: HttpBackend, endpoint: Endpoint) -> None:
    endpoint.answers(Says(INFO))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(backend.get(ID).id)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ID] * 16


def test_requests_to_a_function_url_are_signed_for_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    sent: list[Asked] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent.append(Asked(request.method, request.url.raw_path.decode(), headers, request.content))
        return httpx.Response(200, json=INFO if request.method == "POST" else {"jobs": []})

    host = "abcdefgh1234.lambda-url.eu-central-1.on.aws"
    backend = HttpBackend(f"https://{host}", token="never", transport=httpx.MockTransport(answer))
    backend.submit(self_test(title="Größe"))
    backend.list(JobQuery(tag=("event", "a b+c/ü~*"), cursor="x=="))
    for asked in sent:
        assert asked.headers["host"] == host
        assert signature_fits(asked, CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "lambda", "eu-central-1")
        assert not signature_fits(asked, "another", "lambda", "eu-central-1")
        assert "never" not in str(asked.headers)
    tampered = Asked(sent[0].method, sent[0].target, sent[0].headers, sent[0].body + b" ")
    assert not signature_fits(tampered, CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "lambda", "eu-central-1")
    backend.close()


def test_signatures_can_be_asked_for_on_another_host(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        CREDENTIALS | {"AWS_DEFAULT_REGION": "us-east-1", "AWS_SESSION_TOKEN": "short"}
    ).items():
        monkeypatch.setenv(name, value)
    endpoint.answers(Says(status=503), Says(INFO))
    backend = HttpBackend(f"{endpoint.url}/?auth=aws", sleep=lambda _: None)
    backend.get(ID)
    assert [asked.target for asked in endpoint.asked] == [f"/v1/jobs/{ID}"] * 2
    for asked in endpoint.asked:
        assert asked.headers["x-amz-security-token"] == "short"
        assert signature_fits(asked, CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "lambda", "us-east-1")
    backend.close()


def test_without_credentials_or_region_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Denied, match="AWS_PROFILE"):
        HttpBackend("https://abc.lambda-url.us-east-1.on.aws")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="AWS_DEFAULT_REGION"):
        HttpBackend("https://jobs.example.com/?auth=aws")
