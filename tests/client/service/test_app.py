"""batchlab.service.app: what callers get over HTTP, at their best and at their worst."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from batchlab.api import JobInfo
from batchlab.job_index import list_jobs
from batchlab.page.pages import MemoryPages
from batchlab.service import lambdas
from batchlab.service.api_app import make_api
from batchlab.service.app import make_app
from batchlab.service.bodies import Bodies
from batchlab.service.jobs import Jobs
from batchlab.service.rate_limit import RateLimit
from batchlab.service.turns import Turns
from batchlab.status import State
from tests.client.service.scenes import Scene

JSON = {"content-type": "application/json"}
SELF_TEST = b'{"type": "self-test"}'
ALLOWED: dict[str, Any] = {
    "job_types": ("self-test", "zip-export"),
    "output_roots": ("s3://exports/",),
    "http_hosts": ("photos.example.com",),
    "public_base_url": "https://jobs.example.com",
}


class Endpoint:
    """The application, asked in this process."""

    def __init__(self, *, base: str = "http://localhost:8321", **settings: Any) -> None:
        self.scene = Scene(**{**ALLOWED, **settings})
        self.backend = Jobs(self.scene.service)
        self.app: Any = make_app(self.scene.settings, backend=self.backend, pages=self.scene.service.pages)
        self.base = base

    def ask(
        self, method: str, path: str, content: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(self.app), base_url=self.base
            ) as client:
                return await client.request(method, path, content=content, headers=headers or {})

        return asyncio.run(send())

    def submit(self, body: bytes = SELF_TEST, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/v1/jobs", body, {**JSON, **named})


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a problem with this status; nothing of ours shows."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["title"]
    assert "Traceback" not in answer.text and ".py" not in answer.text
    return str(body["detail"])


# -- submitting --------------------------------------------------------------------------------------------------


def test_a_submitted_job_is_accepted_with_its_address_and_when_to_look(endpoint: Endpoint) -> None:
    answer = endpoint.submit(b'{"type": "self-test", "title": "Ana & Ben", "tags": {"event": "7"}}')
    assert answer.status_code == 202
    info = JobInfo.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/v1/jobs/{info.id}"
    assert int(answer.headers["retry-after"]) > 0
    assert (info.state, info.title, info.tags) == (State.QUEUED, "Ana & Ben", {"event": "7"})
    assert info.page is not None and info.page.startswith("https://jobs.example.com/s/")


def test_yaml_is_as_good(endpoint: Endpoint) -> None:
    answer = endpoint.ask(
        "POST", "/v1/jobs", "type: self-test\n", {"content-type": "application/yaml; charset=utf-8"}
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("in_body", [True, False])
def test_one_key_is_one_job_and_another_document_is_refused(endpoint: Endpoint, in_body: bool) -> None:
    def submit(title: str) -> httpx.Response:
        document = {"type": "self-test", "title": title} | ({"idempotency_key": "night-7"} if in_body else {})
        return endpoint.submit(
            json.dumps(document).encode(), **({} if in_body else {"idempotency_key": "night-7"})
        )

    first, second = submit("A"), submit("A")
    assert first.json()["id"] == second.json()["id"]
    assert second.status_code == 202
    assert "another content" in problem(submit("B"), 422)


def test_the_key_in_the_header_and_the_one_in_the_document_are_one(endpoint: Endpoint) -> None:
    body = json.dumps({"type": "self-test", "idempotency_key": "müller 7"}).encode()
    assert endpoint.submit(body, idempotency_key="m%C3%BCller%207").status_code == 202
    assert "another one" in problem(endpoint.submit(body, idempotency_key="mueller"), 422)


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(endpoint: Endpoint, key: str) -> None:
    assert "Idempotency-Key" in problem(endpoint.submit(idempotency_key=key), 422)


def test_while_the_same_submission_hangs_a_second_one_is_asked_to_come_again(endpoint: Endpoint) -> None:
    begun, go_on = threading.Event(), threading.Event()
    create = endpoint.scene.store.create

    def slow(name: str, body: Any) -> str:
        if name.startswith("jobs/"):
            begun.set()
            assert go_on.wait(30)
        return create(name, body)

    endpoint.scene.store.create = slow  # type: ignore[method-assign]
    endpoint.backend.turns = Turns(wait_seconds=0.01)
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(endpoint.submit(idempotency_key="k")))
    first.start()
    try:
        assert begun.wait(30)
        second = endpoint.submit(idempotency_key="k")
        assert "still being worked on" in problem(second, 409)
        assert int(second.headers["retry-after"]) > 0
    finally:
        go_on.set()
        first.join()
    assert answers[0].status_code == 202
    assert endpoint.submit(idempotency_key="k").json()["id"] == answers[0].json()["id"]


def test_everything_that_is_not_allowed_is_said_at_once_with_the_settings_to_change(
    endpoint: Endpoint,
) -> None:
    document = {
        "type": "zip-export",
        "output": "s3://elsewhere/x",
        "params": {
            "items": [
                "https://other.example/1.jpg",
                {"manifest": "s3://lists/a.csv"},
                "http://169.254.169.254/x",
            ]
        },
        "notify": [{"webhook": "https://hooks.example/end"}],
    }
    answer = endpoint.submit(json.dumps(document).encode())
    problem(answer, 422)
    said = "\n".join(answer.json()["problems"])
    for setting in ("OUTPUT_ROOTS", "HTTP_HOSTS", "SOURCE_ROOTS", "WEBHOOK_HOSTS"):
        assert f"BATCHLAB_{setting}" in said
    assert "169.254.169.254" in said
    assert list(list_jobs(endpoint.scene.store)) == []


def test_a_list_on_a_host_that_is_not_allowed_is_one_mistake_and_not_five_thousand(
    endpoint: Endpoint,
) -> None:
    items = [f"https://other.example/{number}.jpg" for number in range(5_000)]
    document = {"type": "zip-export", "output": "s3://exports/x", "params": {"items": items}}
    answer = endpoint.submit(json.dumps(document).encode())
    problem(answer, 422)
    assert len(answer.json()["problems"]) < 100


def test_a_submission_of_a_file_on_this_machine_is_refused(endpoint: Endpoint) -> None:
    document = {"type": "zip-export", "output": "file:///etc", "params": {"items": ["s3://exports/1.jpg"]}}
    assert "file:///etc" in problem(endpoint.submit(json.dumps(document).encode()), 422)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "an object"),
        (b"\xff\xfe{", "UTF-16"),
        (b"\x80", "not UTF-8"),
        (b'{"type": "self-test", "type": "x"}', "more than once"),
        (b'{"type": "self-test", "params": {"network": NaN}}', "no numbers"),
        (b'{"type": "self-test", "shards": ' + b"9" * 5_000 + b"}", "too long"),
        (b'{"type": "\\ud800"}', "half of a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"type": "self-tset"}', "Did you mean self-test"),
        (b'{"type": "self-test", "ouput": "s3://exports/"}', "output"),
        (b"," * 2_000_000, "empty"),
    ],
)
def test_a_malformed_document_is_a_clear_refusal(endpoint: Endpoint, body: bytes, said: str) -> None:
    answer = endpoint.submit(body)
    problem(answer, 422)
    if said != "empty":
        assert said in "\n".join(answer.json()["problems"])
    assert len(answer.content) < 300_000


def test_a_body_of_another_type_or_compressed_is_refused(endpoint: Endpoint) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert "application/json" in problem(
            endpoint.ask("POST", "/v1/jobs", SELF_TEST, {"content-type": kind}), 415
        )
    problem(endpoint.submit(content_encoding="gzip"), 415)


def test_a_body_that_is_too_large_is_refused_and_told_of_manifests(endpoint: Endpoint) -> None:
    assert "manifest" in problem(endpoint.submit(b" " * (6 * 1024**2 + 1)), 413)


def test_a_hundred_thousand_items_by_manifest_are_a_small_document(endpoint: Endpoint) -> None:
    item = {"manifest": "https://photos.example.com/event.csv", "count": 100_000}
    document = {"type": "zip-export", "output": "s3://exports/x", "params": {"items": [item]}}
    assert endpoint.submit(json.dumps(document).encode()).status_code == 202


def test_a_slow_body_is_cut() -> None:
    endpoint = Endpoint()
    endpoint.app = make_api(endpoint.backend, endpoint.scene.settings, bodies=Bodies(seconds=0.05))

    async def drip() -> Any:
        yield b'{"type":'
        await asyncio.sleep(30)
        yield b'"self-test"}'

    assert "did not arrive" in problem(endpoint.ask("POST", "/v1/jobs", drip(), JSON), 408)


def test_more_bodies_than_memory_is_meant_for_wait_outside() -> None:
    endpoint = Endpoint()
    endpoint.app = make_api(endpoint.backend, endpoint.scene.settings, bodies=Bodies(held_bytes=10))
    answer = endpoint.submit()
    assert "Too much" in problem(answer, 503)
    assert "retry-after" in answer.headers
    assert endpoint.submit(b"{}").status_code == 422, "what was held was given back"


# -- asking ------------------------------------------------------------------------------------------------------


def test_a_job_has_a_strong_etag_and_is_not_sent_twice(endpoint: Endpoint) -> None:
    job = endpoint.submit().json()["id"]
    first = endpoint.ask("GET", f"/v1/jobs/{job}")
    etag = first.headers["etag"]
    assert etag.startswith('"')
    again = endpoint.ask("GET", f"/v1/jobs/{job}", headers={"if-none-match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert int(again.headers["retry-after"]) > 0
    endpoint.ask("POST", f"/v1/jobs/{job}/cancel")
    assert endpoint.ask("GET", f"/v1/jobs/{job}", headers={"if-none-match": etag}).status_code == 200


def test_a_job_that_has_ended_asks_nobody_to_come_again(endpoint: Endpoint) -> None:
    records = endpoint.scene.submit()
    endpoint.scene.move(records, State.FAILED)
    assert "retry-after" not in endpoint.ask("GET", f"/v1/jobs/{records.id}").headers


def test_jobs_are_listed_by_pages_and_by_what_they_are(endpoint: Endpoint) -> None:
    for number in range(5):
        endpoint.submit(json.dumps({"type": "self-test", "tags": {"event": str(number % 2)}}).encode())
    seen: list[str] = []
    path = "/v1/jobs?limit=2"
    while path:
        page = endpoint.ask("GET", path).json()
        seen += [job["id"] for job in page["jobs"]]
        path = f"/v1/jobs?limit=2&cursor={page['next']}" if page["next"] else ""
    assert len(seen) == len(set(seen)) == 5
    assert len(endpoint.ask("GET", "/v1/jobs?tag=event=1").json()["jobs"]) == 2
    assert endpoint.ask("GET", "/v1/jobs?status=partial").json() == {"jobs": [], "next": None}
    assert len(endpoint.ask("GET", "/v1/jobs?since=7d&type=self-test").json()["jobs"]) == 0, (
        "of a store in May"
    )
    assert len(endpoint.ask("GET", "/v1/jobs?since=2026-05-01").json()["jobs"]) == 5


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=partial", "Did you mean status?"),
        ("status=done", "status"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("tag=event", "NAME=VALUE"),
        ("since=yesterday", "7d"),
        ("cursor=%00", "cursor"),
        ("cursor=Li4vLi4vZXRj", "cursor"),
        ("since=99999999999999d", "since"),
    ],
)
def test_a_question_that_is_none_is_refused_with_what_was_meant(
    endpoint: Endpoint, query: str, said: str
) -> None:
    answer = endpoint.ask("GET", f"/v1/jobs?{query}")
    assert said in problem(answer, 422)


def test_the_types_that_may_be_submitted_are_listed_with_their_params(endpoint: Endpoint) -> None:
    types = endpoint.ask("GET", "/v1/job-types").json()["job_types"]
    assert [each["name"] for each in types] == ["self-test", "zip-export"]
    assert "items" in types[1]["params"]["properties"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/jobs/nothing", 404),
        ("GET", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs", 404),
        ("GET", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs/items", 404),
        ("GET", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs/logs", 404),
        ("GET", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs/link", 404),
        ("POST", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs/cancel", 404),
        ("POST", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs/retry", 404),
        ("POST", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs/notifications/replay", 404),
        ("GET", "/v2/jobs", 404),
        ("GET", "/v1/jobs/..%2f..%2fetc", 404),
        ("DELETE", "/v1/jobs", 405),
        ("PUT", "/v1/jobs/01kaz3m5d8r2w9y4b7e1h6n0qs", 405),
    ],
)
def test_what_is_not_there_is_a_problem_too(endpoint: Endpoint, method: str, path: str, status: int) -> None:
    problem(endpoint.ask(method, path), status)


def test_405_names_every_method_of_the_address(endpoint: Endpoint) -> None:
    assert endpoint.ask("DELETE", "/v1/jobs").headers["allow"] == "GET, POST"


def test_a_defect_is_told_without_its_traceback_and_a_store_that_is_away_with_when_to_come_again() -> None:
    endpoint = Endpoint()

    class Broken(Jobs):
        error: Exception

        def get(self, job_id: str) -> JobInfo:
            raise self.error

    broken = Broken(endpoint.scene.service)
    endpoint.app = make_api(broken, endpoint.scene.settings)
    broken.error = ValueError("the password is hunter2")
    assert "hunter2" not in problem(endpoint.ask("GET", "/v1/jobs/x"), 500)
    from batchlab.errors import ServiceError

    broken.error = ServiceError("s3://bucket?X-Amz-Signature=abc does not answer")
    answer = endpoint.ask("GET", "/v1/jobs/x")
    assert "Signature" not in problem(answer, 503)
    assert "retry-after" in answer.headers


def test_a_timeout_of_whoever_works_on_a_document_is_no_slow_body(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(document: Any) -> Any:
        raise TimeoutError

    monkeypatch.setattr(endpoint.backend, "submit", hang)
    problem(endpoint.submit(), 500)


# -- who may ask -------------------------------------------------------------------------------------------------


def test_with_a_token_only_who_shows_it_is_answered() -> None:
    endpoint = Endpoint(token="s3cret-token", base="https://jobs.example.com")
    assert (
        endpoint.ask("GET", "/v1/jobs", headers={"authorization": "Bearer s3cret-token"}).status_code == 200
    )
    for wrong in (
        "",
        "Bearer",
        "Bearer s3cret",
        "Bearer s3cret-tokenn",
        "Basic s3cret-token",
    ):
        answer = endpoint.ask("GET", "/v1/jobs", headers={"authorization": wrong} if wrong else {})
        assert "BATCHLAB_TOKEN" in problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8321", "localhost.evil.example", ""]
)
def test_without_a_token_a_name_that_only_leads_here_is_refused(endpoint: Endpoint, host: str) -> None:
    assert "BATCHLAB_TOKEN" in problem(endpoint.ask("GET", "/v1/jobs", headers={"host": host}), 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8321", "127.8.8.8", "[::1]:8321"])
def test_without_a_token_this_machine_is_answered(endpoint: Endpoint, host: str) -> None:
    assert endpoint.ask("GET", "/v1/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_without_a_token_a_proxy_on_this_machine_is_no_caller(endpoint: Endpoint, header: str) -> None:
    asked = endpoint.ask("GET", "/v1/jobs", headers={"host": "127.0.0.1:8321", header: "203.0.113.9"})
    assert "BATCHLAB_TOKEN" in problem(asked, 403)
    assert endpoint.ask("GET", "/healthz", headers={header: "203.0.113.9"}).status_code == 200


def test_a_page_of_another_site_cannot_cancel_a_job(endpoint: Endpoint) -> None:
    job = endpoint.submit().json()["id"]
    answer = endpoint.ask("POST", f"/v1/jobs/{job}/cancel", headers={"origin": "https://evil.example"})
    problem(answer, 403)
    assert endpoint.ask("GET", f"/v1/jobs/{job}").json()["state"] == "queued"
    assert "access-control-allow-origin" not in answer.headers


def test_in_lambda_iam_has_looked_already(endpoint: Endpoint) -> None:
    app: Any = make_app(endpoint.scene.settings, part="api", backend=endpoint.backend, in_lambda=True)
    endpoint.app = app
    assert (
        endpoint.ask("GET", "/v1/jobs", headers={"host": "abc.lambda-url.eu-central-1.on.aws"}).status_code
        == 200
    )


def test_a_function_url_of_lambda_is_answered_in_text_from_any_thread(endpoint: Endpoint) -> None:
    app = make_app(endpoint.scene.settings, part="api", backend=endpoint.backend, in_lambda=True)

    def event(method: str, path: str, body: str = "") -> dict[str, Any]:
        """Source: AWS Lambda Developer Guide, "Invoking Lambda function URLs": payload format 2.0."""
        http = {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "curl",
        }
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "host": "abc.lambda-url.eu-central-1.on.aws"},
            "requestContext": {
                "http": http,
                "domainName": "abc.lambda-url.eu-central-1.on.aws",
                "stage": "$default",
            },
            "body": base64.b64encode(body.encode()).decode(),
            "isBase64Encoded": True,
        }

    with ThreadPoolExecutor(1) as elsewhere:
        made = elsewhere.submit(
            lambdas._http, app, event("POST", "/v1/jobs", '{"type": "self-test"}'), None
        ).result()
    assert (made["statusCode"], made["isBase64Encoded"]) == (202, False)
    job = json.loads(made["body"])["id"]
    assert lambdas._http(app, event("GET", f"/v1/jobs/{job}"), None)["statusCode"] == 200
    refused = lambdas._http(app, event("POST", "/v1/jobs", "{"), None)
    assert (refused["statusCode"], refused["headers"]["content-type"]) == (422, "application/problem+json")
    assert json.loads(refused["body"])["problems"]


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    endpoint = Endpoint()
    seconds = [0.0]
    endpoint.app = RateLimit(endpoint.app, per_second=1, burst=2, monotonic=lambda: seconds[0])
    assert [endpoint.ask("GET", "/v1/jobs").status_code for _ in range(3)] == [200, 200, 429]
    answer = endpoint.ask("GET", "/v1/jobs")
    problem(answer, 429)
    assert answer.headers["retry-after"] == "1"
    seconds[0] += 1
    assert endpoint.ask("GET", "/v1/jobs").status_code == 200


# -- customers ---------------------------------------------------------------------------------------------------


def test_customers_open_their_page_from_anywhere_and_reach_nothing_else() -> None:
    endpoint = Endpoint(token="t")
    made = endpoint.submit(authorization="Bearer t").json()
    path = made["page"].removeprefix("https://jobs.example.com")
    page = endpoint.ask("GET", path, headers={"host": "anything.example"})
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert endpoint.ask("GET", f"{path}/status.json").json()["state"] == "queued"
    assert endpoint.ask("GET", "/healthz").text == "ok\n"
    assert endpoint.ask("HEAD", path).content == b""


def test_the_public_part_alone_knows_no_jobs() -> None:
    app: Any = make_app(
        Endpoint().scene.settings, part="public", pages=MemoryPages.named("x"), in_lambda=True
    )
    endpoint = Endpoint()
    endpoint.app = app
    assert endpoint.ask("GET", "/v1/jobs").status_code == 404
    assert endpoint.ask("GET", "/healthz").status_code == 200
