"""batchlab_infra.functions: the way to AWS Batch and back."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from batchlab.service.dispatch import CLAIM, SUBMITS_PER_SECOND, THROTTLED_TRIES
from batchlab.service.lambdas import LATER_SECONDS
from batchlab.service.secrets import VARIABLE
from batchlab.settings import VARIABLES
from batchlab_infra.package import PYTHON
from tests.infra.conftest import Template, listed, text
from tests.infra.test_permissions import allowed

pytestmark = pytest.mark.stack
FUNCTION, MAPPING, QUEUE = "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue"


@pytest.mark.parametrize("name", ["api", "public", "dispatcher", "notifier", "sweeper"])
def test_each_function_has_a_handler_of_the_package_and_a_log_that_ends(full: Template, name: str) -> None:
    function = full.one(FUNCTION, FunctionName=f"batchlab-{name}")
    module, _, attribute = function["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))
    assert function["Runtime"] == f"python{PYTHON}"
    assert (
        full.one("AWS::Logs::LogGroup", LogGroupName=f"/aws/lambda/batchlab-{name}")["RetentionInDays"] == 30
    )


def test_they_are_told_only_what_is_a_setting(full: Template) -> None:
    known = {VARIABLE, *(name for variable in VARIABLES for name in variable.names)}
    for function in full.all(FUNCTION).values():
        assert set(function["Environment"]["Variables"]) <= known


def test_pages_are_where_the_worker_serves_them_else_at_the_public_address(
    full: Template, plain: Template
) -> None:
    def told(template: Template, name: str) -> str:
        function = template.one(FUNCTION, FunctionName=f"batchlab-{name}")
        return text(function["Environment"]["Variables"].get("BATCHLAB_PUBLIC_BASE_URL", ""))

    names = ("api", "dispatcher", "notifier", "sweeper")
    assert {told(full, name) for name in names} == {"https://photos.lab.example"}
    [address] = plain.all("AWS::Lambda::Url").keys() & {
        name for name in plain.all("AWS::Lambda::Url") if name.startswith("Public")
    }
    assert {told(plain, name) for name in names} == {f"<{address}.FunctionUrl>"}
    assert told(plain, "public") == ""  # a function cannot be told its own address


def test_secrets_are_told_by_name_to_those_that_need_them(full: Template, plain: Template) -> None:
    def told(template: Template, name: str) -> Any:
        function = template.one(FUNCTION, FunctionName=f"batchlab-{name}")
        return json.loads(function["Environment"]["Variables"].get(VARIABLE, "{}"))

    needed = ("R2", "BATCHLAB_WEBHOOK_SECRET", "BATCHLAB_WEBHOOK_SECRET_SHOP")
    assert told(full, "public") == {}
    for name in ("api", "dispatcher", "notifier", "sweeper"):
        assert told(full, name) == {secret: f"batchlab/{secret}" for secret in needed}
        assert told(plain, name) == {}


def test_the_public_function_signs_links_to_r2_unless_a_worker_serves_the_pages(
    full: Template, wedding: Template
) -> None:
    function = wedding.one(FUNCTION, FunctionName="wedding-photo-processor-public")
    assert json.loads(function["Environment"]["Variables"][VARIABLE]) == {"R2": "wedding-photo-processor/R2"}
    may = allowed(wedding.statements("PublicRole"))
    assert [arn.rpartition(":")[2] for arn in may["secretsmanager:GetSecretValue"]] == [
        "wedding-photo-processor/R2-??????"
    ]
    assert "secretsmanager:GetSecretValue" not in allowed(full.statements("PublicRole"))


def test_one_package_is_the_code_of_all_five(full: Template) -> None:
    assert len({str(function["Code"]) for function in full.all(FUNCTION).values()}) == 1


def test_a_bad_message_does_not_send_the_good_ones_back(full: Template) -> None:
    for mapping in full.all(MAPPING).values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_fifty_submissions_a_second_are_never_exceeded(full: Template) -> None:
    dispatcher = full.named(MAPPING, "Dispatcher")
    assert dispatcher["ScalingConfig"]["MaximumConcurrency"] * SUBMITS_PER_SECOND <= 50


def test_a_message_is_not_seen_again_while_a_function_works_on_it(full: Template) -> None:
    for queue, name in (("batchlab-jobs", "dispatcher"), ("batchlab-events", "notifier")):
        timeout = full.one(FUNCTION, FunctionName=f"batchlab-{name}")["Timeout"]
        assert full.one(QUEUE, QueueName=queue)["VisibilityTimeout"] >= 6 * timeout


def test_a_claim_outlives_every_function_and_is_over_when_its_message_comes_again(full: Template) -> None:
    for name in ("dispatcher", "notifier", "sweeper"):
        assert full.one(FUNCTION, FunctionName=f"batchlab-{name}")["Timeout"] <= CLAIM.total_seconds()
    assert CLAIM.total_seconds() < LATER_SECONDS
    assert (
        sum(min(4, 0.25 * 2**attempt) for attempt in range(THROTTLED_TRIES)) < 15
    )  # what _RESERVE_MILLISECONDS allows


@pytest.mark.parametrize("name", ["batchlab-jobs", "batchlab-events"])
def test_hopeless_messages_are_kept_for_two_weeks(full: Template, name: str) -> None:
    queue = full.one(QUEUE, QueueName=name)
    dead = full.one(QUEUE, QueueName=f"{name}-dead")
    target = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert full.all(QUEUE)[target] == dead
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 10
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_every_queue_is_encrypted_and_takes_tls_only(full: Template) -> None:
    assert all(queue["SqsManagedSseEnabled"] for queue in full.all(QUEUE).values())
    guarded = [
        each["Ref"]
        for policy in full.all("AWS::SQS::QueuePolicy").values()
        for each in policy["Queues"]
        if {"Bool": {"aws:SecureTransport": "false"}}
        in [statement.get("Condition") for statement in policy["PolicyDocument"]["Statement"]]
    ]
    assert sorted(guarded) == sorted(full.all(QUEUE))


def test_the_endpoint_wants_signatures_and_the_public_address_does_not(full: Template) -> None:
    assert full.named("AWS::Lambda::Url", "Api")["AuthType"] == "AWS_IAM"
    assert full.named("AWS::Lambda::Url", "Public")["AuthType"] == "NONE"


def test_anybody_may_call_the_public_function_and_only_by_its_address(full: Template) -> None:
    permissions = list(full.all("AWS::Lambda::Permission").values())
    assert {each["Action"] for each in permissions} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    for each in permissions:
        assert text(each["FunctionName"]).startswith("<Public")
        assert each.get("FunctionUrlAuthType") == "NONE" or each.get("InvokedViaFunctionUrl") is True


def rule(template: Template, name: str) -> Any:
    return template.named("AWS::Events::Rule", name)["EventPattern"]


def test_events_of_our_queues_alone_are_told_and_no_event_twice(full: Template) -> None:
    queues = {f"<{name}.JobQueueArn>" for name in full.all("AWS::Batch::JobQueue")}
    states: list[str] = []
    for name in ("Changed", "Failed", "Blocked"):
        assert rule(full, name)["source"] == ["aws.batch"]
        assert {text(each) for each in rule(full, name)["detail"]["jobQueue"]} == queues
        states += rule(full, name)["detail"].get("status", [])
    assert sorted(states) == ["FAILED", "STARTING", "SUCCEEDED"]
    assert rule(full, "Blocked")["detail-type"] == ["Batch Job Queue Blocked"]


def test_of_an_array_job_only_the_parent_is_told(full: Template) -> None:
    for name in ("Changed", "Failed"):
        assert rule(full, name)["detail"]["arrayProperties"] == {"index": [{"exists": False}]}


def test_events_go_to_the_events_queue(full: Template) -> None:
    [events] = [name for name, each in full.all(QUEUE).items() if each["QueueName"] == "batchlab-events"]
    for each in full.all("AWS::Events::Rule").values():
        assert [text(target["Arn"]) for target in listed(each["Targets"])] == [f"<{events}.Arn>"]
