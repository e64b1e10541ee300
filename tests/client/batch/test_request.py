from __future__ import annotations

from typing import Any

import pytest

from batchlab.batch.request import check_request
from batchlab.errors import DocumentError

GOOD: dict[str, Any] = {
    "jobName": "zip-export-01kax4-g1-all",
    "parameters": {"job": "s3://b/jobs/1/job.json"},
    "arrayProperties": {"size": 10_000},
    "dependsOn": [{"jobId": "a"}] * 20,
    "timeout": {"attemptDurationSeconds": 60},
}


def test_a_request_at_every_limit_is_taken() -> None:
    check_request(GOOD)
    check_request({**GOOD, "jobName": "a" * 128})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"jobName": "a" * 129}, "job name"),
        ({"jobName": "ana & ben"}, "job name"),
        ({"jobName": "-a"}, "job name"),
        ({"jobName": "a\n"}, "job name"),
        ({"parameters": {"job": ""}}, "parameters.job"),
        ({"parameters": {"job": "x" * 31_000}}, "30,720"),
        ({"containerOverrides": {"command": ["run", ""]}}, "command"),
        ({"arrayProperties": {"size": 1}}, "shards: 1:"),
        ({"arrayProperties": {"size": 10_001}}, "shards: 10,001:"),
        ({"dependsOn": [{"jobId": "a"}] * 21}, "at most 20"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "no less than 60"),
    ],
)
def test_what_aws_batch_would_refuse_is_refused_here(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        check_request(GOOD | change)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(DocumentError) as refused:
        check_request({"jobName": "", "parameters": {"job": ""}})
    assert len(refused.value.problems) == 2
