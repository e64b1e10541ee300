"""batchlab_infra.environments: machines that start, take every job and cost nothing at rest."""

from __future__ import annotations

import email
from typing import Any

import pytest

from batchlab_infra.machines import machine
from batchlab_infra.settings import StackSettings
from tests.infra.conftest import Template

pytestmark = pytest.mark.stack
ENVIRONMENT, QUEUE = "AWS::Batch::ComputeEnvironment", "AWS::Batch::JobQueue"


@pytest.fixture(params=["Spot", "OnDemand"])
def resources(plain: Template, request: pytest.FixtureRequest) -> Any:
    return plain.named(ENVIRONMENT, request.param)["ComputeResources"]


def test_one_runs_on_spot_and_one_on_demand(plain: Template) -> None:
    kinds = [each["ComputeResources"]["Type"] for each in plain.all(ENVIRONMENT).values()]
    assert kinds == ["SPOT", "EC2"]


def test_they_start_from_nothing_and_stop_at_a_hundred_processors(resources: Any) -> None:
    assert (resources["MinvCpus"], resources["MaxvCpus"]) == (0, 100)


def test_only_listed_machines_are_used_and_none_of_an_old_generation(resources: Any) -> None:
    assert resources["InstanceTypes"] == list(StackSettings().instance_types)


def test_the_container_fits_every_machine_that_may_be_started(plain: Template, resources: Any) -> None:
    asked = plain.one("AWS::Batch::JobDefinition")["ContainerProperties"]["ResourceRequirements"]
    sizes = {each["Type"]: int(each["Value"]) for each in asked}
    assert sizes == {"VCPU": 2, "MEMORY": 3584}
    for name in resources["InstanceTypes"]:
        assert machine(name).holds(sizes["VCPU"], sizes["MEMORY"]) >= 1, name


def test_an_edit_of_the_launch_template_reaches_the_machines(plain: Template, resources: Any) -> None:
    [template] = plain.all("AWS::EC2::LaunchTemplate")
    assert resources["LaunchTemplate"]["Version"] == {"Fn::GetAtt": [template, "LatestVersionNumber"]}


def test_they_can_be_updated_in_place(plain: Template, resources: Any) -> None:
    assert resources["AllocationStrategy"] in ("SPOT_PRICE_CAPACITY_OPTIMIZED", "BEST_FIT_PROGRESSIVE")
    for environment in plain.all(ENVIRONMENT).values():
        assert environment["ReplaceComputeEnvironment"] is False
        assert "ServiceRole" not in environment
        assert "ComputeEnvironmentName" not in environment
        assert environment["UpdatePolicy"]["TerminateJobsOnUpdate"] is False


def test_the_standard_queue_tries_spot_first_and_the_express_queue_never(plain: Template) -> None:
    def order(name: str) -> list[str]:
        queue = plain.one(QUEUE, JobQueueName=name)
        found = sorted(queue["ComputeEnvironmentOrder"], key=lambda each: int(each["Order"]))
        return [each["ComputeEnvironment"]["Fn::GetAtt"][0] for each in found]

    spot, on_demand = plain.all(ENVIRONMENT)
    assert order("batchlab-job-queue") == [spot, on_demand]
    assert order("batchlab-express-job-queue") == [on_demand]


def test_only_a_job_that_can_never_run_is_ended_and_not_before_half_an_hour(plain: Template) -> None:
    for queue in plain.all(QUEUE).values():
        actions = queue["JobStateTimeLimitActions"]
        assert {each["MaxTimeSeconds"] for each in actions} == {1800}
        assert all(each["Reason"].startswith("MISCONFIGURATION:") for each in actions)


def test_the_disk_is_encrypted_and_credentials_stay_with_the_machine(plain: Template) -> None:
    data = plain.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    [disk] = data["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeType"], disk["Ebs"]["Encrypted"], disk["Ebs"]["VolumeSize"]) == (
        "gp3",
        True,
        50,
    )
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def test_user_data_is_mime_and_keeps_the_image_and_drains_on_a_spot_notice(plain: Template) -> None:
    parts = plain.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][
        1
    ]
    written = "".join(part if isinstance(part, str) else part["Fn::Base64"] for part in parts)
    message = email.message_from_string(written)
    assert message.get_content_type() == "multipart/mixed"
    assert len(message.get_payload()) == 1
    assert "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached" in written
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in written


def test_nothing_may_come_in(full: Template) -> None:
    group = full.one("AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert full.all("AWS::EC2::SecurityGroupIngress") == {}


def test_machines_carry_the_tag_by_which_bills_tell_what_the_stack_costs(resources: Any) -> None:
    assert resources["Tags"]["batchlab"] == "batchlab"


def test_machines_start_in_the_subnets_of_the_foundation(resources: Any) -> None:
    imported = [each["Fn::Select"][1]["Fn::Split"][1] for each in resources["Subnets"]]
    assert imported == [{"Fn::ImportValue": "batchlab-foundation-SubnetIds"}] * 3
