"""What everything is called. Users of the old program type these names, so they stay (docs/aws.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The names that follow from the stack's own, such as batchlab."""

    name: str

    @property
    def foundation_stack(self) -> str:
        return f"{self.name}-foundation"

    @property
    def compute_stack(self) -> str:
        return f"{self.name}-stack"

    @property
    def job_queue(self) -> str:
        return f"{self.name}-job-queue"

    @property
    def express_job_queue(self) -> str:
        return f"{self.name}-express-job-queue"

    @property
    def job_definition(self) -> str:
        return f"{self.name}-job-def"

    @property
    def intake_queue(self) -> str:
        return f"{self.name}-jobs"

    @property
    def dead_letter_queue(self) -> str:
        return f"{self.name}-jobs-dead"

    @property
    def events_queue(self) -> str:
        return f"{self.name}-events"

    @property
    def events_dead_letter_queue(self) -> str:
        return f"{self.name}-events-dead"

    @property
    def log_group(self) -> str:
        return f"/aws/batch/{self.name}"

    @property
    def repository(self) -> str:
        return self.name

    @property
    def worker_user(self) -> str:
        return f"{self.name}-worker"

    def function(self, handler: str) -> str:
        """The Lambda function of one handler: api, public, dispatcher, notifier or sweeper."""
        return f"{self.name}-{handler}"

    def secret(self, name: str) -> str:
        """Where AWS Secrets Manager keeps the secret `name`, such as R2."""
        return f"{self.name}/{name}"

    def bucket(self, account: str, region: str) -> str:
        """The job bucket: buckets share one world of names, so account and region stand in it."""
        return f"{self.name}-{account}-{region}"


# The outputs of the two stacks: what deploy.sh and people read with `aws cloudformation describe-stacks`.
FOUNDATION_OUTPUTS = {
    "VpcId": "The network that jobs run in.",
    "SubnetIds": "Its subnets, separated by commas.",
    "RepositoryUri": "Where images are pushed.",
    "RepositoryName": "The same, for `aws ecr`.",
    "JobBucketName": "The bucket of job documents and exports.",
    "StoreUrl": "BATCHLAB_STORE.",
    "ExportsUrl": "An output that every job may use.",
}
COMPUTE_OUTPUTS = {
    "Image": "What jobs run, with its digest.",
    "JobQueueArn": "BATCH_JOB_QUEUE_ARN.",
    "JobQueueName": "The standard queue.",
    "ExpressJobQueueArn": "The queue on demand.",
    "ExpressJobQueueName": "Its name.",
    "JobDefinitionArn": "BATCH_JOB_DEFINITION_ARN, without a revision: the newest counts.",
    "JobDefinitionName": "Its name.",
    "SpotEnvironment": "The compute environment on Spot.",
    "OnDemandEnvironment": "The compute environment on demand.",
    "IntakeQueueUrl": "BATCH_SQS_QUEUE_URL.",
    "DeadLetterQueueUrl": "Messages that no job could be made of.",
    "EventsQueueUrl": "Events of AWS Batch on their way to the notifier.",
    "ApiUrl": "BATCHLAB_URL: the endpoint, for callers that sign (SigV4).",
    "PublicUrl": "Customers' pages and links.",
    "LogGroupName": "The jobs' logs.",
    "AlarmTopicArn": "Where alarms are sent.",
    "DashboardUrl": "The dashboard.",
    "WorkerUserName": "The Worker's IAM user, when worker_access is not none.",
}
