"""Logs that are kept for a time and no longer."""

from __future__ import annotations

from typing import cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from batchlab_infra.settings import StackSettings


def make_log_group(scope: Construct, construct_id: str, name: str, settings: StackSettings) -> logs.LogGroup:
    """The log group `name`, kept for `log_retention_days`; it goes with the stack."""
    group = logs.LogGroup(scope, construct_id, log_group_name=name, removal_policy=RemovalPolicy.DESTROY)
    cast(logs.CfnLogGroup, group.node.default_child).retention_in_days = settings.log_retention_days
    return group
