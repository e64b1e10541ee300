"""What the Cloudflare Worker needs: a key with one right, its variables, and its source file."""

from __future__ import annotations

import json
import os
import tempfile
from importlib.resources import files
from pathlib import Path

from batchlab.streams import say, write_data
from batchlab_infra.deploy.account import Account

FILE = "aws-batch-integration.js"


def variables(account: Account, outputs: dict[str, str]) -> dict[str, str]:
    """The Worker's environment, without keys; the names are those it always had."""
    found = {
        "BATCH_AWS_REGION": account.region,
        "BATCH_JOB_QUEUE_ARN": outputs.get("JobQueueArn", ""),
        "BATCH_JOB_DEFINITION_ARN": outputs.get("JobDefinitionArn", ""),
        "BATCH_SQS_QUEUE_URL": outputs.get("IntakeQueueUrl", ""),
        "BATCHLAB_URL": outputs.get("ApiUrl", ""),
    }
    return {name: value for name, value in found.items() if value}


def key(account: Account, user: str, *, rotate: bool) -> dict[str, str]:
    """A new access key, shown by the caller once and kept nowhere; {} when there is one and none was asked for.

    A rotation leaves the key before it working, so that the Worker can change over; the one before that goes.
    """
    iam = account.client("iam")
    with account.asking(f"user {user}"):
        found = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        if found and not rotate:
            ids = ", ".join(each["AccessKeyId"] for each in found)
            say(f"worker key: {ids} exists and is shown once only; --rotate-worker-key makes a new one")
            return {}
        by_age = sorted(found, key=lambda each: str(each["CreateDate"]))
        if len(by_age) > 1:  # IAM allows two
            iam.delete_access_key(UserName=user, AccessKeyId=by_age[0]["AccessKeyId"])
        made = iam.create_access_key(UserName=user)["AccessKey"]
    if by_age:
        old = by_age[-1]["AccessKeyId"]
        say(
            f"worker key: {old} works on until the Worker has the new one; then "
            f"`aws iam delete-access-key --user-name {user} --access-key-id {old}`"
        )
    return {"BATCH_AWS_ACCESS_KEY": made["AccessKeyId"], "BATCH_AWS_SECRET_KEY": made["SecretAccessKey"]}


def delete_keys(account: Account, user: str) -> None:
    """CloudFormation deletes no user that has keys."""
    iam = account.client("iam")
    with account.asking(f"user {user}", absent=("NoSuchEntity",)):
        for each in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=each["AccessKeyId"])


def write_file(folder: Path, access: str, found: dict[str, str], output: str) -> None:
    """The Worker's source file names this deployment; without its folder, the variables are what it takes."""
    if not folder.is_dir():
        say(f"worker file: there is no folder {folder}; --worker-dir names the Worker's sources")
        return
    template = files("batchlab_infra.deploy").joinpath(FILE).read_text("utf-8")
    deployed = json.dumps({"access": access, "output": output, **found}, indent=2)
    content = template.replace("const DEPLOYED = {};", f"const DEPLOYED = {deployed};")
    target = folder / FILE
    if target.exists() and target.read_text("utf-8") == content:
        say(f"worker file: {target} is up to date")
        return
    handle, path = tempfile.mkstemp(dir=folder, prefix=f".{FILE}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    Path(path).chmod(0o644)
    Path(path).replace(target)
    say(f"worker file: {target} written")


def show(found: dict[str, str]) -> None:
    """On stdout, as lines of a .env file."""
    write_data("\n".join(f"{name}={value}" for name, value in found.items()))
