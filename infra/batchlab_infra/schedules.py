"""What happens by the clock: a look at jobs each minute, machines kept warm in the day, the cleaning up at night."""

from __future__ import annotations

import json
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from batchlab_infra.environments import Environments
from batchlab_infra.functions import Functions
from batchlab_infra.names import Names
from batchlab_infra.permissions import definition_arns
from batchlab_infra.settings import StackSettings

CLEANUP = "cleanup"
_CLEANUP_AT = "03:30"  # of the settings' time zone


def make_schedules(
    scope: Construct, settings: StackSettings, environments: Environments, functions: Functions
) -> None:
    """Each schedule calls one action of AWS Batch, or the sweeper, with a role that may do just that."""
    names = Names(settings.name)
    _each_minute(scope, functions)
    if settings.warm_vcpus:
        environment = environments.spot.compute_environment_arn
        role = _role(scope, "WarmRole", "batch:UpdateComputeEnvironment", [environment])
        for name, at, vcpus in (
            ("WarmFrom", settings.warm_from, settings.warm_vcpus),
            ("WarmTo", settings.warm_to, 0),
        ):
            called = {"ComputeEnvironment": environment, "ComputeResources": {"MinvCpus": vcpus}}
            _schedule(scope, name, settings, at, settings.warm_days, "updateComputeEnvironment", called, role)
    if CLEANUP in settings.job_types:
        queue = environments.standard_queue.job_queue_arn
        role = _role(scope, "CleanupRole", "batch:SubmitJob", [queue, *definition_arns(settings)])
        called = {
            "JobName": f"{settings.name}-{CLEANUP}",
            "JobQueue": queue,
            "JobDefinition": names.job_definition,
            "Parameters": {"job": json.dumps({"type": CLEANUP, "title": "Cleaning up"})},
        }
        _schedule(scope, "Cleanup", settings, _CLEANUP_AT, "*", "submitJob", called, role)


def _each_minute(scope: Construct, functions: Functions) -> None:
    """Calls the sweeper. What fails is not repeated: the next minute is."""
    sweeper = functions.sweeper.function_arn
    role = _role(scope, "SweeperScheduleRole", "lambda:InvokeFunction", [sweeper])
    scheduler.CfnSchedule(
        scope,
        "EachMinute",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        schedule_expression="rate(1 minute)",
        target=scheduler.CfnSchedule.TargetProperty(
            arn=sweeper,
            role_arn=role.role_arn,
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_retry_attempts=0),
        ),
    )


def _role(scope: Construct, name: str, action: str, resources: list[str]) -> iam.Role:
    role = iam.Role(scope, name, assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=[action], resources=resources))
    return role


def _schedule(
    scope: Construct,
    name: str,
    settings: StackSettings,
    at: str,
    days: str,
    action: str,
    called: dict[str, Any],
    role: iam.Role,
) -> None:
    hour, minute = at.split(":")
    day_of_month = "*" if days == "*" else "?"
    scheduler.CfnSchedule(
        scope,
        name,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        schedule_expression=f"cron({int(minute)} {int(hour)} {day_of_month} * {'?' if days == '*' else days} *)",
        schedule_expression_timezone=settings.time_zone,
        target=scheduler.CfnSchedule.TargetProperty(
            # Any action of any service, its parameters written as the AWS SDK for Java writes them.
            # Source: EventBridge Scheduler User Guide, "Using universal targets".
            arn=f"arn:aws:scheduler:::aws-sdk:batch:{action}",
            role_arn=role.role_arn,
            input=Stack.of(scope).to_json_string(called),
        ),
    )
