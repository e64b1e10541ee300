"""A deployment that is killed anywhere is started again and ends as if nothing had been."""

from __future__ import annotations

import json
import signal

import pytest

from tests.acceptance.deploy_machine import SECRETS, Machine

pytestmark = pytest.mark.stack


def test_a_whole_deployment_and_a_second_one_that_changes_nothing(machine: Machine) -> None:
    code, out, said = machine.run()
    assert code == 0, said
    first, calls = machine.state(), machine.calls()
    variables = dict(line.split("=", 1) for line in out.splitlines())
    assert variables["BATCH_AWS_REGION"] == "us-east-1"
    assert variables["BATCH_JOB_QUEUE_ARN"].endswith(":job-queue/batchlab-job-queue")
    assert variables["BATCH_AWS_ACCESS_KEY"] == first["keys"][0] and variables["BATCH_AWS_SECRET_KEY"]
    assert "smoke job: succeeded" in said and "batchlab-Spot1A2B" in said
    for value in SECRETS.values():
        assert value not in out + said
    assert [call.split(" --")[0] for call in calls if call.startswith("docker") and "ps" not in call] == [
        call for call in calls if call.startswith(("docker build", "docker login", "docker push"))
    ]
    written = (machine.folder / "worker" / "aws-batch-integration.js").read_text()
    assert "batchlab-job-queue" in written and variables["BATCH_AWS_SECRET_KEY"] not in written

    code, out, said = machine.run()
    assert code == 0, said
    assert machine.state() == first
    again = machine.calls()[len(calls) :]
    assert not [call for call in again if call.startswith(("docker build", "docker push", "cdk bootstrap"))]
    assert said.count("no changes") == 2 and "SECRET" not in out


KILLS = [
    "cdk bootstrap before",
    *(
        f"{call} after"
        for call in (
            "cdk bootstrap",
            "cdk synth",
            "cdk deploy batchlab-foundation",
            "docker build",
            "docker login",
        )
    ),
    "docker push after",
    "cdk deploy batchlab-stack after",
]


@pytest.mark.parametrize("kill", KILLS)
def test_killed_in_a_program_it_runs_it_goes_on_from_there(machine: Machine, kill: str) -> None:
    code, _, said = machine.run(kill=kill)
    assert code == -signal.SIGKILL, said
    code, _, said = machine.run()
    assert code == 0, said
    _is_whole(machine, said)


@pytest.mark.parametrize(
    "line",
    [
        "== secrets",
        "secret batchlab/DATABASE_URL",
        "== image",
        "== worker",
        "worker file",
        "== smoke",
        "smoke job: ",
    ],
)
def test_killed_in_a_step_of_its_own_it_goes_on_from_there(machine: Machine, line: str) -> None:
    process = machine.start()
    assert process.stderr is not None
    with process:
        for text in process.stderr:
            if text.startswith(line):
                process.kill()
                break
        else:
            pytest.fail(f"it never said {line}")
    code, _, said = machine.run("--rotate-worker-key")  # the key may be made and never have been shown
    assert code == 0, said
    _is_whole(machine, said)


def _is_whole(machine: Machine, said: str) -> None:
    """Everything is there once."""
    state = machine.state()
    assert [name for name, _ in state["stacks"]] == ["batchlab-foundation", "batchlab-stack"]
    assert (state["images"], state["definitions"], state["jobs"]) == (1, 1, 1)
    assert sorted(state["secrets"]) == ["batchlab/DATABASE_URL", "batchlab/GEMINI_API_KEY"]
    assert "smoke job: succeeded" in said


def test_a_program_that_fails_is_named_and_the_next_run_goes_on(machine: Machine) -> None:
    (machine.folder / "broken").write_text("docker push")
    code, _, said = machine.run()
    assert code == 7
    assert "it is broken today" in said and "`docker push" in said and "goes on from here" in said
    (machine.folder / "broken").unlink()
    code, _, said = machine.run()
    assert code == 0, said
    _is_whole(machine, said)


def test_rollback_runs_an_earlier_image_and_lists_them_when_there_is_no_such(machine: Machine) -> None:
    assert machine.run()[0] == 0
    [first] = machine.client("ecr").describe_images(repositoryName="batchlab")["imageDetails"]
    assert machine.run("--rebuild")[0] == 0
    assert machine.state()["images"] == 2
    code, _, said = machine.run("--rollback", "sha256:" + "0" * 64)
    assert code == 2 and first["imageDigest"] in said
    code, _, said = machine.run("--rollback", first["imageDigest"])
    assert code == 0, said
    [stack] = machine.client("cloudformation").describe_stacks(StackName="batchlab-stack")["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert outputs["Image"].endswith(first["imageDigest"])


def test_destroy_says_what_would_go_and_leaves_nothing(machine: Machine) -> None:
    assert machine.run()[0] == 0
    bucket = "batchlab-123456789012-us-east-1"
    machine.client("s3").put_object(Bucket=bucket, Key="store/jobs/x", Body=b"x" * 5000)
    code, _, said = machine.run("--destroy")
    assert code == 0, said
    assert "1 object, " in said
    assert "DATABASE_URL" in said and "1 image" in said
    assert machine.client("cloudformation").describe_stacks()["Stacks"] == []
    assert machine.client("s3").list_buckets()["Buckets"] == []
    assert machine.client("ecr").describe_repositories()["repositories"] == []
    assert machine.run("--destroy")[0] == 5
    code, _, said = machine.run()
    assert code == 0, said  # the name can be used again


def test_a_removal_that_was_killed_goes_on(machine: Machine) -> None:
    assert machine.run()[0] == 0
    for kill in ("cdk destroy batchlab-stack after", "cdk destroy batchlab-foundation after"):
        code, _, said = machine.run("--destroy", kill=kill)
        assert code == -signal.SIGKILL, said
    assert machine.client("cloudformation").describe_stacks()["Stacks"] == []
    code, _, said = machine.run("--destroy")
    assert code == 0, said
    assert "secrets: DATABASE_URL, GEMINI_API_KEY" in said
    assert machine.run("--destroy")[0] == 5


def test_diff_changes_nothing(machine: Machine) -> None:
    code, _, said = machine.run("--diff")
    assert code == 0, said
    assert machine.client("cloudformation").describe_stacks()["Stacks"] == []
    assert json.loads((machine.folder / "cdk.out" / "context.json").read_text())["name"] == "batchlab"
    assert [call for call in machine.calls() if call.startswith("cdk diff")]
