"""The functions' code: the distribution `batchlab[service]` with all it needs, as one directory.

Made by uv without a container: wheels for Lambda's Python and processor, from the hash-pinned lock. The same
sources give the same files, so that CDK uploads nothing twice.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from batchlab.errors import ServiceError

PYTHON = "3.14"  # the newest of AWS Lambda
PLATFORM = "x86_64-manylinux2014"
_TOOLS = ("__pycache__", "bin")  # commands have no place in a function


def build(root: Path, target: Path, *, python: str = PYTHON, platform: str = PLATFORM) -> Path:
    """Fills `target` anew from the workspace at `root`; raises ServiceError with uv's words when it cannot.

    Needs the wheels of requirements/service.lock: from uv's cache, or from the package index.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # two synths at once would mix their files
        made = Path(tempfile.mkdtemp(prefix=target.name, dir=target.parent))
        try:
            _fill(made, root, python, platform)
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    target.chmod(0o755)
    return target


def _fill(made: Path, root: Path, python: str, platform: str) -> None:
    lock = root / "requirements" / "service.lock"
    _uv(
        *("pip", "install", "--quiet", "--target", str(made), "--python-version", python),
        *("--python-platform", platform, "--only-binary", ":all:", "--no-deps", "--require-hashes"),
        *("--no-compile-bytecode", "--link-mode", "copy", "-r", str(lock)),
    )
    wheels = made / ".wheels"
    client = str(root / "client")
    _uv("build", "--quiet", "--wheel", "--no-build-isolation", client, "--out-dir", str(wheels))
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(made)
    shutil.rmtree(wheels)
    for name in _TOOLS:
        shutil.rmtree(made / name, ignore_errors=True)
    (made / ".lock").unlink(missing_ok=True)  # uv's own


def _uv(*arguments: str) -> None:
    command = [_uv_path(), *arguments]
    # uv chooses an index by itself; the Python is this one, whose hatchling builds our wheel
    # and a company's proxy has its own CA, which this machine knows
    ours = {"UV_PYTHON": sys.executable, "UV_NO_PROGRESS": "1", "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    environment = {**os.environ, **ours}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ServiceError(f"The functions' code could not be put together.\n{done.stderr.strip()}")


def _uv_path() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise ServiceError(
            "uv is not installed here, and it puts the functions' code together. Run scripts/setup."
        )
    return found
