"""The handlers that AWS Lambda calls: api, public, dispatcher, notifier, sweeper. They decide nothing.

What they need is made once a container.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from batchlab import aws
from batchlab.batch.runner import BatchRunner
from batchlab.errors import BatchlabError, DocumentError, NotFound
from batchlab.service.core import Service
from batchlab.service.events import job_of_event
from batchlab.service.follow import look, tick
from batchlab.service.intake import accept
from batchlab.service.queue import QueueRunner
from batchlab.service.secrets import with_secrets
from batchlab.settings import Settings
from batchlab.stores import open_store

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from starlette.types import ASGIApp

JSON = dict[str, Any]

LATER_SECONDS = 65  # a claim of the dispatcher is 60 s old by then, whoever left it
_TEXT = ["text/", "application/json", "application/problem+json"]  # all else would be sent in base64
_RESERVE_MILLISECONDS = 15_000  # one message may take 10 s of back-off; what is not begun by then goes back

logger = logging.getLogger("batchlab")


def dispatcher(event: JSON, context: Any) -> JSON:
    """Messages of the intake queue, up to 10; returns those that must come again."""
    failed = []
    for record in event["Records"]:
        seconds = _dispatch(record, context.get_remaining_time_in_millis())
        if seconds is not None:
            failed.append({"itemIdentifier": record["messageId"]})
            _show_again(record, seconds)
    return {"batchItemFailures": failed}


def notifier(event: JSON, context: Any) -> JSON:
    """Events of AWS Batch, up to 10: each job they are about is looked at once; returns those that must come again."""
    by_job: dict[str, list[str]] = {}
    for record in event["Records"]:
        job_id = job_of_event(record["body"], _store().url)
        if job_id is None:
            logger.warning("message %s is about no job of ours: %s", record["messageId"], record["body"])
        else:
            by_job.setdefault(job_id, []).append(record["messageId"])
    failed = [message for job_id, messages in by_job.items() if not _looked(job_id) for message in messages]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def sweeper(event: JSON, context: Any) -> JSON:
    """Called every minute: jobs whose time has come, and submissions that were killed half way."""
    count = tick(_service())
    logger.info("looked at %d jobs", count)
    return {"jobs": count}


def api(event: JSON, context: Any) -> JSON:
    """The endpoint under /v1; IAM has looked at who calls."""
    return _http(_api(), event, context)


def public(event: JSON, context: Any) -> JSON:
    """Customers' pages and downloads."""
    return _http(_public(), event, context)


def _http(app: ASGIApp, event: JSON, context: Any) -> JSON:
    import asyncio

    from mangum import Mangum

    with asyncio.Runner() as runner:
        runner.get_loop()  # Mangum runs on the thread's current loop, and only a main thread would have one
        answer: JSON = Mangum(cast(Any, app), lifespan="off", text_mime_types=_TEXT)(event, context)
    return answer


def _dispatch(record: JSON, milliseconds_left: int) -> int | None:
    """None when the message is done with, else the seconds after which it is tried again."""
    if milliseconds_left < _RESERVE_MILLISECONDS:
        return 0
    message = record["messageId"]
    try:
        job_id = accept(record["body"], message, _service())
    except (DocumentError, NotFound) as error:
        # No waiting makes it right: its tries are used up at once, and the dead-letter queue's alarm tells.
        logger.error("message %s is no job: %s", message, error.message)
        return 0
    except BatchlabError as error:
        logger.warning("message %s is tried again: %s", message, error.message)
        return LATER_SECONDS
    except Exception:
        logger.exception("message %s is tried again", message)
        return LATER_SECONDS
    logger.info("job %s is on its way", job_id)
    return None


def _looked(job_id: str) -> bool:
    try:
        look(_service(), job_id)
    except BatchlabError as error:
        logger.warning("job %s is looked at again: %s", job_id, error.message)
    except Exception:
        logger.exception("job %s is looked at again", job_id)
    else:
        return True
    return False


def _show_again(record: JSON, seconds: int) -> None:
    url = _settings().intake_queue_url
    try:
        _sqs().change_message_visibility(
            QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
        )
    except Exception as error:  # noqa: BLE001  it is seen again anyway, after the queue's own time
        logger.warning("message %s: %s", record["messageId"], aws.explained(error, url).message)


@cache
def _settings() -> Settings:
    settings = Settings.from_environment(with_secrets(os.environ))
    logger.setLevel(
        settings.log_level.upper()
    )  # Lambda's own handler writes; by itself it lets warnings through only
    return settings


@cache
def _store() -> Any:
    return open_store(_settings().store, settings=_settings())


@cache
def _sqs() -> SQSClient:
    client: SQSClient = aws.service_client("sqs")
    return client


@cache
def _service() -> Service:
    """With AWS Batch itself as the runner."""
    return Service.of_settings(_settings(), _runner(), _store())


@cache
def _endpoint_service() -> Service:
    """With the intake queue before AWS Batch."""
    queue = QueueRunner(_runner(), _sqs(), _settings().intake_queue_url)
    return Service.of_settings(_settings(), queue, _store())


@cache
def _api() -> ASGIApp:
    from batchlab.service.app import make_app
    from batchlab.service.jobs import Jobs

    return make_app(_settings(), part="api", backend=Jobs(_endpoint_service()), in_lambda=True)


@cache
def _public() -> ASGIApp:
    from batchlab.page import open_pages
    from batchlab.service.app import make_app

    return make_app(_settings(), part="public", pages=open_pages(_settings(), _store()), in_lambda=True)


@cache
def _runner() -> BatchRunner:
    return BatchRunner(_settings(), _store())
