"""What was asked of ./deploy.sh."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchlab.errors import UsageError
from batchlab.nearest import did_you_mean
from batchlab_infra.settings import StackSettings

ROOT = Path(__file__).resolve().parents[3]
_DESCRIPTION = """\
Puts batchlab on AWS, or brings what is there up to date. Run it again whenever it broke off: it goes on where it was.
Settings are those of docs/aws.md: --set FIELD=VALUE, or their environment variables. Secrets come from the
environment: R2_ENDPOINT, R2_ACCESS_KEY, R2_SECRET_KEY and R2_BUCKET, FIREBASE_SERVICE_ACCOUNT, DATABASE_URL,
GEMINI_API_KEY; what is set is put into AWS Secrets Manager and given to jobs."""


@dataclass(frozen=True)
class Options:
    """The command line, read."""

    given: Mapping[str, str] = field(default_factory=dict)  # settings of the stack, as --set writes them
    action: str = "deploy"  # deploy, diff, rollback or destroy
    digest: str = ""  # for rollback
    yes: bool = False
    rotate_worker_key: bool = False
    worker_dir: Path = Path("cloudflare-worker/src")
    build_arguments: Mapping[str, str] = field(default_factory=dict)  # of the Dockerfile
    rebuild: bool = False
    engine: str = ""  # docker, podman or finch; "": the first that runs
    cdk: str = ""  # another CDK CLI than the pinned one
    out: Path = ROOT / "cdk.out"


def read(arguments: Sequence[str]) -> Options:
    """Raises UsageError for a setting that does not exist; argparse ends the process for the rest."""
    asked = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./deploy.sh",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--name", default="", help="stands in front of every name (batchlab)")
    parser.add_argument(
        "--region", default="", help="AWS region (AWS_REGION, AWS_DEFAULT_REGION, else us-east-1)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the stack"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--diff", action="store_true", help="show what a deployment would change, change nothing"
    )
    action.add_argument("--rollback", metavar="DIGEST", help="run an earlier image again: sha256:...")
    action.add_argument(
        "--destroy", action="store_true", help="delete everything, after saying what would go"
    )
    parser.add_argument("--rotate-worker-key", action="store_true", help="make the Worker a new access key")
    parser.add_argument(
        "--worker-dir",
        type=Path,
        default=Options.worker_dir,
        help="the Worker's sources (cloudflare-worker/src)",
    )
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="an ARG of the Dockerfile"
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="build the image though nothing of ours changed"
    )
    parser.add_argument("--engine", default="", help="docker, podman or finch (the first that runs)")
    parser.add_argument("--cdk", default="", metavar="COMMAND", help="another CDK CLI than the pinned one")
    parser.add_argument(
        "--out", type=Path, default=Options.out, help="where templates are synthesized (cdk.out)"
    )
    return parser
