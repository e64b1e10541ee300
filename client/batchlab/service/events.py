"""Which job an event of AWS Batch is about. What the event says of it is not believed: it only wakes who looks."""

from __future__ import annotations

import json
import re
from typing import Any

from batchlab.ids import id_from_batch_job, is_id

_CHANGE = "Batch Job State Change"
_NAME = re.compile(r"[a-z0-9-]+-([0-9a-z]{26})-g\d+-(all|plan|work|collect)")  # dispatch.batch_job_name


def job_of_event(body: str, store_url: str) -> str | None:
    """The id that the job has if it is one of the store at `store_url`; None for what is no change of any job.

    A job that was put straight into AWS Batch is named by its parameter, or has an id made from Batch's own.
    """
    detail = _detail(body)
    named = _NAME.fullmatch(str(detail.get("jobName", "")))
    if named is not None and is_id(named[1]):
        return named[1]
    parameters = detail.get("parameters")
    url = str(parameters.get("job", "")) if isinstance(parameters, dict) else ""
    known = url.removeprefix(f"{store_url}/jobs/").removesuffix("/job.json").rstrip("/")
    if is_id(known):
        return known
    try:
        return id_from_batch_job(str(detail.get("jobId", "")))
    except ValueError:
        return None


def _detail(body: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(event, dict) or event.get("detail-type") != _CHANGE:
        return {}
    detail = event.get("detail")
    return detail if isinstance(detail, dict) else {}
