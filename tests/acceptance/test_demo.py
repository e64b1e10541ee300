"""The demo as a newcomer sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "examples" / "gallery"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def demo(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    here.mkdir(exist_ok=True)
    return subprocess.run(
        [str(Path(sys.executable).parent / "batchlab"), "demo", *arguments],
        cwd=here,
        env={**os.environ, "HOME": str(here.parent / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Seen:
    """One demo, run as a newcomer does."""

    here: Path
    ran: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    here = tmp_path_factory.mktemp("newcomer") / "here"
    return Seen(here, demo(here))


def test_the_demo_delivers_all_photos_but_the_one_that_is_missing_as_arranged(seen: Seen) -> None:
    assert seen.ran.returncode == 0, seen.ran.stderr
    assert (
        "\n1 photo is missing, as arranged: 013-group-photo.jpg (404 from the gallery).\n" in seen.ran.stdout
    )
    assert "came at the third attempt, as arranged" in seen.ran.stdout
    assert "\nThe ZIP: batchlab-demo/gallery.zip\n" in seen.ran.stdout
    with zipfile.ZipFile(seen.here / "batchlab-demo" / "gallery.zip") as archive:
        photos = {name: archive.read(name) for name in archive.namelist() if name.endswith(".jpg")}
        missing = archive.read("_missing.csv").decode("utf-8-sig")
    assert photos == {path.name: path.read_bytes() for path in GALLERY.glob("*.jpg")}
    assert "013-group-photo.jpg" in missing


def test_what_the_demo_says_to_type_next_works_from_where_the_user_is(seen: Seen) -> None:
    commands = seen.ran.stdout.partition("\nNext:\n")[2].splitlines()
    items = next(line.split("  ")[1] for line in commands if "items latest" in line)
    shown = subprocess.run(
        items.split(),
        cwd=seen.here,
        env={**os.environ, "HOME": str(seen.here.parent / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "013-group-photo.jpg" in shown.stdout, shown.stderr
    assert any(str(ROOT / "scripts" / "test") in line for line in commands)


def test_the_closing_lines_fit_a_terminal_of_80_columns(seen: Seen) -> None:
    closing = seen.ran.stdout.partition("\n1 photo is missing, ")[2].partition("Next:")[0]
    assert closing
    assert max(len(line) for line in closing.splitlines()) <= 80


def test_the_demo_can_be_seen_again(seen: Seen) -> None:
    assert demo(seen.here).returncode == 0


def test_the_readme_shows_what_the_demo_says(seen: Seen) -> None:
    shown = re.findall(r"^```\n\$ git clone .*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[0]
    said = {_without_figures(line) for line in (seen.ran.stderr + seen.ran.stdout).splitlines()}
    assert {line for line in shown.splitlines() if _without_figures(line) not in said} == set()


def _without_figures(line: str) -> str:
    """The line without what is another at each run: ids, numbers, and where the checkout is."""
    line = re.sub(r"\b[0-9a-z]{26}\b", "ID", line)
    line = re.sub(r"(?<=[ /])/?\S*/(?=examples/gallery|batchlab-demo)", "", line)
    return re.sub(r"[\d.]*\d", "N", line)


def test_the_python_lines_of_the_readme_run(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "photos.csv").write_text(f"url\n{GALLERY}/001-astronaut.jpg\nnowhere.jpg\n")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "partial ['nowhere.jpg']\n", ran.stderr


def test_ones_own_photos_are_demonstrated_without_any_arrangement(tmp_path: Path) -> None:
    (tmp_path / "wedding").mkdir()
    for name in ("001-astronaut.jpg", "002-cat.jpg"):
        (tmp_path / "wedding" / name).write_bytes((GALLERY / name).read_bytes())
    ran = demo(tmp_path / "here", str(tmp_path / "wedding"))
    assert ran.returncode == 0, ran.stderr
    assert "as arranged" not in ran.stdout
    with zipfile.ZipFile(tmp_path / "here" / "batchlab-demo" / "wedding.zip") as archive:
        assert sorted(archive.namelist()) == ["001-astronaut.jpg", "002-cat.jpg"]


def test_of_ones_own_photos_a_missing_one_is_told_by_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{GALLERY}/001-astronaut.jpg\nnowhere.jpg\n")
    assert demo(tmp_path / "here", str(tmp_path / "list.txt")).returncode == 3


def test_ones_own_photos_that_are_not_there_end_with_2(tmp_path: Path) -> None:
    ran = demo(tmp_path / "here", "nowhere")
    assert ran.returncode == 2
    assert ran.stderr == "batchlab: nowhere: there is no such file or directory.\n"
