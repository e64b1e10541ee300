"""The facts about one compute environment: its machines, network, role, quota, and what starting them met with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from batchlab.batch.account import Asking
from batchlab.batch.facts import Environment, Machine, Subnet

_RECENT = timedelta(hours=1)
_FAMILIES_OF_OPTIMAL = ("c4", "m4", "r4")  # AWS Batch API Reference, ComputeResource: instanceTypes
# Standard families share one quota: A, C, D, H, I, M, R, T, Z (Amazon EC2 User Guide, "Amazon EC2 service quotas")
_STANDARD = frozenset("acdhimrtz")
_QUOTAS = {True: "L-34B43A08", False: "L-1216C47A"}
_ENDPOINTS = {"ecs", "ecr.api", "ecr.dkr"}  # without them a closed network starts no container


def environment_facts(asking: Asking, described: dict[str, Any]) -> Environment:
    """What DescribeComputeEnvironments says of it, and what only other services know."""
    name = described["computeEnvironmentName"]
    resources = described.get("computeResources") or {}
    kind = resources.get("type", "")
    on_ec2 = described["type"] == "MANAGED" and kind in ("EC2", "SPOT")
    spot = kind in ("SPOT", "FARGATE_SPOT")
    types = resources.get("instanceTypes", [])
    return Environment(
        name=name,
        enabled=described["state"] == "ENABLED",
        status=described.get("status", "VALID"),
        reason=described.get("statusReason", "") if described.get("status") != "VALID" else "",
        spot=spot,
        desired_vcpus=resources.get("desiredvCpus", 0),
        max_vcpus=resources.get("maxvCpus"),
        machines=_machines(asking, types) if on_ec2 else (),
        subnets=_subnets(asking, resources) if on_ec2 else (),
        role_problem=_role_problem(asking, resources.get("instanceRole", "")) if on_ec2 else "",
        quota_vcpus=_quota(asking, types, spot=spot) if on_ec2 else None,
        registered=_registered(asking, described.get("ecsClusterArn", "")) if on_ec2 else None,
        launch_failures=_launch_failures(asking, name) if on_ec2 else (),
    )


def _machines(asking: Asking, types: list[str]) -> tuple[Machine, ...]:
    if any(each.startswith("default_") for each in types):
        return ()  # AWS chooses, and may choose anew tomorrow
    names = [_FAMILIES_OF_OPTIMAL if each == "optimal" else (each,) for each in types]
    patterns = [name if "." in name else f"{name}.*" for some in names for name in some]
    found = asking.may(
        "instance types",
        "ec2",
        "describe_instance_types",
        Filters=[{"Name": "instance-type", "Values": patterns}],
    )
    return tuple(
        Machine(each["InstanceType"], each["VCpuInfo"]["DefaultVCpus"], each["MemoryInfo"]["SizeInMiB"])
        for each in (found or {}).get("InstanceTypes", [])
    )


def _subnets(asking: Asking, resources: dict[str, Any]) -> tuple[Subnet, ...]:
    ids = resources.get("subnets", [])
    described = asking.may("subnets", "ec2", "describe_subnets", SubnetIds=ids) if ids else None
    if not described or not described["Subnets"]:
        return ()
    vpc = [{"Name": "vpc-id", "Values": [described["Subnets"][0]["VpcId"]]}]
    tables = asking.may("routes", "ec2", "describe_route_tables", Filters=vpc)
    if tables is None:
        return ()
    by_subnet: dict[str | None, list[dict[str, Any]]] = {}
    main: list[dict[str, Any]] = []
    for table in tables["RouteTables"]:
        for association in table.get("Associations", []):
            by_subnet[association.get("SubnetId")] = table.get("Routes", [])
            main = table.get("Routes", []) if association.get("Main") else main
    ways = {subnet: _way_out(by_subnet.get(subnet, main)) for subnet in ids}
    if not all(ways.values()):
        found = asking.may("endpoints", "ec2", "describe_vpc_endpoints", Filters=vpc)
        if found is None:
            return ()  # it may have endpoints
        services = {each["ServiceName"].split(".", 3)[-1] for each in found["VpcEndpoints"]}
        ways = {
            subnet: way or ("endpoints" if services >= _ENDPOINTS else "") for subnet, way in ways.items()
        }
    public = _template_gives_addresses(asking, resources.get("launchTemplate"))
    return tuple(
        Subnet(each["SubnetId"], ways[each["SubnetId"]], public or each.get("MapPublicIpOnLaunch", False))
        for each in described["Subnets"]
    )


def _way_out(routes: list[dict[str, Any]]) -> Any:
    for route in routes:
        if route.get("DestinationCidrBlock") != "0.0.0.0/0" or route.get("State") == "blackhole":
            continue
        return "internet gateway" if route.get("GatewayId", "").startswith("igw-") else "other gateway"
    return ""


def _template_gives_addresses(asking: Asking, template: dict[str, Any] | None) -> bool:
    if not template:
        return False
    named = {
        key[0].upper() + key[1:]: value for key, value in template.items() if key.startswith("launchTemplate")
    }
    found = asking.may(
        "the launch template",
        "ec2",
        "describe_launch_template_versions",
        Versions=[template.get("version") or "$Default"],
        **named,
    )
    versions = (found or {}).get("LaunchTemplateVersions", [])
    return any(
        interface.get("AssociatePublicIpAddress", False)
        for version in versions
        for interface in version["LaunchTemplateData"].get("NetworkInterfaces", [])
    )


def _role_problem(asking: Asking, profile: str) -> str:
    name = profile.rpartition("/")[2]
    if not name:
        return "it has no instance profile"
    absent = ("NoSuchEntity",)
    found = asking.may(
        "the instance profile", "iam", "get_instance_profile", absent=absent, InstanceProfileName=name
    )
    if found is None:
        return ""
    if not found:
        return f"there is no instance profile {name}"
    roles = found["InstanceProfile"]["Roles"]
    if not roles:
        return f"the instance profile {name} holds no role"
    role = roles[0]["RoleName"]
    attached = asking.may(
        "the machines' role", "iam", "list_attached_role_policies", absent=absent, RoleName=role
    )
    inline = asking.may("the machines' role", "iam", "list_role_policies", absent=absent, RoleName=role)
    if attached == {} or inline == {}:
        return f"the instance profile {name} names the role {role}, which does not exist"
    if attached is None or inline is None or attached["AttachedPolicies"] or inline["PolicyNames"]:
        return ""
    return f"the role {role} has no policy"


def _quota(asking: Asking, types: list[str], *, spot: bool) -> int | None:
    if not types or any(each[0] not in _STANDARD for each in types if each != "optimal"):
        return None
    found = asking.may(
        "quotas", "service-quotas", "get_service_quota", ServiceCode="ec2", QuotaCode=_QUOTAS[spot]
    )
    return None if found is None else int(found["Quota"]["Value"])


def _registered(asking: Asking, cluster: str) -> int | None:
    found = asking.may("the ECS cluster", "ecs", "describe_clusters", clusters=[cluster]) if cluster else None
    clusters = (found or {}).get("clusters", [])
    return int(clusters[0].get("registeredContainerInstancesCount", 0)) if clusters else None


def _launch_failures(asking: Asking, environment: str) -> tuple[str, ...]:
    """What starting machines failed with: AWS Batch has an Auto Scaling group for each environment."""
    listed = asking.may(
        "Auto Scaling groups",
        "autoscaling",
        "describe_auto_scaling_groups",
        Filters=[{"Name": "tag-key", "Values": ["AWSBatchServiceTag"]}],
        MaxRecords=100,
    )
    groups = [
        group["AutoScalingGroupName"]
        for group in (listed or {}).get("AutoScalingGroups", [])
        if group["AutoScalingGroupName"].startswith(f"AWSBatch-{environment}-asg-")
    ]
    failures = []
    for group in groups:
        found = asking.may(
            "starts of machines",
            "autoscaling",
            "describe_scaling_activities",
            AutoScalingGroupName=group,
            MaxRecords=100,
        )
        recent = datetime.now(UTC) - _RECENT
        activities = [each for each in (found or {}).get("Activities", []) if each["StartTime"] >= recent]
        # a start that succeeded since means that what failed before has passed
        for each in sorted(activities, key=lambda each: each["StartTime"], reverse=True):
            if each["StatusCode"] == "Successful" and each.get("Description", "").startswith("Launching"):
                break
            if each["StatusCode"] in ("Failed", "Cancelled") and each.get("StatusMessage"):
                failures.append(each["StatusMessage"])
    return tuple(failures)
