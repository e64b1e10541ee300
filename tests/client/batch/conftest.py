"""A stack of moto's as deploy.sh would make it, in which tests plant one cause after the other."""

from __future__ import annotations

import hashlib
import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from batchlab import aws
from batchlab.batch.account import Asking
from tests import servers

REGION = "us-east-1"
ACCOUNT = "123456789012"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "ecs:Poll", "Resource": "*"}],
}


@dataclass
class Planted:
    """One environment, queue and definition, all well, of this test alone."""

    asking: Asking
    clients: dict[str, Any]
    name: str
    subnet: str
    route_table: str
    profile: str
    role: str
    image: str
    hooks: list[tuple[Any, str, Callable[..., Any]]] = field(default_factory=list)

    @property
    def queue(self) -> str:
        return f"{self.name}-job-queue"

    @property
    def definition(self) -> str:
        return f"{self.name}-job-def"

    def answers(self, operation: str, change: Callable[[Any], None]) -> None:
        """`change` is given each answer to this operation before anybody reads it: what moto cannot be made to say."""

        def hook(parsed: Any, **_: Any) -> None:
            change(parsed)

        self._hook(f"after-call.{operation}", hook)

    def says(self, operation: str, body: Any, status: int = 200) -> None:
        """This operation answers so, and moto is not asked."""
        self._hook(f"before-call.{operation}", lambda **_: (SimpleNamespace(status_code=status), body))

    def _hook(self, event: str, hook: Callable[..., Any]) -> None:
        events = self.clients[event.split(".")[1]].meta.events
        events.register(event, hook)
        self.hooks.append((events, event, hook))

    def submit(self, **more: Any) -> str:
        answer = self.clients["batch"].submit_job(
            jobName="test", jobQueue=self.queue, jobDefinition=self.definition, **more
        )
        return str(answer["jobId"])

    def waits(self, seconds: float = 120, memory_mib: int = 3584) -> None:
        """Every job is RUNNABLE since then, and described whole: moto's succeed at once and name no image."""
        wants = [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": str(memory_mib)}]

        def change(parsed: Any) -> None:
            for job in parsed.get("jobs", []):
                job.pop("startedAt", None)
                job |= {"status": "RUNNABLE", "createdAt": job["createdAt"] - int(seconds * 1000)}
                job["container"] |= {"image": self.image, "resourceRequirements": wants}

        self.answers("batch.DescribeJobs", change)


@pytest.fixture(scope="session")
def aws_clients(moto_s3: servers.S3Server) -> Iterator[dict[str, Any]]:
    """Clients of moto's account; skips where only the client is installed."""
    pytest.importorskip(
        "docker", reason="moto's Batch wants the docker package, which the client alone has not"
    )
    told = json.dumps({"batch": {"use_docker": False}}).encode()
    request = urllib.request.Request(f"{moto_s3.endpoint_url}/moto-api/config", told)
    urllib.request.urlopen(request, timeout=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", moto_s3.endpoint_url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        services = ("batch", "ec2", "iam", "ecr", "logs", "service-quotas", "autoscaling", "ecs", "s3")
        clients = {service: aws.service_client(service, REGION) for service in services}
        yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def aws_environment(
    aws_clients: dict[str, Any], moto_s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process asks moto, with clients of its own: one keeps the keys that it was made with."""
    monkeypatch.setattr(aws, "_clients", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_s3.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture
def planted(aws_clients: dict[str, Any], aws_environment: None) -> Iterator[Planted]:
    """A stack in which nothing is wrong."""
    ec2, iam, batch = aws_clients["ec2"], aws_clients["iam"], aws_clients["batch"]
    name = f"t{secrets.token_hex(4)}"
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    group = ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc)["GroupId"]

    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName=name, PolicyName="agent", PolicyDocument=json.dumps(POLICY))
    profile = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    service = iam.create_role(RoleName=f"{name}-service", AssumeRolePolicyDocument="{}")["Role"]["Arn"]

    aws_clients["ecr"].create_repository(repositoryName=name)
    kind = "application/vnd.oci.image.manifest.v1+json"
    layer = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": digest_of(name)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": []})
    aws_clients["ecr"].put_image(repositoryName=name, imageManifest=manifest, imageTag="a")
    digest = aws_clients["ecr"].describe_images(repositoryName=name)["imageDetails"][0]["imageDigest"]
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}@{digest}"

    batch.create_compute_environment(
        computeEnvironmentName=name,
        type="MANAGED",
        state="ENABLED",
        serviceRole=service,
        computeResources={
            "type": "SPOT",
            "minvCpus": 0,
            "maxvCpus": 16,
            "desiredvCpus": 0,
            "instanceTypes": ["c5n.large", "m5n.large"],
            "subnets": [subnet],
            "securityGroupIds": [group],
            "instanceRole": profile,
            "spotIamFleetRole": service,
        },
    )
    batch.create_job_queue(
        jobQueueName=f"{name}-job-queue",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}],
    )
    batch.register_job_definition(
        jobDefinitionName=f"{name}-job-def",
        type="container",
        containerProperties={
            "image": image,
            "command": ["run"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "2"},
                {"type": "MEMORY", "value": "3584"},
            ],
        },
    )
    made = Planted(Asking(REGION, aws_clients), aws_clients, name, subnet, table, name, name, image)
    yield made
    for events, event, hook in made.hooks:
        events.unregister(event, hook)


def digest_of(text: str) -> str:
    """A digest that no image has."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
