"""batchlab.service.events: which job an event of AWS Batch wakes."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from batchlab.ids import id_from_bits, new_id
from batchlab.service.dispatch import batch_job_name
from batchlab.service.events import job_of_event
from tests.client.service.scenes import self_test

STORE = "s3://bucket/store"
BATCH_JOB = "876da822-4198-45f2-a252-6cea32512ea8"


def event(**detail: Any) -> str:
    """As EventBridge sends it. Source: AWS Batch User Guide, "Job state change events"."""
    return json.dumps(
        {
            "version": "0",
            "detail-type": "Batch Job State Change",
            "source": "aws.batch",
            "detail": {"jobId": BATCH_JOB, "status": "SUCCEEDED", "parameters": {}, **detail},
        }
    )


@pytest.mark.parametrize("phase", ["all", "plan", "work", "collect"])
def test_a_job_of_our_dispatcher_is_known_by_its_name(phase: str) -> None:
    document = self_test()
    assert job_of_event(event(jobName=batch_job_name(document, 12, phase)), STORE) == document.id


def test_a_job_put_straight_into_aws_batch_is_known_by_its_parameter() -> None:
    job_id = new_id()
    parameters = {"job": f"{STORE}/jobs/{job_id}/job.json"}
    assert job_of_event(event(jobName="mine", parameters=parameters), STORE) == job_id


@pytest.mark.parametrize("parameters", [{}, {"job": "s3://elsewhere/job.json"}, {"job": "{}"}, None, "x"])
def test_any_other_has_the_id_that_its_container_makes_of_aws_batch_s_own(parameters: Any) -> None:
    wanted = id_from_bits(uuid.UUID(BATCH_JOB).int)
    assert job_of_event(event(jobName="mine", parameters=parameters), STORE) == wanted
    assert job_of_event(event(jobName="mine", jobId=f"{BATCH_JOB}:7"), STORE) == wanted


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "7",
        '"text"',
        '{"detail-type": "Batch Job Queue Blocked", "detail": {"jobQueue": "q"}}',
        '{"detail-type": "Batch Job State Change"}',
        '{"detail-type": "Batch Job State Change", "detail": []}',
        '{"detail-type": "Batch Job State Change", "detail": {"jobId": 7, "jobName": null}}',
    ],
)
def test_what_is_no_change_of_a_job_is_about_none(body: str) -> None:
    assert job_of_event(body, STORE) is None
