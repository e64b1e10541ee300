"""Where jobs run: the compute environments on Spot and on demand, and the two queues in front of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from aws_cdk import Annotations, Duration, Fn, Size, Tags
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from batchlab_infra.names import Names
from batchlab_infra.network import Network
from batchlab_infra.settings import StackSettings

_MACHINE_SETTINGS = (
    # the image of the last job on a machine is the image of the next: only the digest names it
    "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached",
    # a Spot notice becomes SIGTERM two minutes before the end, so that jobs write their ledger
    "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
    # the supervisor ends within 25 s; Batch itself gives 30
    "ECS_CONTAINER_STOP_TIMEOUT=30s",
)


@dataclass(frozen=True)
class Environments:
    """What stands between a submitted job and a machine."""

    spot: batch.ManagedEc2EcsComputeEnvironment
    on_demand: batch.ManagedEc2EcsComputeEnvironment
    standard_queue: batch.JobQueue
    express_queue: batch.JobQueue


def make_environments(scope: Construct, settings: StackSettings, network: Network) -> Environments:
    """The environments have no names of their own, so that CloudFormation may replace one in use."""
    names = Names(settings.name)
    # CDK wants to know a zone of the network; nothing in the template comes of it.
    vpc = ec2.Vpc.from_vpc_attributes(
        scope, "Network", vpc_id=network.vpc_id, availability_zones=[Fn.select(0, Fn.get_azs())]
    )
    # Routes are the foundation's; CDK would ask for their table at each deployment.
    Annotations.of(scope).acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "not needed here")
    subnets = [
        ec2.Subnet.from_subnet_id(scope, f"Subnet{index}", subnet_id)
        for index, subnet_id in enumerate(network.subnet_ids, start=1)
    ]
    group = ec2.SecurityGroup(
        scope,
        "Machines",
        vpc=vpc,
        description="Machines of batchlab jobs: everything out, nothing in",
        allow_all_outbound=True,
    )
    role = iam.Role(
        scope,
        "MachineRole",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        description="The ECS agent of the machines that run batchlab jobs",
        managed_policies=[
            # Source: AWS Batch User Guide, "Amazon ECS instance role"
            iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonEC2ContainerServiceforEC2Role")
        ],
    )
    template = _launch_template(scope, settings)

    def environment(name: str, *, spot: bool, most_vcpus: int) -> batch.ManagedEc2EcsComputeEnvironment:
        made = batch.ManagedEc2EcsComputeEnvironment(
            scope,
            name,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=subnets),
            security_groups=[group],
            instance_role=role,
            instance_types=[ec2.InstanceType(each) for each in settings.instance_types],
            use_optimal_instance_classes=False,  # CDK adds C4, M4 and R4 otherwise
            images=[batch.EcsMachineImage(image_type=batch.EcsMachineImageType.ECS_AL2023)],
            launch_template=template,
            spot=spot,
            # of the strategies, those under which CloudFormation updates an environment in place
            allocation_strategy=(
                batch.AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED
                if spot
                else batch.AllocationStrategy.BEST_FIT_PROGRESSIVE
            ),
            minv_cpus=0,
            maxv_cpus=most_vcpus,
            replace_compute_environment=False,
            terminate_on_update=False,
            update_timeout=Duration.minutes(60),
            update_to_latest_image_version=True,
        )
        # CDK leaves the version out, and edits of the template then never reach the machines (aws-cdk #28137).
        resource = cast(batch.CfnComputeEnvironment, made.node.default_child)
        resource.add_property_override(
            "ComputeResources.LaunchTemplate.Version", template.latest_version_number
        )
        Tags.of(made).add("Name", f"{settings.name}-{'spot' if spot else 'on-demand'}")
        return made

    spot = environment("Spot", spot=True, most_vcpus=settings.max_vcpus)
    on_demand = environment("OnDemand", spot=False, most_vcpus=settings.max_on_demand_vcpus)
    standard = _queue(scope, "StandardQueue", names.job_queue, 1, [spot, on_demand])
    express = _queue(scope, "ExpressQueue", names.express_job_queue, 10, [on_demand])
    return Environments(spot, on_demand, standard, express)


def _queue(
    scope: Construct,
    construct_id: str,
    name: str,
    priority: int,
    environments: list[batch.ManagedEc2EcsComputeEnvironment],
) -> batch.JobQueue:
    # A job that can never run blocks all behind it. Half an hour is beyond any mistake of Batch's own: good jobs
    # were once ended after three minutes (nextflow #7479). A lack of capacity is no reason: such a job waits.
    hopeless = (
        batch.JobStateTimeLimitActionsReason.JOB_RESOURCE_REQUIREMENT,
        batch.JobStateTimeLimitActionsReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
    )
    return batch.JobQueue(
        scope,
        construct_id,
        job_queue_name=name,
        priority=priority,
        compute_environments=[
            batch.OrderedComputeEnvironment(compute_environment=each, order=order)
            for order, each in enumerate(environments, start=1)
        ],
        job_state_time_limit_actions=[
            batch.JobStateTimeLimitAction(max_time=Duration.minutes(30), reason=reason) for reason in hopeless
        ],
    )


def _launch_template(scope: Construct, settings: StackSettings) -> ec2.LaunchTemplate:
    commands = ec2.UserData.for_linux()
    commands.add_commands(*(f"echo {line} >> /etc/ecs/ecs.config" for line in _MACHINE_SETTINGS))
    user_data = (
        ec2.MultipartUserData()
    )  # Batch merges its own part in and takes no other form (aws-cdk #6427)
    user_data.add_part(ec2.MultipartBody.from_user_data(commands))
    disk = ec2.BlockDeviceVolume.ebs(
        int(Size.gibibytes(settings.disk_gib).to_gibibytes()),
        encrypted=True,
        delete_on_termination=True,
        volume_type=ec2.EbsDeviceVolumeType.GP3,
    )
    return ec2.LaunchTemplate(
        scope,
        "LaunchTemplate",
        block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=disk)],
        user_data=user_data,
        require_imdsv2=True,
        http_put_response_hop_limit=1,  # the machine itself; a container cannot reach its credentials
    )
