"""The demo of contact sheets as a newcomer sees it, and the example documents as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchlab_processor.databases import Database
from batchlab_processor.demo_marathon import fill

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "contact-sheets"
PEOPLE = json.loads((EXAMPLES / "participants.json").read_text(encoding="utf-8"))["participants"]
MADE = [person["reference"] for person in PEOPLE if len(person["photos"]) in (8, 24)]


def batchlab(here: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "batchlab"), *arguments],
        cwd=here,
        env={**os.environ, "HOME": str(here / "home"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def size_in_pixels(jpeg: Path) -> tuple[int, int]:
    import pyvips

    image = pyvips.Image.new_from_file(str(jpeg))
    return image.width, image.height


@pytest.mark.slow  # of tests/processor's contact sheets in every run, this is the start from outside
def test_the_demo_makes_sheets_of_a_small_marathon_and_prints_where_they_are(tmp_path: Path) -> None:
    ran = batchlab(tmp_path, "demo", "contact-sheets")
    assert ran.returncode == 0, ran.stderr
    printed = [
        line.strip() for line in ran.stdout.partition("The sheets:\n")[2].splitlines() if ".jpg" in line
    ]
    assert printed == [f"batchlab-demo/sheets/city/{reference}/contact-sheet.jpg" for reference in MADE]
    assert size_in_pixels(tmp_path / printed[0]) == (4961, 3508)
    assert "database: 5 rows updated, 0 pending" in ran.stdout
    assert "left out: 1 participant, has no photos" in ran.stdout
    assert "VIPS" not in ran.stderr
    assert max(len(line) for line in ran.stdout.splitlines()) <= 80


@pytest.mark.slow
def test_the_example_of_a_list_runs_as_it_is_and_its_dry_run_says_who(tmp_path: Path) -> None:
    document = (
        (EXAMPLES / "manifest.yaml")
        .read_text()
        .replace("../../batchlab-demo/sheets", str(tmp_path / "sheets"))
    )
    document = document.replace(": ./", f": {EXAMPLES.as_uri()}/").replace("[./", f"[{EXAMPLES.as_uri()}/")
    document = document.replace("../gallery", (ROOT / "examples" / "gallery").as_uri())
    (tmp_path / "manifest.yaml").write_text(
        document.replace(f"{tmp_path}/sheets", f"file://{tmp_path}/sheets")
    )
    dry = batchlab(tmp_path, "run", "manifest.yaml", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert [line.split()[0] for line in dry.stdout.splitlines() if " -> " in line] == MADE
    assert "1 left out: has no photos\n  1007" in dry.stdout
    assert not (tmp_path / "sheets").exists()
    ran = batchlab(tmp_path, "run", "manifest.yaml")
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.parent.name for path in (tmp_path / "sheets").rglob("*.jpg")) == MADE


@pytest.mark.usefixtures("tmp_path")
@pytest.mark.slow
def test_the_example_of_a_database_runs_with_its_entries(tmp_path: Path, database_url: str) -> None:
    fill(Database("example", database_url), PEOPLE, EXAMPLES / "logo.svg")
    document = (EXAMPLES / "database.yaml").read_text()
    document = document.replace("../../batchlab-demo/sheets", f"file://{tmp_path}/sheets")
    document = document.replace("../gallery", (ROOT / "examples" / "gallery").as_uri())
    document += f"# also granted: {EXAMPLES}\n"
    document = document.replace(
        "  domain: city\n", f"  domain: city\n  logos: [{(EXAMPLES / 'logo.svg').as_uri()}]\n"
    )
    (tmp_path / "database.yaml").write_text(document.replace("  onlyVerified", "  dpi: 72\n  onlyVerified"))
    entries = str(EXAMPLES / "entries.yaml")
    ran = batchlab(tmp_path, "run", "database.yaml", "--config", entries, DATABASE_URL=database_url)
    assert ran.returncode == 0, ran.stderr
    verified = [
        person["reference"] for person in PEOPLE if person["verified"] and person["reference"] in MADE
    ]
    assert sorted(path.parent.name for path in (tmp_path / "sheets").rglob("*.jpg")) == verified
    unset = batchlab(tmp_path, "run", "database.yaml", "--config", entries, DATABASE_URL="")
    assert unset.returncode == 1
    assert "databases.marathon is read from DATABASE_URL, which is not set. Set it." in unset.stdout
