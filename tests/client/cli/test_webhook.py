"""`batchlab webhook`: receive, check, repeat."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from batchlab.cli.listener import Listener
from batchlab.notify import Outlets, announce
from batchlab.stores.file import FileStore
from batchlab.webhooks import sign
from tests.client.cli.conftest import Command
from tests.client.notify.ended_jobs import JOB_ID, SECRET, ended
from tests.client.notify.receivers import receiving, status

BODY = json.dumps(
    {
        "type": "job.partial",
        "timestamp": "2026-06-06T12:00:00Z",
        "data": {
            "id": JOB_ID,
            "type": "zip-export",
            "state": "partial",
            "title": "Anna \x1b[31m& Ben",
            "counts": {"total": 482, "done": 479, "failed": 3},
        },
    }
).encode()


def headers(at: datetime | None = None, body: bytes = BODY) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": sign(body, "msg_1", at, SECRET),
    }


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHLAB_WEBHOOK_SECRET", SECRET)


# -- listen --------------------------------------------------------------------------------------------------


@contextmanager
def listening(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`batchlab webhook listen` in a process of its own, and where it listens."""
    code = "import sys; from batchlab.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "webhook", "listen", "--port", "0", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        yield process, said.split("Listening on ")[1].split()[0]
    finally:
        process.kill()
        process.communicate()


def test_genuine_ones_are_printed_and_others_refused_with_the_reason() -> None:
    with listening("--count", "2") as (process, url):
        forged = httpx.post(url, content=BODY, headers={**headers(), "webhook-id": "msg_2"})
        assert forged.status_code == 401 and "signature" in forged.text
        assert httpx.post(url, content=BODY, headers=headers()).status_code == 204
        assert httpx.post(url, content=BODY, headers=headers()).status_code == 204
        out, err = process.communicate(timeout=60)
    first, second = out.splitlines()
    title = "Anna \N{REPLACEMENT CHARACTER}[31m& Ben"
    assert first == f"2026-06-06 12:00:00 job.partial {JOB_ID}  479 photos, 3 missing  {title}"
    assert second == f"{first}  (again)"
    assert "refused: webhook: the signature" in err and process.returncode == 0


def test_as_json_one_event_stands_in_each_line() -> None:
    with listening("--count", "1", "--json") as (process, url):
        httpx.post(url, content=BODY, headers=headers())
        out, _ = process.communicate(timeout=60)
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["msg_1"]


def test_ctrl_c_is_its_ordinary_end() -> None:
    with listening() as (process, _):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "0 received." in err


def test_what_is_too_long_or_of_unknown_length_is_not_read() -> None:
    with Listener(0, SECRET) as listener:
        assert httpx.post(listener.url, content=b"x" * 2**21, headers=headers()).status_code == 413
        assert httpx.post(listener.url, content=iter([b"x"]), headers=headers()).status_code == 411
        assert httpx.get(listener.url).status_code == 501


def test_a_port_that_is_taken_is_said(batchlab: Command) -> None:
    with Listener(0, SECRET) as listener:
        ran = batchlab("webhook", "listen", "--port", listener.host.rpartition(":")[2])
    assert ran.code == 2 and "Choose another" in ran.err


@pytest.mark.parametrize("given", ["", "geheim"])
def test_without_a_proper_secret_nobody_listens(
    batchlab: Command, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("BATCHLAB_WEBHOOK_SECRET", given)
    ran = batchlab("webhook", "listen", "--port", "0")
    assert ran.code == 2 and ("BATCHLAB_WEBHOOK_SECRET" if not given else "openssl") in ran.err


# -- verify --------------------------------------------------------------------------------------------------


def saved(folder: Path, given: dict[str, str], body: bytes = BODY, end: str = "\r\n") -> str:
    lines = [
        "POST /hooks HTTP/1.1",
        "Host: shop.example",
        *(f"{name.title()}: {value}" for name, value in given.items()),
    ]
    (folder / "request.txt").write_bytes((end.join(lines) + end * 2).encode() + body)
    return "request.txt"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_saved_request_is_genuine(batchlab: Command, here: Path, end: str) -> None:
    ran = batchlab("webhook", "verify", saved(here, headers(), end=end))
    assert ran.code == 0 and ran.out.startswith("Genuine, signed at ") and "479 photos, 3 missing" in ran.out


def test_a_body_and_its_headers_may_lie_apart(batchlab: Command, here: Path) -> None:
    (here / "body.json").write_bytes(BODY)
    (here / "headers.txt").write_text("".join(f"{name}: {value}\n" for name, value in headers().items()))
    ran = batchlab("webhook", "verify", "body.json", "--headers", "headers.txt", "--json")
    assert ran.code == 0 and json.loads(ran.out)["data"]["state"] == "partial"


def test_an_old_one_is_genuine_only_at_any_age(batchlab: Command, here: Path) -> None:
    file = saved(here, headers(datetime.now(UTC) - timedelta(hours=3)))
    ran = batchlab("webhook", "verify", file)
    assert ran.code == 6 and "more than 5 minutes old" in ran.err
    assert batchlab("webhook", "verify", file, "--any-age").code == 0


def test_a_forged_one_says_why(batchlab: Command, here: Path) -> None:
    ran = batchlab("webhook", "verify", saved(here, headers(), BODY.replace(b"479", b"482")), "--any-age")
    assert ran.code == 6 and ran.out == "" and "signature is not by this secret" in ran.err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{}", "no empty line"), (b"hello\n\n{}", "no headers"), (b"Host: x\n\n{}", "webhook-id")],
)
def test_what_is_no_request_says_so(batchlab: Command, here: Path, content: bytes, says: str) -> None:
    (here / "request.txt").write_bytes(content)
    ran = batchlab("webhook", "verify", "request.txt")
    assert ran.code in (2, 6) and says in ran.err
    assert batchlab("webhook", "verify", "nowhere.txt").code == 2


# -- replay --------------------------------------------------------------------------------------------------


def test_a_store_sends_all_once_more_with_the_ids_they_had(
    batchlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(here / "store")
    with receiving() as receiver:
        monkeypatch.setenv("BATCHLAB_WEBHOOK_HOSTS", f"127.0.0.1:{receiver.port}")
        monkeypatch.setenv("BATCHLAB_ALLOW_LOCAL", "1")
        records = ended(store, [{"webhook": receiver.url}])  # type: ignore[arg-type]
        announce(records, Outlets.of_settings(receiver.settings()))
        ran = batchlab("webhook", "replay", "latest", "--store", "store")
        assert (ran.code, ran.out) == (0, "1 sent once more.\n")
        ran = batchlab("webhook", "replay", JOB_ID[:6], "--store", "store", "--json")
    said = json.loads(ran.out)
    assert said["count"] == 1 and said["notifications"][0]["state"] == "sent"
    assert said["notifications"][0]["to"] == f"http://127.0.0.1:{receiver.port}/hooks"
    assert len(receiver.came) == 3 and len({came.headers["webhook-id"] for came in receiver.came}) == 1


def test_what_does_not_get_through_is_said_and_ends_with_1(
    batchlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(status(500)) as receiver:
        monkeypatch.setenv("BATCHLAB_WEBHOOK_HOSTS", f"127.0.0.1:{receiver.port}")
        monkeypatch.setenv("BATCHLAB_ALLOW_LOCAL", "1")
        ended(FileStore(here / "store"), [{"webhook": receiver.url}])  # type: ignore[arg-type]
        ran = batchlab("webhook", "replay", "latest", "--store", "store")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "0 of 1 sent once more.",
        f"  http://127.0.0.1:{receiver.port}/hooks is pending: The receiver answered 500.",
    ]


def test_settings_that_are_not_up_to_it_change_nothing(batchlab: Command, here: Path) -> None:
    store = FileStore(here / "store")
    ended(store, [{"webhook": "https://shop.example/hooks"}, {"email": "ana@example.com"}])  # type: ignore[arg-type]
    ran = batchlab("webhook", "replay", "latest", "--store", "store")
    assert ran.code == 2
    for setting in ("BATCHLAB_WEBHOOK_HOSTS", "BATCHLAB_MAIL_FROM", "BATCHLAB_PUBLIC_BASE_URL"):
        assert setting in ran.err
    assert not [name for name in store.names("jobs/") if "/notify-" in name]


def test_with_an_endpoint_they_are_due_there_and_not_said_to_be_sent(
    batchlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Endpoint:
        def replay(self, job_id: str) -> int:
            asked.append(job_id)
            return 2

    monkeypatch.setenv("BATCHLAB_URL", "https://batch.shop.example")
    monkeypatch.setattr("batchlab.opening.open_backend", lambda url, settings: Endpoint())
    ran = batchlab("webhook", "replay", JOB_ID)
    assert (ran.code, ran.out, asked) == (
        0,
        "2 due now; https://batch.shop.example sends them within a minute.\n",
        [JOB_ID],
    )
