#!/usr/bin/env bash
# Puts batchlab on AWS, or brings what is there up to date; run it again whenever it broke off.
#
#   ./deploy.sh [--name batchlab] [--region us-east-1] [--yes] [--diff | --rollback DIGEST | --destroy]
#   ./deploy.sh --help
#
# Needs git, bash, either uv or Python 3.11+ with venv, a running docker, podman or finch, and credentials for AWS.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if command -v python3 >/dev/null; then  # help, and what is mistyped, before 640 MB are installed
    python3 "$root/infra/batchlab_infra/deploy/command_line.py" "$@" || exit
    case " $* " in *" --help "* | *" -h "*) exit ;; esac
fi
"$root/scripts/setup" deploy
exec "$root/.venv-deploy/bin/python" -m batchlab_infra.deploy "$@"
