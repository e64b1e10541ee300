"""The foundation stack: what outlives every deployment. The network, the images, the job bucket.

It is the same with and without the compute stack, so that a new image never touches it. Secrets are not in it:
deploy.sh puts their values into AWS Secrets Manager, and templates know their names only.
"""

from __future__ import annotations

from aws_cdk import Aws, CfnOutput, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_s3 as s3
from constructs import Construct

from batchlab_infra.names import FOUNDATION_OUTPUTS, Names
from batchlab_infra.network import Network, make_network
from batchlab_infra.settings import StackSettings

STORE = "store"  # job documents live below this prefix of the job bucket
EXPORTS = "exports"  # what jobs deliver, when nobody names another place
_IMAGES = 30  # so many deployments back --rollback reaches


class FoundationStack(Stack):
    """`<name>-foundation`."""

    def __init__(self, scope: Construct, settings: StackSettings) -> None:
        names = Names(settings.name)
        super().__init__(
            scope, names.foundation_stack, description="batchlab: network, images and job bucket"
        )
        network = make_network(self, settings)
        # A bucket and a repository that hold anything refuse to be deleted, so destroying the stack loses nothing
        # that nobody has emptied first.
        repository = ecr.Repository(
            self,
            "Repository",
            repository_name=names.repository,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=_IMAGES)],
            removal_policy=RemovalPolicy.DESTROY,
        )
        bucket = s3.Bucket(
            self,
            "JobBucket",
            bucket_name=names.bucket(Aws.ACCOUNT_ID, Aws.REGION),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            encryption=s3.BucketEncryption.S3_MANAGED,
            removal_policy=RemovalPolicy.DESTROY,
            lifecycle_rules=[
                # A killed export leaves its upload; a week is longer than anybody waits to resume one.
                s3.LifecycleRule(
                    id="uploads-nobody-finished", abort_incomplete_multipart_upload_after=Duration.days(7)
                ),
                s3.LifecycleRule(
                    id="exports", prefix=f"{EXPORTS}/", expiration=Duration.days(settings.exports_days)
                ),
            ],
        )
        self._output("VpcId", network.vpc_id)
        self._output("SubnetIds", Fn.join(",", list(network.subnet_ids)))
        self._output("RepositoryUri", repository.repository_uri)
        self._output("RepositoryName", repository.repository_name)
        self._output("JobBucketName", bucket.bucket_name)
        self._output("StoreUrl", f"s3://{bucket.bucket_name}/{STORE}")
        self._output("ExportsUrl", f"s3://{bucket.bucket_name}/{EXPORTS}")

    def _output(self, name: str, value: str) -> None:
        CfnOutput(
            self,
            name,
            value=value,
            description=FOUNDATION_OUTPUTS[name],
            export_name=f"{self.stack_name}-{name}",
        )


def imported(settings: StackSettings) -> Network:
    """The foundation's network as the compute stack sees it: by the names of its exports."""
    stack = Names(settings.name).foundation_stack
    count = len(settings.subnet_ids) if settings.network == "existing" else settings.zones
    subnets = Fn.split(",", Fn.import_value(f"{stack}-SubnetIds"), count)
    return Network(Fn.import_value(f"{stack}-VpcId"), tuple(subnets))
