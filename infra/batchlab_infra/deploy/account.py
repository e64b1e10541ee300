"""The AWS account that is deployed to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from batchlab.aws import code_and_status, explained, service_client


@dataclass(frozen=True)
class Stack:
    """A CloudFormation stack as it stands."""

    name: str
    status: str  # CREATE_COMPLETE, UPDATE_IN_PROGRESS, ...
    outputs: Mapping[str, str]
    tags: Mapping[str, str]
    changed_at: datetime


class Account:
    """Asked for nothing before the first question; raises Denied and ServiceError that say what to do."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A boto3 client for `service` in the deployment's region."""
        if service not in self._clients:
            with self.asking(service):
                self._clients[service] = service_client(service, self.region)
        return self._clients[service]

    @cached_property
    def id(self) -> str:
        """The twelve digits; the first thing that needs credentials."""
        sts = self.client("sts")
        with self.asking("AWS credentials"):
            return str(sts.get_caller_identity()["Account"])

    def stack(self, name: str) -> Stack | None:
        """The stack, or None when there is none; a deleted one is none."""
        cloudformation = self.client("cloudformation")
        with self.asking(f"stack {name}"):
            try:
                found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                if code_and_status(error)[0] == "ValidationError":  # its word for "does not exist"
                    return None
                raise
        if found["StackStatus"] in ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS"):
            return None
        return Stack(
            name,
            found["StackStatus"],
            {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
            {each["Key"]: each["Value"] for each in found.get("Tags", [])},
            found.get("LastUpdatedTime") or found["CreationTime"],
        )

    @contextmanager
    def asking(self, what: str, *, absent: tuple[str, ...] = ()) -> Iterator[None]:
        """Errors of AWS come out in our words; those with a code in `absent` mean "not there" and pass silently."""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if code_and_status(error)[0] not in absent:
                raise explained(error, what) from None
