"""batchlab_infra.schedules: warm hours, and the cleaning up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchlab.document import load_document
from tests.infra.conftest import Template, text

pytestmark = pytest.mark.stack
SCHEDULE = "AWS::Scheduler::Schedule"


def called(schedule: Any) -> Any:
    return json.loads(text(schedule["Target"]["Input"]))


def test_machines_are_warm_in_the_day_and_gone_at_night(full: Template) -> None:
    morning, evening = full.named(SCHEDULE, "WarmFrom"), full.named(SCHEDULE, "WarmTo")
    assert morning["ScheduleExpression"] == "cron(0 8 ? * MON-FRI *)"
    assert evening["ScheduleExpression"] == "cron(0 20 ? * MON-FRI *)"
    assert {each["ScheduleExpressionTimezone"] for each in (morning, evening)} == {"Europe/Madrid"}
    assert [called(each)["ComputeResources"] for each in (morning, evening)] == [
        {"MinvCpus": 4},
        {"MinvCpus": 0},
    ]


def test_nothing_is_kept_warm_unless_asked_for(plain: Template) -> None:
    assert [name for name in plain.all(SCHEDULE) if name.startswith("Warm")] == []


def test_warming_may_change_the_spot_environment_and_nothing_else(full: Template) -> None:
    [statement] = full.statements("WarmRole")
    spot, _ = full.all("AWS::Batch::ComputeEnvironment")
    assert statement["Action"] == "batch:UpdateComputeEnvironment"
    assert text(statement["Resource"]) == f"<{spot}.ComputeEnvironmentArn>"


def test_cleaning_up_is_a_job_like_any_other_once_a_night(full: Template) -> None:
    schedule = full.named(SCHEDULE, "Cleanup")
    assert schedule["ScheduleExpression"] == "cron(30 3 * * ? *)"
    asked = called(schedule)
    document = load_document(asked["Parameters"]["job"])
    assert (document.type, document.typed_params.dry_run) == ("cleanup", False)
    assert asked["JobDefinition"] == "batchlab-job-def"


def test_cleaning_up_is_scheduled_unless_its_job_type_is_left_out(plain: Template, none: Template) -> None:
    assert [name for name in plain.all(SCHEDULE) if name.startswith("Cleanup")] != []
    assert [name for name in none.all(SCHEDULE) if name.startswith("Cleanup")] == []


def test_cleaning_up_may_submit_jobs_and_nothing_else(full: Template) -> None:
    [statement] = full.statements("CleanupRole")
    assert statement["Action"] == "batch:SubmitJob"


def test_the_sweeper_is_called_each_minute_and_what_fails_is_left_to_the_next(full: Template) -> None:
    schedule = full.named(SCHEDULE, "EachMinute")
    [sweeper] = [name for name in full.all("AWS::Lambda::Function") if name.startswith("Sweeper")]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert text(schedule["Target"]["Arn"]) == f"<{sweeper}.Arn>"
    assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0}


def test_that_schedule_may_call_the_sweeper_and_nothing_else(full: Template) -> None:
    [statement] = full.statements("SweeperScheduleRole")
    assert statement["Action"] == "lambda:InvokeFunction"
    assert text(statement["Resource"]) == text(full.named(SCHEDULE, "EachMinute")["Target"]["Arn"])
