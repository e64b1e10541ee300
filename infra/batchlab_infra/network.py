"""The network that jobs run in. Nothing may come in, and what goes out costs no NAT unless one is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from batchlab_infra.settings import StackSettings


@dataclass(frozen=True)
class Network:
    """Where machines start."""

    vpc_id: str
    subnet_ids: tuple[str, ...]  # one or more, with a way out


def make_network(scope: Construct, settings: StackSettings) -> Network:
    """Afterwards there is a network as the setting `network` wants it; an existing one is not changed."""
    if settings.network == "existing":
        return Network(settings.vpc_id, settings.subnet_ids)
    public = ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=20)
    private = ec2.SubnetConfiguration(
        name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20
    )
    behind_nat = settings.network == "nat"
    vpc = ec2.Vpc(
        scope,
        "Vpc",
        ip_addresses=ec2.IpAddresses.cidr("10.20.0.0/16"),
        # Named here, because CDK would otherwise take two, or ask the account while it synthesizes.
        availability_zones=[Fn.select(index, Fn.get_azs()) for index in range(settings.zones)],
        nat_gateways=1 if behind_nat else 0,
        subnet_configuration=[public, private] if behind_nat else [public],
        # free, and photos from S3 in this region pass by the NAT
        gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
    )
    subnets = vpc.private_subnets if behind_nat else vpc.public_subnets
    return Network(vpc.vpc_id, tuple(subnet.subnet_id for subnet in subnets))
