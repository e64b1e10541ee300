"""batchlab_infra.alarms: what is watched."""

from __future__ import annotations

import inspect
import json

import pytest

from batchlab_infra.alarms import JOB_METRICS, STALLED
from batchlab_processor import display, metrics
from tests.infra.conftest import Template, text
from tests.infra.synth import ROOT

pytestmark = pytest.mark.stack
ALARM = "AWS::CloudWatch::Alarm"


def test_everything_that_wants_a_person_has_an_alarm(full: Template) -> None:
    assert {alarm["AlarmName"].removeprefix("batchlab-") for alarm in full.all(ALARM).values()} == {
        "DeadLetters",
        "DeadEvents",
        "OldestMessage",
        "FailedJobs",
        "QueueBlocked",
        "StalledJobs",
        "DispatcherErrors",
        "NotifierErrors",
        "SweeperErrors",
        "ApiErrors",
    }


def test_operations_says_what_to_do_about_each_alarm(full: Template) -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = {
        name for line in page.splitlines() if line.startswith("### ") for name in line[4:].split(", ")
    }
    for alarm in full.all(ALARM).values():
        assert alarm["AlarmName"].removeprefix("batchlab-") in headings


def test_every_alarm_tells_somebody_says_where_to_read_on_and_is_quiet_when_nothing_happens(
    full: Template,
) -> None:
    [topic] = full.all("AWS::SNS::Topic")
    for alarm in full.all(ALARM).values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert alarm["AlarmDescription"].endswith("See docs/operations.md.")
        assert alarm["TreatMissingData"] == "notBreaching"


def test_alarms_reach_the_topic_although_it_has_a_policy_of_its_own(full: Template) -> None:
    policy = full.one("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = [each for each in policy if each["Effect"] == "Allow"]
    assert [each["Principal"] for each in allowed] == [{"Service": "cloudwatch.amazonaws.com"}]
    assert [each["Condition"] for each in policy if each["Effect"] == "Deny"] == [
        {"Bool": {"aws:SecureTransport": "false"}}
    ]


def test_mail_goes_to_whom_it_was_asked_for(full: Template, plain: Template) -> None:
    subscription = full.one("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@lab.example")
    assert plain.all("AWS::SNS::Subscription") == {}


def test_a_stalled_job_is_seen_by_the_words_that_the_processor_logs(full: Template) -> None:
    assert full.one("AWS::Logs::MetricFilter")["FilterPattern"] == f'"{STALLED}"'
    assert STALLED in inspect.getsource(display.Lines)


def test_the_dashboard_shows_the_metrics_that_jobs_emit(full: Template) -> None:
    body = full.one("AWS::CloudWatch::Dashboard")["DashboardBody"]
    assert metrics.NAMESPACE == JOB_METRICS
    for name in ("items", "failures", "megabytes_per_second"):
        assert name in metrics.METRICS
        assert f'MetricName=\\\\\\"{name}\\\\\\"' in json.dumps(text(body))


def test_a_budget_is_mailed_at_80_percent_and_when_it_is_forecast(full: Template, plain: Template) -> None:
    budget = full.one("AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 50, "Unit": "USD"}
    told = [each["Notification"] for each in budget["NotificationsWithSubscribers"]]
    assert [(each["NotificationType"], each["Threshold"]) for each in told] == [
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    ]
    assert plain.all("AWS::Budgets::Budget") == {}
