"""A simulated account of AWS with our stacks in it, deployed by CloudFormation."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3

from tests.infra.adapter import adapted

ASSETS = "cdk-hnb659fds-assets-123456789012-us-east-1"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


class Account:
    """moto's, at an URL."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        self._open = ExitStack()

    def client(self, service: str) -> Any:
        client = boto3.client(service, endpoint_url=self.endpoint_url, **KEYS)  # type: ignore[call-overload]
        self._open.callback(client.close)
        return client

    def tell(self, **config: Any) -> None:
        """Sets how moto simulates."""
        request = urllib.request.Request(f"{self.endpoint_url}/moto-api/config", json.dumps(config).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def close(self) -> None:
        self._open.close()

    def deploy(self, synthesized: Path, scratch: str = "/tmp") -> None:
        """Creates the stacks of a synth. `scratch` is the directory that a job's /tmp is made of."""
        self.client("ssm").put_parameter(
            Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True
        )
        self.client("s3").create_bucket(Bucket=ASSETS)
        for path in sorted(synthesized.glob("*.template.json")):  # foundation comes before stack
            self._create(path, scratch)

    def _create(self, path: Path, scratch: str) -> None:
        template = json.loads(path.read_text())
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("handlers.py", "")
        for function in template["Resources"].values():
            if function["Type"] == "AWS::Lambda::Function":
                key = function["Properties"]["Code"]["S3Key"]
                self.client("s3").put_object(Bucket=ASSETS, Key=key, Body=archive.getvalue())
        self.client("cloudformation").create_stack(
            StackName=path.name.split(".")[0],
            TemplateBody=json.dumps(adapted(template, scratch)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )

    def outputs(self, stack: str) -> dict[str, str]:
        """Of a stack that has been created."""
        [found] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        assert found["StackStatus"] == "CREATE_COMPLETE"
        return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
