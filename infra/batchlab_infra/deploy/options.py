"""What was asked of ./deploy.sh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchlab.errors import UsageError
from batchlab.nearest import did_you_mean
from batchlab_infra.deploy.command_line import OUT, WORKER_DIR, parser
from batchlab_infra.settings import StackSettings


@dataclass(frozen=True)
class Options:
    """The command line, read."""

    given: Mapping[str, str] = field(default_factory=dict)  # settings of the stack, as --set writes them
    action: str = "deploy"  # deploy, diff, rollback or destroy
    digest: str = ""  # for rollback
    yes: bool = False
    rotate_worker_key: bool = False
    worker_dir: Path = WORKER_DIR
    build_arguments: Mapping[str, str] = field(default_factory=dict)  # of the Dockerfile
    rebuild: bool = False
    engine: str = ""  # docker, podman or finch; "": the first that runs
    cdk: str = ""  # another CDK CLI than the pinned one
    out: Path = OUT


def read(arguments: Sequence[str]) -> Options:
    """Raises UsageError for a setting that does not exist; argparse ends the process for the rest."""
    asked = parser().parse_args(arguments)
    given = dict(_pair(text, "--set") for text in asked.set)
    for name in given:
        if name not in StackSettings.model_fields:
            raise UsageError(
                f"--set {name}: no such setting.{did_you_mean(name, StackSettings.model_fields)}"
            )
    given |= {name: value for name, value in (("name", asked.name), ("region", asked.region)) if value}
    actions = {"diff": asked.diff, "rollback": asked.rollback is not None, "destroy": asked.destroy}
    return Options(
        given=given,
        action=next((name for name, wanted in actions.items() if wanted), "deploy"),
        digest=asked.rollback or "",
        yes=asked.yes,
        rotate_worker_key=asked.rotate_worker_key,
        worker_dir=asked.worker_dir,
        build_arguments=dict(_pair(text, "--build-arg") for text in asked.build_arg),
        rebuild=asked.rebuild,
        engine=asked.engine,
        cdk=asked.cdk,
        out=asked.out.resolve(),
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{option} {text}: write NAME=VALUE.")
    return name, value
