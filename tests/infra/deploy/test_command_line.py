"""./deploy.sh knows its words before it installs anything: by the machine's own Python, without packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from batchlab_infra.deploy.command_line import ROOT

FILES = ("deploy.sh", "infra/batchlab_infra/deploy/command_line.py")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--help", 0, "AWS Secrets Manager"),
        ("--name lab -h", 0, "--rollback DIGEST"),
        ("--nmae lab", 2, "unrecognized arguments: --nmae"),
        ("--diff --destroy", 2, "not allowed with"),
    ],
)
def test_help_and_mistyped_words_install_nothing(tmp_path: Path, words: str, code: int, said: str) -> None:
    for name in FILES:  # and no scripts/setup: to start it would be an error of its own
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        ["bash", "deploy.sh", *words.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "scripts/setup" not in done.stderr
