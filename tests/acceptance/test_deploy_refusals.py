"""What stands in the way of a deployment is said in one line that says what to do, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.deploy_machine import Machine

pytestmark = pytest.mark.stack


def refused(machine: Machine, *options: str, **environment: str) -> tuple[int, str]:
    """Exit code and the one line that says why; nothing was changed."""
    code, out, said = machine.run(*options, **environment)
    assert out == ""
    assert [call for call in machine.calls() if call != "docker ps"] == []
    lines = [line for line in said.splitlines() if " NO  " in line]
    if lines:
        assert said.endswith("deploy.sh: Nothing was changed: 1 check failed, see above.\n")
    else:
        lines = [line for line in said.splitlines() if line.startswith("deploy.sh: ")]
    [line] = lines
    return code, line


def test_no_credentials(machine: Machine) -> None:
    code, line = refused(machine, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert code == 6
    assert "no usable credentials" in line and "Set AWS_PROFILE or AWS_ACCESS_KEY_ID" in line


def test_a_wrong_region(machine: Machine) -> None:
    code, line = refused(machine, "--region", "us-east-9")
    assert code == 2
    assert line.startswith("deploy.sh: region: AWS Batch is in no region us-east-9. Did you mean us-east-")


def test_no_container_engine(machine: Machine, tmp_path: Path) -> None:
    code, line = refused(machine, PATH=str(tmp_path / "worker"))
    assert code == 2
    assert "No container engine was found (docker, podman, finch)" in line and "Install Docker" in line


def test_an_engine_that_is_not_running(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("docker ps")
    code, line = refused(machine, "--engine", "docker")
    assert code == 2
    assert "docker is installed, but does not answer" in line and "Start it" in line


@pytest.mark.parametrize("options", [(), ("--destroy",)])
@pytest.mark.parametrize("stack", ["batchlab-foundation", "batchlab-stack"])
def test_a_stack_of_somebody_else_with_this_name(
    machine: Machine, stack: str, options: tuple[str, ...]
) -> None:
    body = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    machine.client("cloudformation").create_stack(StackName=stack, TemplateBody=body)
    code, line = refused(machine, *options)
    assert code == 2
    assert f"A stack {stack} exists that batchlab did not make. Choose another name with --name." in line


def test_a_repository_of_somebody_else_with_this_name(machine: Machine) -> None:
    machine.client("ecr").create_repository(repositoryName="batchlab")
    code, line = refused(machine)
    assert code == 2
    assert "A repository batchlab exists" in line and "--name" in line


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("image=batchlab:latest", "is not pinned, and a tag may be moved. Give its digest"),
        ("memory_mib=131072", "do not fit c5n.large"),
        ("vcpus=16", "do not fit c5n.large"),
        ("memry_mib=1024", "Did you mean memory_mib?"),
        ("name=Batch_Lab", "BATCHLAB_STACK_NAME"),
    ],
)
def test_a_setting_that_cannot_be(machine: Machine, setting: str, said: str) -> None:
    code, line = refused(machine, "--set", setting)
    assert code == 2
    assert said in line


def test_a_rollback_before_there_is_anything(machine: Machine) -> None:
    code, line = refused(machine, "--rollback", "sha256:" + "0" * 64)
    assert code == 5
    assert "There is no stack batchlab-foundation yet. Run ./deploy.sh first." in line


def test_mail_from_somebody_ses_does_not_know(machine: Machine) -> None:
    code, line = refused(machine, "--set", "mail_from=photos@lab.example")
    assert code == 2
    assert "has not verified photos@lab.example" in line and "create-email-identity" in line


def test_half_of_the_keys_of_r2(machine: Machine) -> None:
    code, line = refused(machine, R2_ENDPOINT=machine.url, R2_BUCKET="zips", R2_ACCESS_KEY="a")
    assert code == 2
    assert "R2 needs R2_SECRET_KEY too." in line


def test_a_bucket_of_r2_that_does_not_exist(machine: Machine) -> None:
    keys = {"R2_ENDPOINT": machine.url, "R2_BUCKET": "zips", "R2_ACCESS_KEY": "a", "R2_SECRET_KEY": "b"}
    code, line = refused(machine, **keys)
    assert code == 7
    assert "R2 bucket zips: there is no such bucket." in line


def test_a_service_account_that_is_none(machine: Machine) -> None:
    code, line = refused(machine, FIREBASE_SERVICE_ACCOUNT="nowhere.json")
    assert code == 2
    assert "neither the JSON of a service account's key nor the path of one" in line
