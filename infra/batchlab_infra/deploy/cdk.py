"""The CDK CLI, pinned in infra/package-lock.json. What is deployed was always synthesized before, into a folder."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchlab.errors import UsageError
from batchlab_infra.deploy.account import Account
from batchlab_infra.deploy.commands import run

QUALIFIER = "hnb659fds"  # Source: AWS CDK, DefaultStackSynthesizer.DEFAULT_QUALIFIER


@dataclass(frozen=True)
class Cdk:
    """The CLI, where it stands and what it is told."""

    root: Path
    out: Path  # the cloud assembly
    region: str
    context: Mapping[str, str]  # settings of the stack, as -c writes them
    command: str = ""

    def bootstrap(self, account: Account) -> bool:
        """The account has what CDK needs in this region; returns whether that had to be made."""
        ssm = account.client("ssm")
        version = None
        with account.asking("CDK bootstrap", absent=("ParameterNotFound",)):
            version = ssm.get_parameter(Name=f"/cdk-bootstrap/{QUALIFIER}/version")
        if version is None:
            # beside cdk.json the CLI would synthesize everything first
            self._run("bootstrap", f"aws://{account.id}/{self.region}", folder=self.root / "infra")
        return version is None

    def synth(self, *, image: str, secrets: tuple[str, ...]) -> None:
        """`out` holds the templates; without an image only the foundation's."""
        context = {**self.context, "image": image, "secrets": ",".join(secrets)}
        pairs = [part for name, value in context.items() if value for part in ("-c", f"{name}={value}")]
        self._run("synth", "--quiet", "--output", str(self.out), *pairs)

    def deploy(self, stack: str) -> None:
        """The stack is as `out` says; CloudFormation is not asked when nothing would change."""
        self._run(
            "deploy", stack, "--exclusively", "--app", str(self.out), "--method", "direct",
            "--require-approval", "never", "--progress", "events",
        )  # fmt: skip

    def diff(self, *stacks: str) -> None:
        # comparing templates is enough, and a change set would be made in the account
        self._run("diff", *stacks, "--app", str(self.out), "--method", "template")

    def destroy(self, stack: str) -> None:
        self._run("destroy", stack, "--exclusively", "--app", str(self.out), "--force")

    def _run(self, *arguments: str, folder: Path | None = None) -> None:
        programs = Path(sys.executable).parent  # where `node` and the app's own `python` are
        environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "NODE_USE_SYSTEM_CA": "1",  # a company's proxy has its own CA
        }
        run([*self._cli(), *arguments, "--no-notices"], environment=environment, folder=folder or self.root)

    def _cli(self) -> list[str]:
        if self.command:
            return shlex.split(self.command)
        found = self.root / "infra" / "node_modules" / ".bin" / "cdk"
        if not found.exists():
            raise UsageError("The CDK CLI is not installed. Run scripts/setup deploy, as ./deploy.sh does.")
        return [str(found)]
