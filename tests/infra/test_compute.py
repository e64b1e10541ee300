"""batchlab_infra.compute and names: what users and programs already know keeps its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchlab_infra.names import COMPUTE_OUTPUTS
from tests.infra.conftest import Template, text

pytestmark = pytest.mark.stack


def test_the_old_programs_names_are_kept(wedding: Template) -> None:
    name = "wedding-photo-processor"
    queues = {each["JobQueueName"] for each in wedding.all("AWS::Batch::JobQueue").values()}
    assert queues == {f"{name}-job-queue", f"{name}-express-job-queue"}
    assert wedding.one("AWS::Batch::JobDefinition")["JobDefinitionName"] == f"{name}-job-def"
    wedding.one("AWS::SQS::Queue", QueueName=f"{name}-jobs")
    wedding.one("AWS::Logs::LogGroup", LogGroupName=f"/aws/batch/{name}")


def test_the_stacks_are_named_for_describe_stacks(synthesized: Path) -> None:
    stacks = json.loads((synthesized / "wedding" / "manifest.json").read_text())["artifacts"]
    found = [name for name, each in stacks.items() if each["type"] == "aws:cloudformation:stack"]
    assert found == ["wedding-photo-processor-foundation", "wedding-photo-processor-stack"]


def test_its_outputs_are_those_that_are_documented(plain: Template, none: Template) -> None:
    assert set(plain.body["Outputs"]) == set(COMPUTE_OUTPUTS)
    assert set(none.body["Outputs"]) == set(COMPUTE_OUTPUTS) - {"WorkerUserName"}


def test_the_workers_job_definition_is_the_newest_revision_after_every_deployment(plain: Template) -> None:
    arn = text(plain.body["Outputs"]["JobDefinitionArn"]["Value"])
    assert arn.endswith(":job-definition/batchlab-job-def")


def test_no_template_holds_more_than_aws_takes(synthesized: Path) -> None:
    for path in synthesized.glob("*/*.template.json"):
        assert path.stat().st_size < 1_000_000  # Source: AWS CloudFormation quotas
        assert len(json.loads(path.read_text())["Resources"]) < 500


def test_everything_that_can_be_tagged_carries_the_stacks_tag(full: Template) -> None:
    for kind in ("AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::IAM::Role"):
        for each in full.all(kind).values():
            assert {"Key": "batchlab", "Value": "batchlab"} in each["Tags"]
