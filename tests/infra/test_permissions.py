"""Least privilege: who may do what, in all the templates."""

from __future__ import annotations

from itertools import chain

import pytest

from batchlab_infra.findings import WITHOUT_RESOURCE
from tests.infra.conftest import JSON, Template, listed, text

pytestmark = pytest.mark.stack
STORE = "arn:<AWS::Partition>:s3:::batchlab-<AWS::AccountId>-<AWS::Region>"


def allowed(statements: list[JSON]) -> dict[str, set[str]]:
    """Actions, each with its resources."""
    found: dict[str, set[str]] = {}
    for statement in statements:
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            found.setdefault(action, set()).update(text(each) for each in listed(statement["Resource"]))
    return found


@pytest.fixture
def every(plain: Template, full: Template, wedding: Template, batch: Template, none: Template) -> list[JSON]:
    return list(chain.from_iterable(each.statements() for each in (plain, full, wedding, batch, none)))


def test_no_action_is_a_star(every: list[JSON]) -> None:
    assert [action for each in every for action in listed(each["Action"]) if "*" in action] == []


def test_only_actions_without_a_resource_have_a_star_for_one(every: list[JSON]) -> None:
    starred = {
        action for each in every if "*" in listed(each["Resource"]) for action in listed(each["Action"])
    }
    assert starred == set(WITHOUT_RESOURCE)


def test_roles_are_assumed_by_services_and_not_by_accounts(full: Template) -> None:
    for role in full.all("AWS::IAM::Role").values():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            assert list(statement["Principal"]) == ["Service"]


def test_a_job_may_keep_its_documents_deliver_where_it_is_listed_and_read_where_it_is_listed(
    full: Template,
) -> None:
    may = allowed(full.statements("JobRole"))
    outputs = {f"{STORE}/exports/*", "arn:<AWS::Partition>:s3:::delivery/zips/*"}
    assert may == {
        "s3:GetObject": {f"{STORE}/store/*", "arn:<AWS::Partition>:s3:::gallery/photos/*", *outputs},
        "s3:PutObject": {f"{STORE}/store/*", *outputs},
        "s3:DeleteObject": {f"{STORE}/store/*", *outputs},
        "s3:AbortMultipartUpload": outputs,
        "s3:ListMultipartUploadParts": outputs,
        "s3:ListBucket": {STORE, "arn:<AWS::Partition>:s3:::delivery", "arn:<AWS::Partition>:s3:::gallery"},
        "s3:ListBucketMultipartUploads": {STORE, "arn:<AWS::Partition>:s3:::delivery"},
    }


def test_the_public_function_can_read_pages_and_what_was_delivered_and_nothing_else(full: Template) -> None:
    may = allowed(full.statements("PublicRole"))
    delivered = {f"{STORE}/exports/*", "arn:<AWS::Partition>:s3:::delivery/zips/*"}
    assert may.pop("s3:GetObject") == {f"{STORE}/store/pages/*", *delivered}
    assert set(may) == {"logs:CreateLogStream", "logs:PutLogEvents"}


@pytest.mark.parametrize("name", ["Dispatcher", "Notifier", "Sweeper"])
def test_whoever_may_submit_does_so_to_our_queues_with_our_definition_only(full: Template, name: str) -> None:
    may = allowed(full.statements(f"{name}Role"))
    definition = "arn:<AWS::Partition>:batch:<AWS::Region>:<AWS::AccountId>:job-definition/batchlab-job-def"
    queues = {f"<{queue}.JobQueueArn>" for queue in full.all("AWS::Batch::JobQueue")}
    assert may["batch:SubmitJob"] == {*queues, definition, f"{definition}:*"}


def test_each_function_asks_of_aws_batch_what_it_needs(full: Template) -> None:
    looks = {"batch:SubmitJob", "batch:ListJobs", "batch:DescribeJobs"}
    asked = {
        name: {action for action in allowed(full.statements(f"{name}Role")) if action.startswith("batch:")}
        for name in ("Api", "Public", "Dispatcher", "Notifier", "Sweeper")
    }
    assert asked == {
        "Api": {"batch:DescribeJobs", "batch:CancelJob"},
        "Public": set(),
        "Dispatcher": looks,
        "Notifier": {*looks, "batch:CancelJob"},
        "Sweeper": {*looks, "batch:CancelJob"},
    }


def test_the_endpoint_reads_the_logs_of_jobs_and_no_others(full: Template) -> None:
    readers = [each for each in full.statements() if "logs:GetLogEvents" in listed(each["Action"])]
    assert readers == [
        each for each in full.statements("ApiRole") if "logs:GetLogEvents" in listed(each["Action"])
    ]
    assert text(readers[0]["Resource"]).endswith(":log-group:/aws/batch/batchlab:log-stream:*")


def test_the_dispatcher_reads_documents_where_jobs_may_read_and_writes_its_own_only(full: Template) -> None:
    may = allowed(full.statements("DispatcherRole"))
    assert may["s3:GetObject"] == {f"{STORE}/store/*", "arn:<AWS::Partition>:s3:::gallery/photos/*"}
    assert may["s3:PutObject"] == may["s3:DeleteObject"] == {f"{STORE}/store/*"}


def roles_that_may(template: Template, action: str) -> set[str]:
    names = ("Api", "Public", "Dispatcher", "Notifier", "Sweeper", "Job", "ContainerExecution")
    return {name for name in names if action in allowed(template.statements(f"{name}Role"))}


def test_mail_is_sent_by_those_who_tell_of_an_end_and_from_one_address(
    full: Template, plain: Template
) -> None:
    assert roles_that_may(full, "ses:SendEmail") == {"Api", "Notifier", "Sweeper"}
    senders = [each for each in full.statements() if "ses:SendEmail" in listed(each["Action"])]
    for each in senders:
        assert each["Condition"] == {"StringEquals": {"ses:FromAddress": "photos@lab.example"}}
    assert "ses:SendEmail" not in allowed(plain.statements())


def test_a_secret_is_read_by_ecs_for_the_job_and_by_the_functions_it_is_for(
    full: Template, plain: Template
) -> None:
    action = "secretsmanager:GetSecretValue"
    assert roles_that_may(full, action) == {
        *("Api", "Dispatcher", "Notifier", "Sweeper"),
        "ContainerExecution",
    }
    manager = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:batchlab"
    needed = ("R2", "BATCHLAB_WEBHOOK_SECRET", "BATCHLAB_WEBHOOK_SECRET_SHOP")
    for name in ("Api", "Dispatcher", "Notifier", "Sweeper"):
        assert allowed(full.statements(f"{name}Role"))[action] == {
            f"{manager}/{secret}-??????" for secret in needed
        }
    for_jobs = allowed(full.statements("ContainerExecutionRole"))[action]
    assert not any("WEBHOOK" in resource for resource in for_jobs)
    assert action not in allowed(plain.statements())


def worker(template: Template) -> list[JSON]:
    user = [*template.all("AWS::IAM::User")]
    assert len(user) == 1
    assert "Policies" not in template.one("AWS::IAM::User")
    assert "ManagedPolicyArns" not in template.one("AWS::IAM::User")
    return template.statements("Worker")


def test_a_worker_with_access_url_may_call_the_endpoint_and_nothing_else(plain: Template) -> None:
    may = allowed(worker(plain))
    [api] = [name for name in plain.all("AWS::Lambda::Function") if name.startswith("Api")]
    assert may == {"lambda:InvokeFunctionUrl": {f"<{api}.Arn>"}, "lambda:InvokeFunction": {f"<{api}.Arn>"}}
    assert all(each["Condition"] for each in worker(plain))  # by its address only


def test_a_worker_with_access_sqs_may_send_to_the_intake_queue_and_nothing_else(wedding: Template) -> None:
    queues = wedding.all("AWS::SQS::Queue").items()
    [intake] = [name for name, each in queues if each["QueueName"] == "wedding-photo-processor-jobs"]
    assert allowed(worker(wedding)) == {"sqs:SendMessage": {f"<{intake}.Arn>"}}


def test_a_worker_with_access_batch_may_submit_to_our_queues_and_nothing_else(batch: Template) -> None:
    may = allowed(worker(batch))
    assert list(may) == ["batch:SubmitJob"]
    assert len(may["batch:SubmitJob"]) == 4
    assert "*" not in may["batch:SubmitJob"]


def test_a_worker_without_access_is_no_user(none: Template) -> None:
    assert none.all("AWS::IAM::User") == {}


def test_no_keys_are_in_a_template(every: list[JSON], full: Template) -> None:
    assert full.all("AWS::IAM::AccessKey") == {}
