from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """\
from pathlib import Path
from batchlab.streams import open_closed_streams, say, write_data

open_closed_streams()
with open("state.json", "w") as state:  # gets the lowest free number
    write_data("the report")
    say("the progress")
raise SystemExit(3)
"""


def ends(shell: str, tmp_path: Path) -> tuple[int, str]:
    """The exit code and what reached stdout and stderr; `shell` redirects the program."""
    (tmp_path / "program.py").write_text(PROGRAM)
    line = f'set -o pipefail; "{sys.executable}" program.py {shell}'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_no_exit_code_and_ends_in_no_file(closed: str, tmp_path: Path) -> None:
    code, said = ends(closed, tmp_path)
    assert code == 3
    assert "Traceback" not in said
    assert (tmp_path / "state.json").read_text() == ""


@pytest.mark.parametrize("pipe", ["| true", "2>&1 | true", "2> >(true)"])
def test_a_reader_that_has_seen_enough_changes_no_exit_code(pipe: str, tmp_path: Path) -> None:
    code, said = ends(pipe, tmp_path)
    assert code == 3
    assert "Broken pipe" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk in a file, on Linux only")
def test_a_full_disk_under_stdout_is_said_in_one_line(tmp_path: Path) -> None:
    code, said = ends("> /dev/full", tmp_path)
    assert code == 3
    assert "stdout cannot be written: No space left on device." in said
    assert "Traceback" not in said
