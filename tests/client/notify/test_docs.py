"""docs/notifications.md says what the code does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batchlab.notify.notification import Notification
from batchlab.notify.schedule import WAITS
from batchlab.webhooks import Event, EventData, sign
from tests.client.notify.ended_jobs import SECRET

PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
GOLDEN = Path(__file__).parent / "golden" / "ready-incomplete.en.txt"


def test_the_payload_has_every_field_and_no_other() -> None:
    [shown] = re.findall(r"^({\"type\".*?}})$", PAGE, re.DOTALL | re.MULTILINE)
    said = json.loads(shown)
    assert set(said) | {"id"} == set(Event.model_fields)
    assert set(said["data"]) == set(EventData.model_fields)
    Event.model_validate(said)


def test_the_mail_is_the_one_that_is_sent() -> None:
    shown = PAGE.split("ready-incomplete.en.txt -->\n```\n")[1].split("\n```")[0].split("\n...\n")
    sent = GOLDEN.read_text(encoding="utf-8")
    assert sent.startswith(shown[0]) and sent.rstrip("\n").endswith(shown[1])


def test_the_schedule_is_the_one_that_is_kept() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    [row] = re.findall(r"^\| after another \|(.*)\|$", PAGE, re.MULTILINE)
    cells = [cell.split() for cell in row.split("|")]
    assert [int(cell[0]) * units[(cell[1:] or ["s"])[0]] for cell in cells] == [
        wait.total_seconds() for wait in WAITS
    ]


def test_the_document_in_the_store_is_one() -> None:
    shown = json.loads(PAGE.rpartition("```json\n")[2].partition("```")[0])
    assert set(shown) | {"sent_at"} == set(Notification.model_fields)


def test_the_receiver_in_python_receives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BATCHLAB_WEBHOOK_SECRET", SECRET)
    known: dict[str, Any] = {}
    exec(PAGE.split("```python\n")[1].split("```")[0], known)
    [body] = re.findall(r"^({\"type\".*?}})$", PAGE, re.DOTALL | re.MULTILINE)
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": sign(body.encode(), "msg_1", now, SECRET),
    }
    assert known["hook"](body.encode(), headers) == 204
    assert known["hook"](body.encode() + b" ", headers) == 401
    assert "14 are missing: https://shop.example/s/" in capsys.readouterr().out
