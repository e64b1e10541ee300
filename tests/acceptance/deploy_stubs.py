"""Stands in for docker and for the CDK CLI on PATH: `python deploy_stubs.py docker|cdk ARGUMENTS...`.

What they make is kept outside of them, images in files and stacks in moto, so that a deployment that was killed
finds what it left. STUBS_FOLDER holds their state and `calls`, a line for each call. STUBS_KILL, such as
"cdk deploy batchlab-stack after", kills the deployment before or after that call has had its effect.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["STUBS_FOLDER"])
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def main() -> int:
    program, *arguments = sys.argv[1:]
    call = " ".join([program, *(word for word in arguments if not word.startswith("-"))])
    _kill(call, "before")
    with FOLDER.joinpath("calls").open("a") as calls:
        calls.write(f"{call}\n")
    if FOLDER.joinpath("broken").exists() and FOLDER.joinpath("broken").read_text() in call:
        print("it is broken today", file=sys.stderr)
        return 1
    (docker if program == "docker" else cdk)(arguments)
    _kill(call, "after")
    return 0


def _kill(call: str, when: str) -> None:
    wanted = os.environ.get("STUBS_KILL", "")
    if wanted and call.startswith(wanted.rpartition(" ")[0]) and wanted.endswith(when):
        os.kill(os.getppid(), signal.SIGKILL)
        sys.exit(1)


def client(service: str, **more: str) -> Any:
    import boto3  # half a second that most calls do not need

    return boto3.client(service, **more)  # type: ignore[call-overload]


def docker(arguments: list[str]) -> None:
    images = FOLDER / "images"
    images.mkdir(exist_ok=True)
    match arguments:
        case ["build", *options, _]:
            [tag] = [option.removeprefix("--tag=") for option in options if option.startswith("--tag=")]
            (images / hashlib.sha256(tag.encode()).hexdigest()).touch()
        case ["login", *_]:
            assert sys.stdin.read(), "no password"
            FOLDER.joinpath("logged-in").touch()
        case ["push", tag]:
            assert FOLDER.joinpath("logged-in").exists()
            digest = hashlib.sha256(tag.encode()).hexdigest()
            assert (images / digest).exists(), "never built"
            host, _, place = tag.partition("/")
            name, _, version = place.rpartition(":")
            manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": digest}})
            ecr = client("ecr", region_name=host.split(".")[3])
            ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=version)


def cdk(arguments: list[str]) -> None:
    options = dict(pairwise(arguments))
    match arguments:
        case ["bootstrap", *_]:
            ssm = client("ssm")
            ssm.put_parameter(
                Name="/cdk-bootstrap/hnb659fds/version", Value="21", Type="String", Overwrite=True
            )
        case ["synth", *_]:
            out = Path(options["--output"])
            out.mkdir(exist_ok=True, parents=True)
            pairs = [after for flag, after in pairwise(arguments) if flag == "-c"]
            out.joinpath("context.json").write_text(json.dumps(dict(pair.split("=", 1) for pair in pairs)))
        case ["deploy", stack, *_]:
            _deploy(stack, json.loads(Path(options["--app"], "context.json").read_text()))
        case ["destroy", stack, *_]:
            cloudformation = client("cloudformation")
            cloudformation.delete_stack(StackName=stack)
            if stack.endswith("-stack"):
                client("iam").delete_user(UserName=stack.removesuffix("-stack") + "-worker")


def _deploy(stack: str, context: dict[str, str]) -> None:
    foundation = stack.endswith("-foundation")
    outputs = _foundation(context["name"]) if foundation else _compute(context)
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": stack}}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        "Metadata": context if not foundation else {},
    }
    cloudformation = client("cloudformation")
    body = json.dumps(template, sort_keys=True)
    tags = [{"Key": "batchlab", "Value": context["name"]}]
    try:
        there = cloudformation.get_template(StackName=stack)["TemplateBody"]
    except cloudformation.exceptions.ClientError:
        cloudformation.create_stack(StackName=stack, TemplateBody=body, Tags=tags)
        return
    if json.loads(there if isinstance(there, str) else json.dumps(there)) == template:
        print(f"{stack}: no changes", file=sys.stderr)
        return
    cloudformation.update_stack(StackName=stack, TemplateBody=body, Tags=tags)


def _foundation(name: str) -> dict[str, str]:
    ecr, s3 = client("ecr"), client("s3")
    account = client("sts").get_caller_identity()["Account"]
    bucket = f"{name}-{account}-{ecr.meta.region_name}"
    try:
        uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    except ecr.exceptions.RepositoryAlreadyExistsException:
        uri = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"]
    s3.create_bucket(Bucket=bucket)
    return {
        "RepositoryUri": uri,
        "RepositoryName": name,
        "JobBucketName": bucket,
        "StoreUrl": f"s3://{bucket}/store",
    }


def _compute(context: dict[str, str]) -> dict[str, str]:
    name, image = context["name"], context["image"]
    batch, iam = client("batch"), client("iam")
    queue, definition = f"{name}-job-queue", f"{name}-job-def"
    if not batch.describe_job_queues(jobQueues=[queue])["jobQueues"]:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        batch.create_compute_environment(
            computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=role
        )
        order = [{"order": 1, "computeEnvironment": name}]
        batch.create_job_queue(jobQueueName=queue, state="ENABLED", priority=1, computeEnvironmentOrder=order)
    if f"{name}-worker" not in [each["UserName"] for each in iam.list_users()["Users"]]:
        iam.create_user(UserName=f"{name}-worker")
    properties: dict[str, Any] = {"image": image, "vcpus": 2, "memory": 3584}
    known = batch.describe_job_definitions(jobDefinitionName=definition)["jobDefinitions"]
    if not any(each["containerProperties"]["image"] == image for each in known):
        batch.register_job_definition(
            jobDefinitionName=definition, type="container", containerProperties=properties
        )
    region, account = batch.meta.region_name, client("sts").get_caller_identity()["Account"]
    return {
        "Image": image,
        "JobQueueArn": batch.describe_job_queues(jobQueues=[queue])["jobQueues"][0]["jobQueueArn"],
        "JobDefinitionArn": f"arn:aws:batch:{region}:{account}:job-definition/{definition}",
        "IntakeQueueUrl": f"https://sqs.{region}.amazonaws.com/{account}/{name}-jobs",
        "SpotEnvironment": f"{name}-Spot1A2B",
        "OnDemandEnvironment": f"{name}-OnDemand1A2B",
        "WorkerUserName": f"{name}-worker",
        "LogGroupName": f"/aws/batch/{name}",
    }


if __name__ == "__main__":
    sys.exit(main())
