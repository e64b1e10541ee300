"""The intake queue in front of AWS Batch: the endpoint answers at once, and the dispatcher keeps Batch's pace."""

from __future__ import annotations

import json
from typing import Any

from batchlab import aws
from batchlab.api import LogPage
from batchlab.backend import Hope, Runner
from batchlab.records import JobRecords


class QueueRunner(Runner):
    """`start` puts the job on the queue at `url`; all else is asked of `runner`, who takes it from there."""

    def __init__(self, runner: Runner, sqs: Any, url: str) -> None:
        self._runner = runner
        self._sqs = sqs
        self._url = url

    def start(self, records: JobRecords) -> None:
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps({"job": records.id}))
        except Exception as error:  # noqa: BLE001  BotoCoreError and ClientError, and what an HTTP library adds
            raise aws.explained(error, f"queue {self._url}") from None

    def stop(self, records: JobRecords) -> None:
        self._runner.stop(records)

    def hope(self, records: JobRecords) -> Hope:
        return self._runner.hope(records)

    def logs(self, records: JobRecords, cursor: str | None) -> LogPage:
        return self._runner.logs(records, cursor)
