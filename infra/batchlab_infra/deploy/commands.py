"""Other programs: the container engine, the CDK CLI, git."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from batchlab.errors import ServiceError


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    said: str = "",
) -> None:
    """The command has succeeded; what it printed is on stderr. `said` goes to its stdin.

    Raises ServiceError when it fails, which has said why itself.
    """
    try:
        ended = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            input=said,
            stdout=2,  # stdout is ours: it has the outputs and nothing else
            text=True,
            check=False,
        )
    except OSError as error:
        raise ServiceError(f"{command[0]} cannot be started: {error.strerror}.") from None
    if ended.returncode:
        raise ServiceError(
            f"`{shlex.join(command[:4])} ...` ended with {ended.returncode}; its reason stands above. "
            "Run ./deploy.sh again when that is mended: it goes on from here."
        )


def answer(command: Sequence[str], *, folder: Path | None = None) -> str | None:
    """What the command prints, without the last newline; None when it fails or does not exist."""
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if ended.returncode else ended.stdout.rstrip("\n")
