"""What people build ZIP exports of today, each as its users would write it, in environments of their own.

The versions are pinned in package-lock.json and requirements.lock beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = HERE.parent / ".peers"
TOOLS = Path(sys.executable).parent  # uv, node and npm of .venv


@dataclass(frozen=True)
class Peer:
    """One way to make a ZIP of photos on S3.

    Its program takes: photos' URL, count, S3 endpoint, bucket, key, downloads at once.
    """

    name: str
    made_of: str
    program: str

    def command(self) -> list[str]:
        if self.program.endswith(".mjs"):
            return [str(TOOLS / "node"), str(INSTALLED / "node" / self.program)]
        return [str(INSTALLED / "python" / "bin" / "python"), str(HERE / self.program)]


PEERS = (
    Peer("node", "archiver (store) + @aws-sdk/lib-storage", "archiver_lib_storage.mjs"),
    Peer("zipstream", "requests + zipstream-ng + boto3 upload_fileobj", "zipstream_boto3.py"),
    Peer("stream-zip", "httpx + stream-zip (stored) + smart_open", "stream_zip_smart_open.py"),
    Peer("one-by-one", "requests one by one + zipfile to disk + upload_file", "one_by_one.py"),
)


def install() -> None:
    """Makes both environments what the locks say; does nothing where they are already."""
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "NODE_USE_SYSTEM_CA": "1"}
    environment["PATH"] = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    environment.pop("VIRTUAL_ENV", None)
    if not any(name in environment for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")):
        environment.update(_index_of_pip())
    node, python = INSTALLED / "node", INSTALLED / "python"
    if not _is_made_from(node, HERE / "package-lock.json"):
        print("installing the peers of Node ...", file=sys.stderr)
        node.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, node)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=node, env=environment, check=True)
        shutil.copy(HERE / "package-lock.json", node / "stamp")
    for program in HERE.glob("*.mjs"):  # Node looks for packages beside the program
        shutil.copy(program, node)
    lock = HERE / "requirements.lock"
    if not _is_made_from(python, lock):
        print("installing the peers of Python ...", file=sys.stderr)
        for words in (
            ("venv", "--clear", "--python", sys.executable, str(python)),
            ("pip", "sync", "--python", str(python), "--require-hashes", str(lock)),
        ):
            subprocess.run([str(TOOLS / "uv"), "--quiet", *words], env=environment, check=True)
        shutil.copy(lock, python / "stamp")


def _index_of_pip() -> dict[str, str]:
    """pip's index is uv's too, as in scripts/setup; nothing when pip has none of its own."""
    index = os.environ.get("PIP_INDEX_URL", "")
    pip = HERE.parent.parent / ".tools" / "bin" / "python"
    if not index and pip.exists():
        asked = [str(pip), "-m", "pip", "--disable-pip-version-check", "config", "get", "global.index-url"]
        index = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}


def _is_made_from(folder: Path, lock: Path) -> bool:
    stamp = folder / "stamp"
    return stamp.is_file() and stamp.read_bytes() == lock.read_bytes()
