"""batchlab_infra.foundation and network: what outlives every deployment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchlab_infra.names import FOUNDATION_OUTPUTS
from tests.infra.conftest import Template, listed, text

pytestmark = pytest.mark.stack


def test_it_is_the_same_with_and_without_a_compute_stack(synthesized: Path) -> None:
    before, after = (
        json.loads((synthesized / variant / "batchlab-foundation.template.json").read_text())
        for variant in ("foundation", "plain")
    )
    assert before == after


def test_without_an_image_only_the_foundation_is_made(synthesized: Path) -> None:
    assert [path.name for path in (synthesized / "foundation").glob("*.template.json")] == [
        "batchlab-foundation.template.json"
    ]


def test_its_outputs_are_those_that_are_documented_and_each_is_exported_by_name(foundation: Template) -> None:
    outputs = foundation.body["Outputs"]
    assert set(outputs) == set(FOUNDATION_OUTPUTS)
    assert {name: each["Export"]["Name"] for name, each in outputs.items()} == {
        name: f"batchlab-foundation-{name}" for name in FOUNDATION_OUTPUTS
    }


def test_the_network_has_public_subnets_no_nat_no_way_in_and_a_free_way_to_s3(foundation: Template) -> None:
    assert len(foundation.all("AWS::EC2::Subnet")) == 3
    assert all(subnet["MapPublicIpOnLaunch"] for subnet in foundation.all("AWS::EC2::Subnet").values())
    assert foundation.all("AWS::EC2::NatGateway") == {}
    assert foundation.all("AWS::EC2::SecurityGroupIngress") == {}
    assert foundation.all("AWS::EC2::SecurityGroup") == {}
    endpoint = foundation.one("AWS::EC2::VPCEndpoint")
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert len(endpoint["RouteTableIds"]) == 3


def test_every_subnet_leads_out_by_the_internet_gateway(foundation: Template) -> None:
    routes = foundation.all("AWS::EC2::Route").values()
    assert [route["DestinationCidrBlock"] for route in routes] == ["0.0.0.0/0"] * 3
    assert all("GatewayId" in route for route in routes)


def test_behind_a_nat_the_machines_subnets_are_private(synthesized: Path) -> None:
    template = Template(json.loads((synthesized / "batch" / "batchlab-foundation.template.json").read_text()))
    assert len(template.all("AWS::EC2::NatGateway")) == 1
    joined = template.body["Outputs"]["SubnetIds"]["Value"]["Fn::Join"][1]
    subnets = template.all("AWS::EC2::Subnet")
    assert [subnets[each["Ref"]]["MapPublicIpOnLaunch"] for each in joined] == [False, False]


def test_an_existing_network_is_not_changed(synthesized: Path) -> None:
    template = Template(json.loads((synthesized / "none" / "batchlab-foundation.template.json").read_text()))
    assert not [each for each in template.body["Resources"].values() if each["Type"].startswith("AWS::EC2::")]
    assert template.body["Outputs"]["SubnetIds"]["Value"] == "subnet-01234567,subnet-12345678"


def test_the_job_bucket_is_private_encrypted_and_takes_tls_only(foundation: Template) -> None:
    bucket = foundation.one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    denied = foundation.one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [each["Condition"] for each in denied]
    assert {each["Effect"] for each in denied} == {"Deny"}


def test_uploads_nobody_finished_and_old_exports_go_and_documents_stay(foundation: Template) -> None:
    rules = {
        rule["Id"]: rule for rule in foundation.one("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    }
    unfinished = rules["uploads-nobody-finished"]
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert (rules["exports"]["Prefix"], rules["exports"]["ExpirationInDays"]) == ("exports/", 30)
    assert {rule.get("Prefix") for rule in rules.values() if "ExpirationInDays" in rule} == {"exports/"}


def test_images_cannot_be_moved_are_scanned_and_do_not_pile_up(foundation: Template) -> None:
    repository = foundation.one("AWS::ECR::Repository")
    assert repository["RepositoryName"] == "batchlab"
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert '"countNumber":30' in repository["LifecyclePolicy"]["LifecyclePolicyText"]


def test_destroying_the_stack_deletes_no_data_that_is_still_there(foundation: Template) -> None:
    kept = [
        each
        for each in foundation.body["Resources"].values()
        if "S3::Bucket" in each["Type"] or "ECR" in each["Type"]
    ]
    assert {each.get("DeletionPolicy", "Delete") for each in kept} == {
        "Delete"
    }  # AWS refuses while they hold anything
    assert not [each for each in foundation.body["Resources"].values() if each["Type"].startswith("Custom::")]
    assert "EmptyOnDelete" not in foundation.one("AWS::ECR::Repository")


def test_the_bucket_is_named_by_account_and_region(foundation: Template) -> None:
    assert text(foundation.one("AWS::S3::Bucket")["BucketName"]) == "batchlab-<AWS::AccountId>-<AWS::Region>"
    assert listed(foundation.one("AWS::S3::Bucket")["Tags"]) == [{"Key": "batchlab", "Value": "batchlab"}]
