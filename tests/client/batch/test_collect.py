from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from batchlab.batch.causes import Cause, Weight
from batchlab.batch.collect import facts_of_job, facts_of_queues
from batchlab.batch.facts import Container
from batchlab.batch.findings import find
from batchlab.errors import NotFound
from tests.client.batch.conftest import Planted


def test_the_facts_of_a_healthy_stack_hold_everything_and_mean_nothing_bad(planted: Planted) -> None:
    planted.waits()
    facts = facts_of_job(planted.asking, planted.submit())
    assert facts.container == Container(2, 3584, planted.image, image_there=True)
    [environment] = facts.queues[0].environments
    assert (environment.spot, environment.max_vcpus, environment.role_problem) == (True, 16, "")
    assert {machine.name: machine.memory_mib for machine in environment.machines} == {
        "c5n.large": 5376,
        "m5n.large": 8192,
    }
    [subnet] = environment.subnets
    assert (subnet.way_out, subnet.public_addresses) == ("internet gateway", True)
    assert environment.registered == 0
    assert facts.job is not None
    assert 120 <= facts.job.waiting_seconds < 180
    assert find(facts) == ()


def test_the_doctor_finds_nothing_in_a_healthy_stack(planted: Planted) -> None:
    facts = facts_of_queues(planted.asking, [planted.queue, "no-such-queue"], planted.definition)
    assert facts.container is not None
    assert find(facts) == ()


def queue_disabled(planted: Planted) -> None:
    planted.clients["batch"].update_job_queue(jobQueue=planted.queue, state="DISABLED")


def environment_disabled(planted: Planted) -> None:
    planted.clients["batch"].update_compute_environment(computeEnvironment=planted.name, state="DISABLED")


def environment_invalid(planted: Planted) -> None:
    def change(parsed: Any) -> None:
        for each in parsed["computeEnvironments"]:
            each |= {"status": "INVALID", "statusReason": "CLIENT_ERROR - Role is not authorized"}

    planted.answers("batch.DescribeComputeEnvironments", change)


def _resources(planted: Planted, **values: Any) -> None:
    def change(parsed: Any) -> None:
        for each in parsed["computeEnvironments"]:
            each["computeResources"] |= values

    planted.answers("batch.DescribeComputeEnvironments", change)


def maximum_too_small(planted: Planted) -> None:
    _resources(planted, maxvCpus=1)


def maximum_reached(planted: Planted) -> None:
    _resources(planted, desiredvCpus=16)


def no_route(planted: Planted) -> None:
    planted.clients["ec2"].delete_route(RouteTableId=planted.route_table, DestinationCidrBlock="0.0.0.0/0")


def no_public_address(planted: Planted) -> None:
    planted.clients["ec2"].modify_subnet_attribute(
        SubnetId=planted.subnet, MapPublicIpOnLaunch={"Value": False}
    )


def no_role(planted: Planted) -> None:
    planted.clients["iam"].remove_role_from_instance_profile(
        InstanceProfileName=planted.profile, RoleName=planted.role
    )


def no_profile(planted: Planted) -> None:
    no_role(planted)
    planted.clients["iam"].delete_instance_profile(InstanceProfileName=planted.profile)


def role_without_rights(planted: Planted) -> None:
    planted.clients["iam"].delete_role_policy(RoleName=planted.role, PolicyName="agent")


def no_image(planted: Planted) -> None:
    planted.clients["ecr"].batch_delete_image(
        repositoryName=planted.name, imageIds=[{"imageDigest": planted.image.rpartition("@")[2]}]
    )


def no_repository(planted: Planted) -> None:
    planted.clients["ecr"].delete_repository(repositoryName=planted.name, force=True)


def no_quota(planted: Planted) -> None:
    planted.says("service-quotas.GetServiceQuota", {"Quota": {"Value": 0.0}})


def _activity(planted: Planted, *activities: dict[str, Any]) -> None:
    group = {"AutoScalingGroupName": f"AWSBatch-{planted.name}-asg-1"}
    now = datetime.now(UTC)
    planted.says("autoscaling.DescribeAutoScalingGroups", {"AutoScalingGroups": [group]})
    planted.says(
        "autoscaling.DescribeScalingActivities",
        {"Activities": [{"StartTime": now, **each} for each in activities]},
    )


def no_spot_machine(planted: Planted) -> None:
    _activity(planted, {"StatusCode": "Failed", "StatusMessage": "UnfulfillableCapacity - no machine."})


def machine_quota_reached(planted: Planted) -> None:
    _activity(planted, {"StatusCode": "Failed", "StatusMessage": "MaxSpotInstanceCountExceeded - no."})


def dependency_failed(planted: Planted) -> None:
    def change(parsed: Any) -> None:
        for job in parsed["jobs"]:
            job["status"] = "PENDING" if job.get("dependsOn") else "FAILED"

    planted.answers("batch.DescribeJobs", change)


def image_not_pulled(planted: Planted) -> None:
    attempt = {
        "container": {"reason": "CannotPullContainerError: i/o timeout"},
        "statusReason": "Task failed",
    }

    def change(parsed: Any) -> None:
        for job in parsed["jobs"]:
            job["attempts"] = [attempt]

    planted.answers("batch.DescribeJobs", change)


PLANTED: list[tuple[Callable[[Planted], None], Cause]] = [
    (queue_disabled, Cause.QUEUE_DISABLED),
    (environment_disabled, Cause.ENVIRONMENT_DISABLED),
    (environment_invalid, Cause.ENVIRONMENT_INVALID),
    (maximum_too_small, Cause.MAX_TOO_SMALL),
    (maximum_reached, Cause.MAX_REACHED),
    (no_route, Cause.NO_WAY_OUT),
    (no_public_address, Cause.NO_WAY_OUT),
    (no_role, Cause.INSTANCE_ROLE),
    (no_profile, Cause.INSTANCE_ROLE),
    (role_without_rights, Cause.INSTANCE_ROLE),
    (no_image, Cause.IMAGE_MISSING),
    (no_repository, Cause.IMAGE_MISSING),
    (no_quota, Cause.QUOTA),
    (no_spot_machine, Cause.NO_CAPACITY),
    (machine_quota_reached, Cause.QUOTA),
    (image_not_pulled, Cause.IMAGE_NOT_PULLED),
    (dependency_failed, Cause.DEPENDENCY_FAILED),
]


@pytest.mark.parametrize(("plant", "cause"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_cause_planted_in_the_account_is_found_and_no_other(
    planted: Planted, plant: Callable[[Planted], None], cause: Cause
) -> None:
    depends = [{"jobId": planted.submit()}] if plant is dependency_failed else []
    job = planted.submit(dependsOn=depends)
    planted.waits()
    plant(planted)
    assert [finding.cause for finding in find(facts_of_job(planted.asking, job))] == [cause]


def test_a_job_that_asks_for_more_than_any_type_has_is_found(planted: Planted) -> None:
    planted.waits(memory_mib=8192)
    assert [finding.cause for finding in find(facts_of_job(planted.asking, planted.submit()))] == [
        Cause.FITS_NO_MACHINE
    ]


def test_a_machine_that_could_be_started_since_means_that_the_shortage_has_passed(planted: Planted) -> None:
    planted.waits()
    job = planted.submit()
    _activity(
        planted,
        {"StatusCode": "Successful", "Description": "Launching a new EC2 instance: i-1"},
        {
            "StatusCode": "Failed",
            "StatusMessage": "UnfulfillableCapacity",
            "StartTime": datetime(2026, 1, 1, tzinfo=UTC),
        },
    )
    assert find(facts_of_job(planted.asking, job)) == ()


def test_what_may_not_be_asked_is_named_and_counts_for_nothing(planted: Planted) -> None:
    planted.waits()
    job = planted.submit()
    refused = {"Error": {"Code": "AccessDenied", "Message": "no"}}
    planted.says("iam.GetInstanceProfile", refused, status=403)
    facts = facts_of_job(planted.asking, job)
    assert facts.queues[0].environments[0].role_problem == ""
    assert any(line.startswith("the instance profile: AccessDenied") for line in facts.unknown)
    assert [each for each in find(facts) if each.weight is not Weight.NOTE] == []


def test_a_job_and_a_queue_that_do_not_exist_are_not_found(planted: Planted) -> None:
    with pytest.raises(NotFound, match="knows no job"):
        facts_of_job(planted.asking, "00000000-0000-4000-8000-000000000000")
    with pytest.raises(NotFound, match="no queue nowhere in us-east-1"):
        facts_of_queues(planted.asking, ["nowhere"])
