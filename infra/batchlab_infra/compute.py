"""The compute stack: everything that runs a job. It can be deleted and made again; no data is in it."""

from __future__ import annotations

from aws_cdk import Aws, CfnOutput, Fn, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam
from constructs import Construct

from batchlab_infra.alarms import make_alarms
from batchlab_infra.definition import make_definition
from batchlab_infra.environments import Environments, make_environments
from batchlab_infra.foundation import imported
from batchlab_infra.functions import Functions, make_functions
from batchlab_infra.log_groups import make_log_group
from batchlab_infra.names import COMPUTE_OUTPUTS, Names
from batchlab_infra.permissions import definition_arns
from batchlab_infra.schedules import make_schedules
from batchlab_infra.settings import StackSettings


class ComputeStack(Stack):
    """`<name>-stack`. `package` is the directory of the functions' code."""

    def __init__(self, scope: Construct, settings: StackSettings, package: str) -> None:
        names = Names(settings.name)
        super().__init__(
            scope, names.compute_stack, description="batchlab: queues, machines, functions and alarms"
        )
        job_logs = make_log_group(self, "JobLogs", names.log_group, settings)
        environments = make_environments(self, settings, imported(settings))
        functions = make_functions(self, settings, environments, package)
        definition = make_definition(self, settings, job_logs, functions.public_base_url)
        # resources that name each other only in text
        for each in (functions.dispatcher, functions.notifier, functions.sweeper):
            each.node.add_dependency(definition)
        make_schedules(self, settings, environments, functions)
        topic = make_alarms(self, settings, functions, job_logs)
        user = _worker(self, settings, environments, functions)

        outputs = {
            "Image": settings.image,
            "JobQueueArn": environments.standard_queue.job_queue_arn,
            "JobQueueName": names.job_queue,
            "ExpressJobQueueArn": environments.express_queue.job_queue_arn,
            "ExpressJobQueueName": names.express_job_queue,
            "JobDefinitionArn": definition_arns(settings)[0],
            "JobDefinitionName": names.job_definition,
            "SpotEnvironment": _name(environments.spot),
            "OnDemandEnvironment": _name(environments.on_demand),
            "IntakeQueueUrl": functions.intake.queue.queue_url,
            "DeadLetterQueueUrl": functions.intake.dead.queue_url,
            "EventsQueueUrl": functions.ends.queue.queue_url,
            "ApiUrl": functions.api_url.url,
            "PublicUrl": functions.public_url.url,
            "LogGroupName": names.log_group,
            "AlarmTopicArn": topic.topic_arn,
            "DashboardUrl": (
                f"https://{Aws.REGION}.console.aws.amazon.com/cloudwatch/home?region={Aws.REGION}"
                f"#dashboards/dashboard/{settings.name}"
            ),
            **({"WorkerUserName": user.user_name} if user else {}),
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value, description=COMPUTE_OUTPUTS[name])


def _name(environment: batch.ManagedEc2EcsComputeEnvironment) -> str:
    """Its generated name: what CDK calls the name of an environment is its ARN."""
    return Fn.select(1, Fn.split("/", environment.compute_environment_arn))


def _worker(
    scope: Construct, settings: StackSettings, environments: Environments, functions: Functions
) -> iam.User | None:
    """The user whose keys the Worker holds, with one right. deploy.sh makes the keys: a template would show them."""
    if settings.worker_access == "none":
        return None
    user = iam.User(scope, "Worker", user_name=Names(settings.name).worker_user)
    if settings.worker_access == "url":
        functions.api_url.grant_invoke_url(user)
    elif settings.worker_access == "sqs":
        statement = iam.PolicyStatement(
            actions=["sqs:SendMessage"], resources=[functions.intake.queue.queue_arn]
        )
        user.add_to_policy(statement)
    else:
        queues = (environments.standard_queue.job_queue_arn, environments.express_queue.job_queue_arn)
        user.add_to_policy(
            iam.PolicyStatement(actions=["batch:SubmitJob"], resources=[*queues, *definition_arns(settings)])
        )
    return user
