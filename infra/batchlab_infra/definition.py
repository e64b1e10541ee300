"""What a job is to AWS Batch: one job definition for every job type, pinned to one image."""

from __future__ import annotations

from typing import cast

from aws_cdk import Aws, Duration, Size
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from batchlab_infra.foundation import EXPORTS, STORE
from batchlab_infra.names import Names
from batchlab_infra.permissions import job_statements
from batchlab_infra.settings import R2, R2_VARIABLES, RUNTIME_FIELDS, WEBHOOK_SECRET, StackSettings

# What `aws batch submit-job` runs when it names no job. Batch takes no empty parameter.
SELF_TEST = '{"type": "self-test", "title": "Self-test"}'
_USER = "10001"  # the Dockerfile's; nobody on the machine
_SCRATCH = "/tmp"  # noqa: S108  the one place that the container may write


def store_url(settings: StackSettings) -> str:
    """BATCHLAB_STORE of everything in the stack."""
    return f"s3://{Names(settings.name).bucket(Aws.ACCOUNT_ID, Aws.REGION)}/{STORE}"


def runtime_environment(settings: StackSettings) -> dict[str, str]:
    """What every process of the stack is told: where jobs live, and what they may touch."""
    runtime = settings.runtime()
    exports = f"s3://{Names(settings.name).bucket(Aws.ACCOUNT_ID, Aws.REGION)}/{EXPORTS}"
    values = {field: getattr(runtime, field) for field in RUNTIME_FIELDS}
    lists = {field: text if isinstance(text, str) else ", ".join(text) for field, text in values.items()}
    lists["output_roots"] = ", ".join((exports, *runtime.output_roots))
    told = {f"BATCHLAB_{field.upper()}": text for field, text in lists.items() if text}
    return {"BATCHLAB_STORE": store_url(settings), **told}


def make_definition(
    scope: Construct, settings: StackSettings, log_group: logs.ILogGroup, public_base_url: str
) -> batch.EcsJobDefinition:
    """The definition, the role of its jobs, and the role that fetches image and secrets for them.

    `public_base_url`: where customers find the pages that jobs write.
    """
    names = Names(settings.name)
    role = iam.Role(
        scope,
        "JobRole",
        assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        description="What batchlab jobs may touch",
    )
    for statement in job_statements(settings):
        role.add_to_policy(statement)
    container = batch.EcsEc2ContainerDefinition(
        scope,
        "Container",
        image=_image(scope, settings),
        cpu=settings.vcpus,
        memory=Size.mebibytes(settings.memory_mib),
        command=["run", "--job", "Ref::job"],
        environment={
            **runtime_environment(settings),
            "BATCHLAB_PUBLIC_BASE_URL": public_base_url,
            "AWS_DEFAULT_REGION": Aws.REGION,
        },
        secrets=_secrets(scope, settings),
        job_role=role,
        user=f"{_USER}:{_USER}",
        readonly_root_filesystem=True,
        volumes=[batch.EcsVolume.host(name="scratch", container_path=_SCRATCH)],
        # without it SIGTERM may reach nobody: process 1 has no default action for signals
        linux_parameters=batch.LinuxParameters(scope, "Linux", init_process_enabled=True),
        logging=ecs.LogDrivers.aws_logs(stream_prefix="job", log_group=log_group),
    )
    return batch.EcsJobDefinition(
        scope,
        "Definition",
        job_definition_name=names.job_definition,
        container=container,
        parameters={"job": SELF_TEST},
        propagate_tags=True,
        retry_attempts=settings.attempts,
        retry_strategies=_retries(),
        timeout=Duration.hours(settings.timeout_hours),
    )


def _retries() -> list[batch.RetryStrategy]:
    """The five rules that Batch allows. Without the last one, whatever matches no rule is tried again."""
    again = (
        batch.Reason.custom(on_exit_code="75"),  # interrupted, and resumable
        # killed (137), segmentation fault (139), aborted (134): the engine works the suspects alone and ends such a job
        batch.Reason.custom(on_exit_code="13*"),
        batch.Reason.custom(on_status_reason="Host EC2*"),  # Spot took the machine
        batch.Reason.custom(on_reason="CannotPullContainer*"),
    )
    return [
        *(batch.RetryStrategy.of(batch.Action.RETRY, reason) for reason in again),
        batch.RetryStrategy.of(batch.Action.EXIT, batch.Reason.custom(on_reason="*")),
    ]


def _image(scope: Construct, settings: StackSettings) -> ecs.ContainerImage:
    if not settings.image.startswith("sha256:"):
        return ecs.ContainerImage.from_registry(settings.image)
    repository = ecr.Repository.from_repository_name(scope, "Repository", Names(settings.name).repository)
    return cast(ecs.ContainerImage, ecs.ContainerImage.from_ecr_repository(repository, settings.image))


def _secrets(scope: Construct, settings: StackSettings) -> dict[str, batch.Secret]:
    """By the variable they are given as. Only names: the values are put in by deploy.sh."""
    given: dict[str, batch.Secret] = {}
    for name in settings.secrets:
        if name.startswith(WEBHOOK_SECRET):
            continue
        secret = secretsmanager.Secret.from_secret_name_v2(
            scope, f"Secret{name}", Names(settings.name).secret(name)
        )
        if name == R2:
            given |= {field: batch.Secret.from_secrets_manager(secret, field) for field in R2_VARIABLES}
        else:
            given[name] = batch.Secret.from_secrets_manager(secret)
    return given
