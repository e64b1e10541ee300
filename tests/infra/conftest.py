"""The templates of several settings, from one synth for all tests and all processes of a run."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infra.synth import ROOT

JSON = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """One synthesized template."""

    body: JSON

    def all(self, kind: str) -> dict[str, JSON]:
        """The properties of every resource of a type, by its name."""
        return {
            name: each.get("Properties", {})
            for name, each in self.body["Resources"].items()
            if each["Type"] == kind
        }

    def one(self, kind: str, **wanted: Any) -> JSON:
        """The properties of the one resource of a type, with these among them."""
        found = [
            each
            for each in self.all(kind).values()
            if all(each.get(name) == value for name, value in wanted.items())
        ]
        assert len(found) == 1, f"{len(found)} of {kind} with {wanted}"
        return found[0]

    def named(self, kind: str, prefix: str) -> JSON:
        """The properties of the one resource of a type whose name begins so."""
        found = [each for name, each in self.all(kind).items() if name.startswith(prefix)]
        assert len(found) == 1, f"{len(found)} of {kind} named {prefix}..."
        return found[0]

    def statements(self, of: str = "") -> list[JSON]:
        """Those of the policies attached to roles and users whose names begin with `of`."""
        return [
            statement
            for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
            for name, policy in self.all(kind).items()
            if name.startswith(of)
            for statement in policy["PolicyDocument"]["Statement"]
        ]


def listed(value: Any) -> list[Any]:
    """CloudFormation writes a list of one as the one."""
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """What a value of a template says, references in angle brackets: "arn:<AWS::Partition>:s3:::x"."""
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(text(each) for each in argument[1])
    if function == "Fn::GetAtt":
        return f"<{'.'.join(argument)}>"
    return f"<{argument}>" if function == "Ref" else f"<{function}>"


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of tests/infra/synth.py; the first process to ask makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    directory = shared / "synthesized"
    with (shared / "synthesized.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "done").exists():
            command = [sys.executable, "-m", "tests.infra.synth", str(directory)]
            made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr[-4000:]
            (directory / "done").touch()
    return directory


def _template(directory: Path, variant: str, stack: str) -> Template:
    [path] = (directory / variant).glob(f"*-{stack}.template.json")
    return Template(json.loads(path.read_text()))


@pytest.fixture(scope="session")
def plain(synthesized: Path) -> Template:
    """The compute stack of the defaults."""
    return _template(synthesized, "plain", "stack")


@pytest.fixture(scope="session")
def full(synthesized: Path) -> Template:
    """The compute stack with everything that can be asked for."""
    return _template(synthesized, "full", "stack")


@pytest.fixture(scope="session")
def wedding(synthesized: Path) -> Template:
    """The compute stack by the old program's name; its Worker sends to the queue."""
    return _template(synthesized, "wedding", "stack")


@pytest.fixture(scope="session")
def batch(synthesized: Path) -> Template:
    """The compute stack whose Worker submits to AWS Batch, behind a NAT gateway."""
    return _template(synthesized, "batch", "stack")


@pytest.fixture(scope="session")
def none(synthesized: Path) -> Template:
    """The compute stack without a Worker, in a network of one's own, with an image from elsewhere."""
    return _template(synthesized, "none", "stack")


@pytest.fixture(scope="session")
def foundation(synthesized: Path) -> Template:
    """The foundation of the defaults."""
    return _template(synthesized, "plain", "foundation")
