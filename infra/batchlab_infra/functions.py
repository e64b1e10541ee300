"""The way of a job to Batch and of its end back: two queues, five functions of one package, two addresses."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from batchlab.service.secrets import VARIABLE
from batchlab_infra.definition import runtime_environment
from batchlab_infra.environments import Environments
from batchlab_infra.log_groups import make_log_group
from batchlab_infra.names import Names
from batchlab_infra.package import PYTHON
from batchlab_infra.permissions import (
    following_statements,
    intake_statements,
    log_statements,
    public_statements,
    secret_statements,
    secrets_of_links,
    secrets_of_pages,
    secrets_of_telling,
    store_statements,
    submitting_statements,
)
from batchlab_infra.settings import StackSettings

_MEMORY_MIB = 512  # a third of a vCPU: imports take most of a cold start
# A message is seen again after this, when the function was killed; the function itself sets shorter times.
# Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS": at least six times the function's timeout.
_WORK_TIMEOUT = Duration.seconds(60)
_VISIBILITY = Duration.seconds(6 * 60)
# With the dispatcher's back-off that is half an hour of throttling; what nobody can read uses them up at once.
_TRIES = 10
# Two at once, each pacing itself to 20 a second, stay below the 50 SubmitJob a second that an account has, and
# leave some to others. Two is also the least that Lambda takes.
_DISPATCHERS = 2


@dataclass(frozen=True)
class Queue:
    """A queue and where its hopeless messages go."""

    queue: sqs.Queue
    dead: sqs.Queue


@dataclass(frozen=True)
class Functions:
    """What stands between the outside and Batch."""

    intake: Queue
    ends: Queue
    api: lambda_.Function
    public: lambda_.Function
    dispatcher: lambda_.Function
    notifier: lambda_.Function
    sweeper: lambda_.Function
    public_base_url: str  # where customers' pages are
    api_url: lambda_.FunctionUrl
    public_url: lambda_.FunctionUrl
    failed: events.Rule
    blocked: events.Rule


def make_functions(
    scope: Construct,
    settings: StackSettings,
    environments: Environments,
    package: str,
) -> Functions:
    """`package` is the directory that `package.build` made."""
    names = Names(settings.name)
    intake = _queue(scope, "Intake", names.intake_queue, names.dead_letter_queue)
    ends = _queue(scope, "Events", names.events_queue, names.events_dead_letter_queue)
    code = lambda_.Code.from_asset(package)
    queues = [environments.standard_queue.job_queue_arn, environments.express_queue.job_queue_arn]
    told: dict[str, str] = {
        **runtime_environment(settings),
        "BATCHLAB_INTAKE_QUEUE_URL": intake.queue.queue_url,
        "BATCHLAB_JOB_QUEUE": environments.standard_queue.job_queue_name,
        "BATCHLAB_EXPRESS_JOB_QUEUE": environments.express_queue.job_queue_name,
        "BATCHLAB_JOB_DEFINITION": names.job_definition,
    }

    def function(
        name: str, description: str, timeout: Duration, secrets: tuple[str, ...] = ()
    ) -> lambda_.Function:
        title = name.capitalize()
        role = iam.Role(
            scope,
            f"{title}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"batchlab: {description}",
        )
        group = make_log_group(scope, f"{title}Logs", f"/aws/lambda/{names.function(name)}", settings)
        group.grant_write(role)
        return lambda_.Function(
            scope,
            title,
            function_name=names.function(name),
            description=description,
            code=code,
            handler=f"batchlab.service.lambdas.{name}",
            runtime=lambda_.Runtime(f"python{PYTHON}", lambda_.RuntimeFamily.PYTHON),
            memory_size=_MEMORY_MIB,
            timeout=timeout,
            environment={**told, **_where(secrets, names)},
            role=role,
            log_group=group,
        )

    # The first, because it cannot be told its own address and all others are.
    links = secrets_of_links(settings)
    public = function("public", "Customers' pages and links", Duration.seconds(10), links)
    public_url = public.add_function_url(auth_type=lambda_.FunctionUrlAuthType.NONE)
    told["BATCHLAB_PUBLIC_BASE_URL"] = settings.public_base_url or public_url.url
    tells = secrets_of_pages(settings) + secrets_of_telling(settings)
    api = function("api", "The endpoint, for callers that sign", Duration.seconds(30), tells)
    dispatcher = function("dispatcher", "Hands accepted jobs to AWS Batch", _WORK_TIMEOUT, tells)
    looks = "Looks at jobs when AWS Batch says that they changed"
    notifier = function("notifier", looks, _WORK_TIMEOUT, tells)
    sweeper = function("sweeper", "Looks each minute at jobs whose time has come", _WORK_TIMEOUT, tells)

    for each in (api, dispatcher, notifier, sweeper):
        for statement in (*store_statements(settings), *secret_statements(settings, tells)):
            each.add_to_role_policy(statement)
    for statement in (*public_statements(settings), *secret_statements(settings, links)):
        public.add_to_role_policy(statement)
    for statement in intake_statements(settings):
        dispatcher.add_to_role_policy(statement)
    intake.queue.grant_send_messages(api)
    for each in (dispatcher, notifier, sweeper):  # a look may be what submits the next phase
        for statement in submitting_statements(settings, queues):
            each.add_to_role_policy(statement)
    for each in (api, notifier, sweeper):  # and what cancels, and what tells
        for statement in following_statements(settings):
            each.add_to_role_policy(statement)
    for statement in log_statements(settings):
        api.add_to_role_policy(statement)

    for made, reader, most in ((intake, dispatcher, _DISPATCHERS), (ends, notifier, None)):
        reader.add_event_source(
            sources.SqsEventSource(
                made.queue, batch_size=10, report_batch_item_failures=True, max_concurrency=most
            )
        )
    return Functions(
        intake=intake,
        ends=ends,
        api=api,
        public=public,
        dispatcher=dispatcher,
        notifier=notifier,
        sweeper=sweeper,
        public_base_url=told["BATCHLAB_PUBLIC_BASE_URL"],
        api_url=api.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM),
        public_url=public_url,
        failed=_rules(scope, ends.queue, queues),
        blocked=_blocked(scope, ends.queue, queues),
    )


def _queue(scope: Construct, construct_id: str, name: str, dead_name: str) -> Queue:
    dead = sqs.Queue(
        scope,
        f"{construct_id}Dead",
        queue_name=dead_name,
        retention_period=Duration.days(14),  # the longest: somebody has to look
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
    )
    queue = sqs.Queue(
        scope,
        construct_id,
        queue_name=name,
        visibility_timeout=_VISIBILITY,
        retention_period=Duration.days(14),
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=_TRIES),
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
    )
    return Queue(queue, dead)


def _where(secrets: tuple[str, ...], names: Names) -> dict[str, str]:
    """What tells a function where AWS Secrets Manager has the values."""
    return {VARIABLE: json.dumps({name: names.secret(name) for name in secrets})} if secrets else {}


def _rule(scope: Construct, name: str, queue: sqs.Queue, description: str, **pattern: object) -> events.Rule:
    return events.Rule(
        scope,
        name,
        description=description,
        event_pattern=events.EventPattern(source=["aws.batch"], **pattern),  # type: ignore[arg-type]
        targets=[targets.SqsQueue(queue)],
    )


def _rules(scope: Construct, queue: sqs.Queue, queues: list[str]) -> events.Rule:
    """Two rules of disjoint patterns, so that what failed is counted and nothing is told twice.

    Of an array job only the parent is told, which ends after all its children: those have an index in it.
    """
    change = ["Batch Job State Change"]
    whole = {"index": events.Match.does_not_exist()}
    _rule(
        scope,
        "Changed",
        queue,
        "batchlab jobs that start or succeed",
        detail_type=change,
        detail={"jobQueue": queues, "status": ["STARTING", "SUCCEEDED"], "arrayProperties": whole},
    )
    return _rule(
        scope,
        "Failed",
        queue,
        "batchlab jobs that AWS Batch gave up",
        detail_type=change,
        detail={"jobQueue": queues, "status": ["FAILED"], "arrayProperties": whole},
    )


def _blocked(scope: Construct, queue: sqs.Queue, queues: list[str]) -> events.Rule:
    return _rule(
        scope,
        "Blocked",
        queue,
        "A job at the head of a batchlab queue cannot start",
        detail_type=["Batch Job Queue Blocked"],
        detail={"jobQueue": queues},
    )
