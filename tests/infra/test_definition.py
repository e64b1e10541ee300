"""batchlab_infra.definition: one job definition for every job type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchlab.document import load_document
from tests.infra.conftest import Template, text
from tests.infra.synth import IMAGE

pytestmark = pytest.mark.stack
DEFINITION = "AWS::Batch::JobDefinition"


@pytest.fixture
def container(full: Template) -> Any:
    return full.one(DEFINITION)["ContainerProperties"]


def environment(template: Template) -> dict[str, str]:
    told = template.one(DEFINITION)["ContainerProperties"]["Environment"]
    return {each["Name"]: text(each["Value"]) for each in told}


def test_the_image_is_pinned_to_a_digest_of_the_stacks_own_repository(container: Any) -> None:
    assert text(container["Image"]) == (
        f"<AWS::AccountId>.dkr.ecr.<AWS::Region>.<AWS::URLSuffix>/batchlab@{IMAGE}"
    )


def test_an_image_from_elsewhere_is_taken_by_its_digest(none: Template) -> None:
    assert none.one(DEFINITION)["ContainerProperties"]["Image"] == f"registry.example/lab@{IMAGE}"


def test_a_bare_submission_runs_the_self_test(full: Template) -> None:
    definition = full.one(DEFINITION)
    assert definition["ContainerProperties"]["Command"] == ["run", "--job", "Ref::job"]
    assert load_document(definition["Parameters"]["job"]).type == "self-test"
    assert "self-test" in environment(full)["BATCHLAB_JOB_TYPES"]


def test_it_runs_as_nobody_on_a_read_only_disk_with_an_init_process(container: Any) -> None:
    assert container["User"] == "10001:10001"
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"] == {"InitProcessEnabled": True}
    assert "Privileged" not in container
    assert container["MountPoints"] == [{"ContainerPath": "/tmp", "SourceVolume": "scratch"}]
    assert container["Volumes"] == [{"Host": {}, "Name": "scratch"}]


def test_what_may_succeed_is_started_again_and_nothing_else(full: Template) -> None:
    strategy = full.one(DEFINITION)["RetryStrategy"]
    assert strategy["Attempts"] == 10
    assert strategy["EvaluateOnExit"] == [
        {"Action": "RETRY", "OnExitCode": "75"},
        {"Action": "RETRY", "OnExitCode": "13*"},
        {"Action": "RETRY", "OnStatusReason": "Host EC2*"},
        {"Action": "RETRY", "OnReason": "CannotPullContainer*"},
        {"Action": "EXIT", "OnReason": "*"},  # without it, whatever matches nothing is tried again
    ]


def test_a_start_ends_after_twelve_hours(full: Template) -> None:
    assert full.one(DEFINITION)["Timeout"] == {"AttemptDurationSeconds": 12 * 3600}


def test_it_is_told_where_jobs_live_and_what_they_may_touch(full: Template) -> None:
    bucket = "batchlab-<AWS::AccountId>-<AWS::Region>"
    assert environment(full) == {
        "AWS_DEFAULT_REGION": "<AWS::Region>",
        "BATCHLAB_STORE": f"s3://{bucket}/store",
        "BATCHLAB_LOG_LEVEL": "info",
        "BATCHLAB_SOURCE_ROOTS": "s3://gallery/photos, gs://events/",
        "BATCHLAB_OUTPUT_ROOTS": f"s3://{bucket}/exports, s3://delivery/zips, r2://zips/",
        "BATCHLAB_HTTP_HOSTS": "photos.example",
        "BATCHLAB_JOB_TYPES": "zip-export, cleanup, self-test",
        "BATCHLAB_PAGES_ROOT": "r2://zips/customers",
        "BATCHLAB_PUBLIC_BASE_URL": "https://photos.lab.example",
        "BATCHLAB_WEBHOOK_HOSTS": "shop.example",
        "BATCHLAB_MAIL_FROM": "photos@lab.example",
        "BATCHLAB_CONTACT": "photos@lab.example",
        "BATCHLAB_LANGUAGE": "de",
    }


def test_secrets_are_given_by_name_and_their_values_are_nowhere(full: Template) -> None:
    given = {
        each["Name"]: text(each["ValueFrom"])
        for each in full.one(DEFINITION)["ContainerProperties"]["Secrets"]
    }
    arn = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:batchlab"
    assert given == {
        "R2_ENDPOINT": f"{arn}/R2:R2_ENDPOINT::",
        "R2_ACCESS_KEY": f"{arn}/R2:R2_ACCESS_KEY::",
        "R2_SECRET_KEY": f"{arn}/R2:R2_SECRET_KEY::",
        "R2_BUCKET": f"{arn}/R2:R2_BUCKET::",
        "FIREBASE_SERVICE_ACCOUNT": f"{arn}/FIREBASE_SERVICE_ACCOUNT",
        "DATABASE_URL": f"{arn}/DATABASE_URL",
        "BATCHLAB_PASSWORD_WEDDING": f"{arn}/BATCHLAB_PASSWORD_WEDDING",
    }
    assert not [each for each in full.body["Resources"].values() if "AccessKey" in each["Type"]]
    assert "SecretString" not in json.dumps(full.body)


def test_without_secrets_none_are_asked_for(plain: Template) -> None:
    assert plain.one(DEFINITION)["ContainerProperties"].get("Secrets", []) == []


def test_logs_go_to_the_group_that_the_old_commands_look_at(full: Template) -> None:
    group = full.one("AWS::Logs::LogGroup", LogGroupName="/aws/batch/batchlab")
    assert group["RetentionInDays"] == 30
    log = full.one(DEFINITION)["ContainerProperties"]["LogConfiguration"]
    assert (log["LogDriver"], log["Options"]["awslogs-stream-prefix"]) == ("awslogs", "job")
