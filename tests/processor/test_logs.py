import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from batchlab.settings import Settings
from batchlab_processor.logs import configure, item_logger, set_up

CANARY = "CANARY7secret"
PRESIGNED = f"https://photos.example/a.jpg?X-Amz-Signature={CANARY}&X-Amz-Expires=900"
FIREBASE = f"https://firebasestorage.googleapis.com/v0/b/x/o/a%2Fb.jpg?alt=media&token={CANARY}"
SECRETS = [
    PRESIGNED,
    FIREBASE,
    f"Authorization: Bearer {CANARY}",
    f"postgres://ann:{CANARY}@db.example/shop",
    f"{{'x-api-key': '{CANARY}'}}",
    f"password={CANARY}",
]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hooks = list(root.handlers), root.level, (sys.excepthook, threading.excepthook)
    yield
    logging.captureWarnings(False)
    root.handlers[:], (sys.excepthook, threading.excepthook) = handlers, hooks
    root.setLevel(level)


@pytest.fixture(params=[True, False], ids=["json", "plain"])
def output(request: pytest.FixtureRequest) -> io.StringIO:
    stream = io.StringIO()
    set_up("debug", json_lines=request.param, job="the-job", run="the-run", stream=stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_names_job_run_key_and_attempt() -> None:
    stream = io.StringIO()
    set_up(json_lines=True, run="r1", stream=stream)
    item_logger("j1", "001.jpg", 2).warning("no luck with %s", "it")
    (line,) = records(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "job": "j1",
        "run": "r1",
        "key": "001.jpg",
        "attempt": 2,
        "logger": "batchlab",
        "message": "no luck with it",
    }


def test_records_of_others_belong_to_the_job_too() -> None:
    stream = io.StringIO()
    set_up(json_lines=True, job="j1", run="r1", stream=stream)
    logging.getLogger("stranger").warning("hm")
    assert {"job": "j1", "run": "r1", "logger": "stranger"}.items() <= records(stream)[0].items()


def test_a_plain_line_reads_like_the_progress() -> None:
    stream = io.StringIO()
    set_up(job="j1", stream=stream)
    item_logger("j1", "001.jpg", 2).warning("no luck")
    assert stream.getvalue().partition("Z ")[2] == "[j1] WARNING: 001.jpg - no luck\n"


def test_what_the_display_tells_is_not_said_twice() -> None:
    stream = io.StringIO()
    set_up(stream=stream)
    item_logger("j1", "001.jpg", 2).warning("failed", extra={"told": True})
    assert stream.getvalue() == ""
    set_up(json_lines=True, stream=stream)
    item_logger("j1", "001.jpg", 2).warning("failed", extra={"told": True})
    assert len(records(stream)) == 1, "but JSON logs have everything"


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_passes_in_a_message_or_its_arguments(output: io.StringIO, secret: str) -> None:
    log = item_logger("j", f"key of {secret}", 1)
    log.error(secret)
    log.error("failed: %s", secret)
    log.error("failed: %r %s", {"headers": secret}, ValueError(secret))
    assert CANARY not in output.getvalue() and len(output.getvalue().splitlines()) == 3


def test_a_record_that_cannot_be_put_together_betrays_nothing(
    output: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    (ours,) = [each for each in logging.getLogger().handlers if type(each).__module__ == set_up.__module__]
    ours.handle(logging.makeLogRecord({"msg": "bad arguments %d %s", "args": (PRESIGNED,)}))
    assert "bad arguments" in output.getvalue() and CANARY not in output.getvalue()
    output.close()
    ours.handle(logging.makeLogRecord({"msg": PRESIGNED}))
    assert CANARY not in capsys.readouterr().err, "logging's own complaint would print the record"


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_passes_in_a_traceback_or_its_causes(output: io.StringIO, secret: str) -> None:
    try:
        try:
            raise OSError(f"inner {secret}")
        except OSError as inner:
            inner.add_note(f"note {secret}")
            try:
                raise KeyError(secret)
            except KeyError:
                raise ExceptionGroup(f"outer {secret}", [ValueError(secret), inner]) from inner
    except ExceptionGroup:
        item_logger("j", "k", 1).exception("it broke: %s", secret)
    text = output.getvalue()
    assert CANARY not in text
    assert "ExceptionGroup" in text and "inner" in text, "the rest of the traceback is there"


def test_warnings_come_out_scrubbed(output: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"slow: {PRESIGNED}", stacklevel=1)
    assert "slow: https://photos.example/a.jpg" in output.getvalue() and CANARY not in output.getvalue()


def test_libraries_are_held_at_warning_and_scrubbed_above_it(output: io.StringIO) -> None:
    for name in ("botocore.auth", "urllib3.connectionpool", "httpx", "httpcore.http11", "google.auth"):
        logging.getLogger(name).debug("GET %s", PRESIGNED)
        logging.getLogger(name).info("GET %s", PRESIGNED)
    assert output.getvalue() == ""
    logging.getLogger("pyvips").warning("VIPS: corrupt profile")  # of a photo that it does not name
    assert output.getvalue() == ""
    logging.getLogger("urllib3.connectionpool").warning("Retrying: /a.jpg?token=%s", CANARY)
    assert "Retrying" in output.getvalue() and CANARY not in output.getvalue()


def test_real_clients_that_fail_betray_nothing(output: io.StringIO) -> None:
    try:
        httpx.get(f"http://ann:{CANARY}@127.0.0.1:9/a.jpg?token={CANARY}", trust_env=False)
    except httpx.HTTPError:
        item_logger("j", "k", 1).exception("httpx")
    s3 = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key=CANARY,
        aws_session_token=CANARY,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    try:
        s3.get_object(Bucket="b", Key=f"a.jpg?token={CANARY}")
    except Exception:
        item_logger("j", "k", 1).exception("boto3")
    text = output.getvalue()
    assert "ConnectError" in text and "EndpointConnectionError" in text
    assert CANARY not in text and "AKIAIOSFODNN7EXAMPLE" not in text


def test_a_hostile_name_stays_on_its_line() -> None:
    stream = io.StringIO()
    set_up(stream=stream)
    item_logger("j", "\x1b[2J\r.jpg", 1).warning("x\x9b1A")
    assert not {"\x1b", "\r", "\x9b"} & set(stream.getvalue())
    assert stream.getvalue().count("\n") <= 2


def test_setting_up_again_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    set_up(stream=first)
    set_up("error", stream=second)
    logging.getLogger("batchlab").warning("below the level")
    logging.getLogger("batchlab").error("once")
    assert first.getvalue() == "" and second.getvalue().count("once") == 1
    assert "below" not in second.getvalue()


@pytest.mark.parametrize(
    ("settings", "terminal", "json_lines"),
    [
        (Settings(), False, False),
        (Settings(batch_job_id="x"), False, True),
        (Settings(batch_job_id="x", log_format="plain"), False, False),
        (Settings(log_format="json"), False, True),
        (Settings(log_format="json"), True, False),
    ],
)
def test_containers_log_in_json_and_terminals_never(
    settings: Settings, terminal: bool, json_lines: bool
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert configure(settings, stream=Stream()) is json_lines


def test_variables_nobody_reads_are_named_once() -> None:
    stream = io.StringIO()
    configure(Settings(warnings=("BATCHLAB_STROE is no setting.",)), stream=stream)
    assert stream.getvalue().count("BATCHLAB_STROE is no setting.") == 1


UNCAUGHT = f"""
import threading
from batchlab_processor.logs import set_up
set_up(json_lines=True, job="j")
def work():
    raise ValueError({PRESIGNED!r})
thread = threading.Thread(target=work)
thread.start()
thread.join()
try:
    raise OSError({FIREBASE!r})
except OSError as error:
    raise RuntimeError("password={CANARY}") from error
"""


def test_uncaught_errors_in_main_and_threads_are_logged_scrubbed() -> None:
    ended = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and ended.stdout == ""
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["CRITICAL", "CRITICAL"]
    assert "ValueError: https://photos.example/a.jpg" in lines[0]["exception"]
    assert "OSError" in lines[1]["exception"] and "RuntimeError" in lines[1]["exception"]
    assert CANARY not in ended.stderr
