"""What cdk-nag and our own eyes find in the templates and what stays, each with its reason.

A test fails on a finding that is not here, and on a line here that finds nothing any more. docs/aws.md shows the list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Acknowledged:
    """Findings whose id matches `pattern` from its first to its last letter."""

    pattern: str
    reason: str

    def covers(self, finding: str) -> bool:
        return re.fullmatch(self.pattern, finding) is not None


_OBJECTS = r"AwsSolutions-IAM5\[Resource::arn:<AWS::Partition>:s3:::"

# AwsSolutions of cdk-nag 3, by rule and finding.
FINDINGS = (
    Acknowledged(
        r"AwsSolutions-VPC7",
        "Flow logs of machines that download photos cost more than the machines. Nothing can come in; "
        "with network existing, your own network's logs stay on.",
    ),
    Acknowledged(
        r"AwsSolutions-S1",
        "Access logs of the job bucket would need a second bucket; who did what stands in each job's own documents.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM4\[.*AmazonEC2ContainerServiceforEC2Role\]",
        "The policy that AWS keeps for the ECS agent, and the AWS Batch User Guide asks for. "
        "Jobs cannot reach it: containers cannot read the machine's metadata.",
    ),
    Acknowledged(
        _OBJECTS + r"batchlab-.*/(store|exports|store/pages)/\*\]", "Every job has objects of its own there."
    ),
    Acknowledged(_OBJECTS + r"(gallery/photos|delivery/zips)/\*\]", "The prefixes that the settings list."),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::arn:.*:job-definition/batchlab-job-def:\*\]",
        "Every revision of the one job definition: each deployment makes a new one.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::arn:.*:job/\*\]",
        "AWS Batch makes up the ids of jobs. What has not begun may be cancelled; nobody of ours terminates a job.",
    ),
    Acknowledged(
        r"AwsSolutions-IAM5\[Resource::arn:.*:log-group:/aws/batch/batchlab:log-stream:\*\]",
        "Each start of a job writes a log stream of its own.",
    ),
    Acknowledged(r"AwsSolutions-IAM5\[Resource::\*\]", "Only the actions of WITHOUT_RESOURCE, see there."),
)

# The actions that may stand beside a resource of "*", because AWS gives them none.
# Source: Service Authorization Reference, "Actions, resources, and condition keys".
WITHOUT_RESOURCE = {
    "batch:DescribeJobs": "Whoever looks at a job asks AWS Batch whether a run of it can still come.",
    "batch:ListJobs": "The dispatcher looks for a job by its name before it submits it again.",
    "ecr:GetAuthorizationToken": "The login to the registry, before an image is pulled.",
}
