"""The real CDK CLI against moto: `./deploy.sh --cdk "python tests/acceptance/cdk_on_moto.py"`.

After each synth the templates are made such as moto can deploy (tests/infra/adapter.py). moto finds a template's
bucket in a URL of S3 only when that has the word localhost in it, so this is the bootstrap's qualifier.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.infra import adapter  # noqa: E402  a script's own folder is on the path, not the workspace's

QUALIFIER = {
    "bootstrap": ("--qualifier", "localhost"),
    "synth": ("-c", "@aws-cdk/core:bootstrapQualifier=localhost"),
}


def main(arguments: list[str]) -> int:
    verb = arguments[0]
    command = [ROOT / "infra" / "node_modules" / ".bin" / "cdk", *arguments, *QUALIFIER.get(verb, ())]
    status = subprocess.run(command, check=False).returncode
    if verb == "synth" and status == 0:
        adapter.main(Path(arguments[arguments.index("--output") + 1]))
    if verb == "bootstrap" and status == 0:  # where deploy.sh looks for it
        boto3.client("ssm").put_parameter(
            Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
