"""Commands whose jobs are behind a URL: submitted, watched, looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchlab.cli.log_lines import _said
from tests.client.cli.conftest import Command
from tests.client.scripted_endpoint import Asked, Endpoint, Says, scripted_endpoint
from tests.client.test_http_backend import ID, INFO, PROBLEM

RUNNING = INFO | {"type": "zip-export", "state": "running", "counts": {"total": 40, "done": 11, "failed": 1}}
PARTIAL = RUNNING | {"state": "partial", "counts": {"total": 40, "done": 39, "failed": 1}}
ESTIMATE = {
    "items": 412,
    "size_bytes": 1_600_000_000,
    "seconds": 59.0,
    "dollars": 0.146,
    "assumptions": ["A photo has 4.0 MB."],
    "unknown": ["How long it waits."],
}
FAILED = {"key": "7.jpg", "outcome": "failed", "kind": "missing", "message": "404\x1b[2J"}


class Service:
    """An endpoint whose job goes from one state to the next each time it is looked at."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.states = [INFO]
        endpoint.answers(self.answer)

    @property
    def url(self) -> str:
        return self.endpoint.url

    @property
    def asked(self) -> list[Asked]:
        return self.endpoint.asked

    def answer(self, asked: Asked) -> Says:
        if asked.path == f"/v1/jobs/{ID}":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return Says(state, headers={"Retry-After": "0"})
        answers: dict[str, Any] = {
            "/v1/estimates": ESTIMATE,
            f"/v1/jobs/{ID}/items": {"items": [FAILED]},
            f"/v1/jobs/{ID}/link": {"page": "https://x.example/s/1", "downloads": ["https://x.example/d/1"]},
            f"/v1/jobs/{ID}/logs": {
                "lines": [{"at": "2026-11-26T12:00:00Z", "text": "planned\x07"}],
                "next": "n",
                "ended": True,
            },
            f"/v1/jobs/{ID}/cancel": INFO | {"state": "cancelling"},
            f"/v1/jobs/{ID}/retry": INFO | {"generation": 2},
        }
        if asked.path == "/v1/jobs":
            return Says(INFO, 202) if asked.method == "POST" else Says({"jobs": [INFO]})
        return Says(answers[asked.path])


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with scripted_endpoint() as scripted:
        monkeypatch.setenv("BATCHLAB_URL", scripted.url)
        yield Service(scripted)


@pytest.fixture
def document(here: Path) -> str:
    (here / "job.yaml").write_text("type: self-test\n")
    return "job.yaml"


def submitted(service: Service) -> list[Asked]:
    return [asked for asked in service.asked if (asked.method, asked.path) == ("POST", "/v1/jobs")]


def test_a_submit_prints_the_id_and_says_what_to_type_next(
    batchlab: Command, service: Service, document: str
) -> None:
    ran = batchlab("submit", document, "--key", "event-7")
    assert (ran.code, ran.out) == (0, f"{ID}\n")
    for command in (f"watch {ID}", f"logs {ID} -f", f"cancel {ID}", f"link {ID}"):
        assert f"  batchlab {command} " in ran.err
    assert submitted(service)[0].headers["idempotency-key"] == "event-7"


def test_what_to_type_next_names_a_url_that_was_typed(
    batchlab: Command, service: Service, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BATCHLAB_URL")
    assert (
        f"batchlab watch {ID} --url {service.url} " in batchlab("submit", document, "--url", service.url).err
    )


def test_a_submit_that_waits_ends_as_the_job_does(batchlab: Command, service: Service, document: str) -> None:
    service.states = [INFO, RUNNING, PARTIAL]
    ran = batchlab("submit", document, "--wait", "--json")
    assert (ran.code, ran.err) == (3, "")
    assert json.loads(ran.out)["state"] == "partial"


def test_an_estimate_is_shown_and_nothing_is_submitted_where_nobody_can_say_yes(
    batchlab: Command, service: Service, document: str
) -> None:
    ran = batchlab("submit", document, "--estimate")
    assert (ran.code, ran.out, submitted(service)) == (2, "", [])
    assert "412 checks, 1.6 GB, about 59 s, about $0.15" in ran.err
    assert "Not known: How long it waits." in ran.err
    assert "--yes" in ran.err


def test_yes_beforehand_submits_after_the_estimate(
    batchlab: Command, service: Service, document: str
) -> None:
    assert batchlab("submit", document, "--estimate", "--yes").code == 0
    assert [asked.path for asked in service.asked] == ["/v1/estimates", "/v1/jobs"]


@pytest.mark.parametrize(("answer", "code", "count"), [("y", 0, 1), ("n", 2, 0), ("", 2, 0)])
def test_a_person_is_asked_before_anything_is_spent(
    batchlab: Command,
    service: Service,
    document: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    count: int,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda text, **_: answer == "y")
    ran = batchlab("submit", document, "--estimate")
    assert (ran.code, len(submitted(service))) == (code, count)
    assert ("Nothing was submitted." in ran.err) == (count == 0)


def test_everything_wrong_with_a_document_is_a_line_each(
    batchlab: Command, service: Service, document: str
) -> None:
    service.endpoint.answers(Says(PROBLEM, 422))
    ran = batchlab("submit", document)
    assert (ran.code, ran.err) == (2, "batchlab: a: wrong.\nbatchlab: b: wrong, too.\n")


def test_a_type_that_is_not_installed_here_is_for_the_service_to_judge(
    batchlab: Command, service: Service, here: Path
) -> None:
    (here / "job.yaml").write_text("type: csv-magic\n")
    assert batchlab("submit", "job.yaml").code == 0
    assert submitted(service)[0].json["type"] == "csv-magic"


def test_a_job_is_watched_to_its_end_with_few_lines(batchlab: Command, service: Service) -> None:
    service.states = [INFO, RUNNING, RUNNING, PARTIAL]
    ran = batchlab("watch", ID)
    assert ran.code == 3
    assert [line[9:] for line in ran.err.splitlines()] == [
        "running: 12 of 40 photos (30 %), 1 failed",
        "partial: 40 of 40 photos (100 %), 1 failed",
    ]
    assert "partial: 39 of 40 photos done, 1 failed." in ran.out


def test_fail_fast_leaves_at_the_first_failure_and_names_it(batchlab: Command, service: Service) -> None:
    service.states = [INFO, RUNNING]
    ran = batchlab("watch", ID, "--fail-fast", "--compact")
    assert ran.code == 1
    assert "1 photo failed; the job goes on:" in ran.out
    assert "7.jpg  missing: 404\N{REPLACEMENT CHARACTER}[2J" in ran.out
    assert f"batchlab cancel {ID}" in ran.out


def test_compact_says_changes_of_state_and_failures_only(batchlab: Command, service: Service) -> None:
    more = [RUNNING | {"counts": {"total": 40, "done": done}} for done in (1, 10, 20, 30)]
    service.states = [INFO, *more, PARTIAL]
    assert [line[9:16] for line in batchlab("watch", ID, "--compact").err.splitlines()] == [
        "running",
        "partial",
    ]


def test_a_watch_that_takes_too_long_ends_with_124(batchlab: Command, service: Service) -> None:
    ran = batchlab("watch", ID, "--timeout", "1ms")
    assert ran.code == 124
    assert "It goes on" in ran.err
    assert batchlab("watch", ID, "--timeout", "soon").code == 2


def test_ctrl_c_leaves_the_job_alone_and_says_so(
    batchlab: Command, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("batchlab.cli.progress.Lines.show", interrupt)
    ran = batchlab("watch", ID)
    assert (ran.code, ran.err.splitlines()[0]) == (75, f"Detached: job {ID} goes on.")
    assert not any(asked.method == "POST" for asked in service.asked)


def test_looking_commands_ask_the_service(batchlab: Command, service: Service) -> None:
    assert f"self-test {ID} queued" in batchlab("status", "latest").out
    assert json.loads(batchlab("status", ID[:8], "--json").out)["id"] == ID
    assert "7.jpg  missing" in batchlab("items", ID, "--failed").out
    assert ID in batchlab("list", "--status", "queued", "--tag", "event=7").out
    assert service.asked[-1].query == {"status": "queued", "tag": "event=7", "limit": "20"}
    assert batchlab("link", ID).out == "page      https://x.example/s/1\ndownload  https://x.example/d/1\n"
    assert batchlab("logs", ID, "--follow").out == "2026-11-26 12:00:00 planned\N{REPLACEMENT CHARACTER}\n"
    assert json.loads(batchlab("logs", ID, "--json").out)["text"] == "planned\x07"
    assert batchlab("cancel", ID).out == f"Job {ID} is asked to stop. See: batchlab status {ID}\n"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (
            '{"time": "2026-11-26T12:00:00Z", "level": "INFO", "message": "START: zip-export"}',
            "START: zip-export",
        ),
        ('{"level": "WARNING", "message": "1.jpg is gone"}', "WARNING: 1.jpg is gone"),
        ('{"level": "ERROR", "message": "a defect", "exception": "Traceback"}', "ERROR: a defect\nTraceback"),
        ('{"other": "program"}', '{"other": "program"}'),
        ("[1]", "[1]"),
        ("", " "),
    ],
)
def test_what_runs_wrote_as_json_is_read_to_people(written: str, shown: str) -> None:
    assert _said(written) == shown


def test_a_retry_is_asked_for_and_not_run_here(batchlab: Command, service: Service) -> None:
    ran = batchlab("retry", ID)
    assert (ran.code, ran.out) == (0, f"{ID}\n")
    assert "Generation 2 is on its way." in ran.err
    service.states = [PARTIAL]
    assert batchlab("retry", ID, "--wait", "--quiet").code == 3
    assert batchlab("retry", ID, "--config", "entries.json").code == 2


def test_a_typed_store_goes_before_the_url(batchlab: Command, service: Service, here: Path) -> None:
    assert "No such job in" in batchlab("list", "--store", str(here / "store")).out
    assert service.asked == []


def test_a_job_that_ran_here_is_not_sought_in_vain(batchlab: Command, service: Service) -> None:
    service.endpoint.answers(
        Says({"title": "Not Found", "status": 404, "detail": "There is no such job."}, 404)
    )
    ran = batchlab("status", ID)
    assert ran.code == 5
    assert "There is no such job. BATCHLAB_URL is http://127.0.0.1:" in ran.err
    assert "--store DIRECTORY" in ran.err


def test_an_estimate_comes_from_the_service_or_with_other_prices_from_here(
    batchlab: Command, service: Service, here: Path
) -> None:
    from batchlab.prices import OURS

    items = [{"url": "https://example.com/1.jpg", "size": 4_000_000_000}]
    body = {"type": "zip-export", "params": {"items": items}, "output": "r2://bucket/exports"}
    (here / "job.json").write_text(json.dumps(body))
    assert json.loads(batchlab("estimate", "job.json", "--json").out)["items"] == 412
    (here / "prices.json").write_text(json.dumps(json.loads(OURS.read_text()) | {"egress_gb": 10.0}))
    ran = batchlab("estimate", "job.json", "--prices", "prices.json")
    assert re.match(r"1 photo, 4.0 GB, about 1 min 2\d s, about \$40\.\d\d\n", ran.out)


def test_where_nobody_says_whom_to_ask_the_error_does(batchlab: Command, document: str, here: Path) -> None:
    ran = batchlab("submit", document)
    assert ran.code == 2
    assert "Set BATCHLAB_URL" in ran.err
    assert "`batchlab serve`" in ran.err
    assert "file:///DIRECTORY" in ran.err
