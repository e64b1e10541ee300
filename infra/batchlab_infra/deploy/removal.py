"""Deleting all of it. Data is named and counted before anybody is asked."""

from __future__ import annotations

from typing import Any

from batchlab.words import size
from batchlab_infra.deploy import secret_values
from batchlab_infra.deploy.account import Account, Stack
from batchlab_infra.names import Names

_COUNTED = 20  # pages of 1,000 objects; more is said to be more
_ABSENT = ("NoSuchBucket", "RepositoryNotFoundException")


def losses(account: Account, names: Names, foundation: Stack | None) -> str:
    """What would be gone, in lines."""
    lines = [f"--destroy deletes, in account {account.id}, {account.region}:"]
    if foundation is not None:
        lines.append(f"  {_bucket_line(account, foundation.outputs.get('JobBucketName', ''))}")
        lines.append(f"  {_images_line(account, foundation.outputs.get('RepositoryName', ''))}")
    secrets = secret_values.there(account, names)
    lines.append(f"  secrets: {', '.join(secrets) or 'none'}")
    lines.append(
        f"  the stacks {names.compute_stack} and {names.foundation_stack}, with queues and running jobs"
    )
    lines.append("R2 buckets and databases are not touched.")
    return "\n".join(lines)


def empty(account: Account, foundation: Stack) -> None:
    """Bucket and repository hold nothing, so that CloudFormation can delete them."""
    bucket, repository = foundation.outputs.get("JobBucketName"), foundation.outputs.get("RepositoryName")
    s3, ecr = account.client("s3"), account.client("ecr")
    with account.asking(f"bucket {bucket}", absent=_ABSENT):
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", ()):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            keys = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            if keys:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    with account.asking(f"repository {repository}", absent=_ABSENT):
        for page in ecr.get_paginator("list_images").paginate(repositoryName=repository):
            if page["imageIds"]:
                ecr.batch_delete_image(repositoryName=repository, imageIds=page["imageIds"])


def delete_leftovers(account: Account, foundation: Stack) -> None:
    """What the stack keeps when it is deleted is gone too."""
    bucket, repository = foundation.outputs.get("JobBucketName"), foundation.outputs.get("RepositoryName")
    with account.asking(f"bucket {bucket}", absent=_ABSENT):
        account.client("s3").delete_bucket(Bucket=bucket)
    with account.asking(f"repository {repository}", absent=_ABSENT):
        account.client("ecr").delete_repository(repositoryName=repository, force=True)


def _bucket_line(account: Account, bucket: str) -> str:
    count, total, more = 0, 0, ""
    s3: Any = account.client("s3")
    with account.asking(f"bucket {bucket}", absent=_ABSENT):
        for number, page in enumerate(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)):
            if number == _COUNTED:
                more = "more than "
                break
            count += page.get("KeyCount", 0)
            total += sum(each["Size"] for each in page.get("Contents", ()))
    noun = "object" if count == 1 else "objects"
    return f"bucket {bucket}: {more}{count:,} {noun}, {more}{size(total)}: job documents, reports, exports"


def _images_line(account: Account, repository: str) -> str:
    count = 0
    with account.asking(f"repository {repository}", absent=_ABSENT):
        pages = account.client("ecr").get_paginator("describe_images").paginate(repositoryName=repository)
        count = sum(len(page["imageDetails"]) for page in pages)
    return f"repository {repository}: {count} image{'' if count == 1 else 's'}"
