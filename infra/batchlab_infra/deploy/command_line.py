"""The words of ./deploy.sh, with nothing but Python: it looks at them before anything is installed.

python3 command_line.py --diff --nmae lab     says what is wrong, exit 2; --help prints the help
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "cdk.out"
WORKER_DIR = Path("cloudflare-worker/src")
_DESCRIPTION = """\
Puts batchlab on AWS, or brings what is there up to date. Run it again whenever it broke off: it goes on where it was.
Settings are those of docs/aws.md: --set FIELD=VALUE, or their environment variables. Secrets come from the
environment: R2_ENDPOINT, R2_ACCESS_KEY, R2_SECRET_KEY and R2_BUCKET, FIREBASE_SERVICE_ACCOUNT, DATABASE_URL,
GEMINI_API_KEY; what is set is put into AWS Secrets Manager and given to jobs."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="./deploy.sh",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--name", default="", help="stands in front of every name (batchlab)")
    made.add_argument(
        "--region", default="", help="AWS region (AWS_REGION, AWS_DEFAULT_REGION, else us-east-1)"
    )
    made.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the stack"
    )
    made.add_argument("--yes", action="store_true", help="ask nothing")
    action = made.add_mutually_exclusive_group()
    action.add_argument(
        "--diff", action="store_true", help="show what a deployment would change, change nothing"
    )
    action.add_argument("--rollback", metavar="DIGEST", help="run an earlier image again: sha256:...")
    action.add_argument(
        "--destroy", action="store_true", help="delete everything, after saying what would go"
    )
    made.add_argument("--rotate-worker-key", action="store_true", help="make the Worker a new access key")
    made.add_argument(
        "--worker-dir",
        type=Path,
        default=WORKER_DIR,
        help="the Worker's sources (cloudflare-worker/src)",
    )
    made.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="an ARG of the Dockerfile"
    )
    made.add_argument("--rebuild", action="store_true", help="build the image though nothing of ours changed")
    made.add_argument("--engine", default="", help="docker, podman or finch (the first that runs)")
    made.add_argument("--cdk", default="", metavar="COMMAND", help="another CDK CLI than the pinned one")
    made.add_argument("--out", type=Path, default=OUT, help="where templates are synthesized (cdk.out)")
    return made


if __name__ == "__main__":
    parser().parse_args()
