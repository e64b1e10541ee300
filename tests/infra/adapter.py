"""Makes the templates of a synth such as moto can deploy: `python -m tests.infra.adapter cdk.out [SCRATCH]`.

moto creates most of what AWS does, lacks some types, and spells AWS Batch's attributes and values otherwise.
Nothing here is part of what is deployed to AWS.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# Types that moto 5.2 does not create. What names one of their attributes gets a placeholder.
MISSING = frozenset(
    {
        "AWS::Budgets::Budget",
        "AWS::CloudWatch::Alarm",
        "AWS::Lambda::EventSourceMapping",  # it would run the function in a container at each message
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::Logs::MetricFilter",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::Scheduler::Schedule",
    }
)
ROLE = "BatchServiceRole"  # AWS Batch has one of its own, moto wants to be given one


def adapted(template: dict[str, Any], scratch: str = "/tmp") -> dict[str, Any]:
    """A template that moto's CloudFormation creates. `scratch` is the directory that a job's /tmp is made of."""
    missing = {name for name, each in template["Resources"].items() if each["Type"] in MISSING}
    batch = {name for name, each in template["Resources"].items() if each["Type"].startswith("AWS::Batch::")}
    resources = {
        name: _resource(each, missing, scratch)
        for name, each in template["Resources"].items()
        if name not in missing
    }
    if any(each["Type"] == "AWS::Batch::ComputeEnvironment" for each in resources.values()):
        trust = {"Version": "2012-10-17", "Statement": []}
        resources[ROLE] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    made: dict[str, Any] = _walk({**template, "Resources": resources}, missing, batch)
    return made


def _resource(resource: dict[str, Any], missing: set[str], scratch: str) -> dict[str, Any]:
    changed = dict(resource)
    properties = dict(resource.get("Properties", {}))
    if resource["Type"] == "AWS::Batch::ComputeEnvironment":
        properties |= {"Type": properties["Type"].upper(), "ServiceRole": {"Fn::GetAtt": [ROLE, "Arn"]}}
    if resource["Type"] == "AWS::Batch::JobQueue":
        properties.pop("JobStateTimeLimitActions", None)
    if resource["Type"] == "AWS::Batch::JobDefinition":  # moto mounts only what has a path on this machine
        container = dict(properties["ContainerProperties"])
        container["Volumes"] = [{**each, "Host": {"SourcePath": scratch}} for each in container["Volumes"]]
        container["MountPoints"] = [{**each, "ReadOnly": False} for each in container["MountPoints"]]
        properties["ContainerProperties"] = container
    if depends := resource.get("DependsOn"):
        wanted = [depends] if isinstance(depends, str) else depends
        changed["DependsOn"] = [name for name in wanted if name not in missing]
    return {**changed, "Properties": properties}


def _walk(value: Any, missing: set[str], batch: set[str]) -> Any:
    """The value with references to what moto has."""
    if isinstance(value, list):
        return [_walk(each, missing, batch) for each in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Ref"] and value["Ref"] in missing:
        return value["Ref"]
    if list(value) == ["Fn::GetAtt"]:
        name, attribute = value["Fn::GetAtt"]
        if name in missing:
            return f"https://{name}-{attribute}.invalid/".lower()
        if name in batch:
            return {"Ref": name}
        if attribute == "LatestVersionNumber":
            return "1"
    return {key: _walk(each, missing, batch) for key, each in value.items()}


def main(directory: Path, *scratch: str) -> None:
    for path in directory.glob("*.template.json"):
        path.write_text(json.dumps(adapted(json.loads(path.read_text()), *scratch), indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
