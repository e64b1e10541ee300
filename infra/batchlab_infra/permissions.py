"""Who may do what with objects. Every action is named, every resource too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

from batchlab.locations import locate
from batchlab_infra.foundation import EXPORTS, STORE
from batchlab_infra.names import Names
from batchlab_infra.settings import R2, WEBHOOK_SECRET, StackSettings

READ = ("s3:GetObject",)
KEEP = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")  # documents
DELIVER = (*KEEP, "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
# Of the bucket and not of a prefix: only who may list gets 404 for what is missing, and else 403, which is
# a refusal and not "there is none" (Amazon S3 API Reference, GetObject).
_LIST = ("s3:ListBucket",)
_LIST_UPLOADS = ("s3:ListBucketMultipartUploads",)


def definition_arns(settings: StackSettings) -> list[str]:
    """The definition without a revision, for which Batch takes the newest, and each of its revisions."""
    arn = f"arn:{Aws.PARTITION}:batch:{Aws.REGION}:{Aws.ACCOUNT_ID}:job-definition"
    name = Names(settings.name).job_definition
    return [f"{arn}/{name}", f"{arn}/{name}:*"]


def job_statements(settings: StackSettings) -> Iterator[iam.PolicyStatement]:
    """What a job's container may do: its documents, its exports, and what the lists of the settings name."""
    runtime = settings.runtime()
    bucket = Names(settings.name).bucket(Aws.ACCOUNT_ID, Aws.REGION)
    yield _objects(KEEP, [_object_arn(bucket, STORE)])
    outputs = [(bucket, EXPORTS), *_places(runtime.output_roots)]
    yield _objects(DELIVER, [_object_arn(*place) for place in outputs])
    sources = list(_places(runtime.source_roots))
    if sources:
        yield _objects(READ, [_object_arn(*place) for place in sources])
    written = {name for name, _ in outputs}
    yield _objects((*_LIST, *_LIST_UPLOADS), sorted(map(_bucket_arn, written)))
    only_read = {name for name, _ in sources} - written
    if only_read:
        yield _objects(_LIST, sorted(map(_bucket_arn, only_read)))


def store_statements(settings: StackSettings) -> Iterator[iam.PolicyStatement]:
    """Reading and writing job documents."""
    bucket = Names(settings.name).bucket(Aws.ACCOUNT_ID, Aws.REGION)
    yield _objects(KEEP, [_object_arn(bucket, STORE)])
    yield _objects(_LIST, [_bucket_arn(bucket)])


def intake_statements(settings: StackSettings) -> Iterator[iam.PolicyStatement]:
    """Reading the documents whose URLs are put on the intake queue: where jobs may read, and nowhere else."""
    sources = list(_places(settings.runtime().source_roots))
    if sources:
        yield _objects(READ, [_object_arn(*place) for place in sources])
        yield _objects(_LIST, sorted({_bucket_arn(name) for name, _ in sources}))


def submitting_statements(settings: StackSettings, queues: Iterable[str]) -> Iterator[iam.PolicyStatement]:
    """Handing jobs to AWS Batch, and asking what became of them."""
    yield iam.PolicyStatement(actions=["batch:SubmitJob"], resources=[*queues, *definition_arns(settings)])
    yield iam.PolicyStatement(actions=["batch:ListJobs", "batch:DescribeJobs"], resources=["*"])


def following_statements(settings: StackSettings) -> Iterator[iam.PolicyStatement]:
    """Asking what became of jobs, ending those that have not begun, and telling of the end."""
    yield iam.PolicyStatement(actions=["batch:DescribeJobs"], resources=["*"])
    # Batch makes up the ids of jobs, and knows no condition for the queue that one is in.
    job = f"arn:{Aws.PARTITION}:batch:{Aws.REGION}:{Aws.ACCOUNT_ID}:job/*"
    yield iam.PolicyStatement(actions=["batch:CancelJob"], resources=[job])
    if settings.mail_from:
        yield _mail(settings)


def log_statements(settings: StackSettings) -> Iterator[iam.PolicyStatement]:
    """Reading what jobs wrote."""
    group = (
        f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:{Names(settings.name).log_group}"
    )
    yield iam.PolicyStatement(actions=["logs:GetLogEvents"], resources=[f"{group}:log-stream:*"])


def secrets_of_pages(settings: StackSettings) -> tuple[str, ...]:
    """What a function reads that writes pages into R2."""
    return (R2,) if R2 in settings.secrets and settings.pages_root else ()


def secrets_of_links(settings: StackSettings) -> tuple[str, ...]:
    """What the public function reads to sign links into R2; where a Worker serves, it signs none."""
    return (R2,) if R2 in settings.secrets and not settings.pages_root else ()


def secrets_of_telling(settings: StackSettings) -> tuple[str, ...]:
    """What a function reads that sends webhooks, or says at the door whether they can be sent."""
    return tuple(name for name in settings.secrets if name.startswith(WEBHOOK_SECRET))


def secret_statements(settings: StackSettings, secrets: Iterable[str]) -> Iterator[iam.PolicyStatement]:
    """Reading these secrets. Secrets Manager adds six letters to each name."""
    names = Names(settings.name)
    manager = f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret"
    arns = [f"{manager}:{names.secret(name)}-??????" for name in secrets]
    if arns:
        yield iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=arns)


def _mail(settings: StackSettings) -> iam.PolicyStatement:
    """Sending as one address, by whichever of its two identities is verified."""
    domain = settings.mail_from.rpartition("@")[2]
    identity = f"arn:{Aws.PARTITION}:ses:{Aws.REGION}:{Aws.ACCOUNT_ID}:identity"
    return iam.PolicyStatement(
        actions=["ses:SendEmail"],
        resources=[f"{identity}/{settings.mail_from}", f"{identity}/{domain}"],
        conditions={"StringEquals": {"ses:FromAddress": settings.mail_from}},
    )


def public_statements(settings: StackSettings) -> Iterator[iam.PolicyStatement]:
    """What anybody on the internet may cause: pages are read, and links to what was delivered are signed."""
    bucket = Names(settings.name).bucket(Aws.ACCOUNT_ID, Aws.REGION)
    delivered = [(bucket, EXPORTS), *_places(settings.runtime().output_roots)]
    arns = [_object_arn(bucket, f"{STORE}/pages"), *(_object_arn(*place) for place in delivered)]
    yield _objects(READ, arns)


def _places(roots: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Bucket and prefix of each s3:// root; r2:// and gs:// have keys of their own."""
    for root in roots:
        place = locate(root)
        if place.scheme == "s3":
            yield place.host, "/".join(place.segments)


def _objects(actions: Iterable[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=resources)


def _bucket_arn(bucket: str) -> str:
    return f"arn:{Aws.PARTITION}:s3:::{bucket}"


def _object_arn(bucket: str, prefix: str) -> str:
    return f"{_bucket_arn(bucket)}/{prefix}/*" if prefix else f"{_bucket_arn(bucket)}/*"
