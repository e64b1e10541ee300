"""A queue and a job definition on moto, whose jobs succeed at once and run nothing."""

from __future__ import annotations

import json
import secrets
import urllib.request

from batchlab import aws


def queue_and_definition(endpoint_url: str) -> tuple[str, str]:
    """Their names. The environment says who asks."""
    told = json.dumps({"batch": {"use_docker": False}}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{endpoint_url}/moto-api/config", told), timeout=10)
    name = f"t{secrets.token_hex(4)}"
    iam, batch = aws.service_client("iam", "us-east-1"), aws.service_client("batch", "us-east-1")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch.create_compute_environment(
        computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    batch.create_job_queue(
        jobQueueName=name,
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}],
    )
    container = {"image": "busybox", "vcpus": 2, "memory": 3584, "command": ["run", "--job", "Ref::job"]}
    batch.register_job_definition(
        jobDefinitionName=name, type="container", parameters={"job": "{}"}, containerProperties=container
    )
    iam.close()
    batch.close()
    return name, name
