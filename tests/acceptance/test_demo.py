"""The demo as a newcomer sees it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx
import psutil
import pytest

from tests.client.scripted_endpoint import scripted_endpoint
from tests.client.test_docs_client import service

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "examples" / "gallery"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def newcomer(here: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(here.parent / "home")}


def demo(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    here.mkdir(exist_ok=True)
    return subprocess.run(
        [str(Path(sys.executable).parent / "batchlab"), "demo", *arguments],
        cwd=here,
        env=newcomer(here),
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Seen:
    """One demo, run as a newcomer does."""

    here: Path
    ran: subprocess.CompletedProcess[str]


def line_after(seen: Seen, beginning: str) -> str:
    """The rest of the line that begins so."""
    return next(line for line in seen.ran.stdout.splitlines() if line.startswith(beginning)).removeprefix(
        beginning
    )


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
    with zipfile.ZipFile(seen.here / line_after(seen, "The ZIP: ")) as archive:
        photos = {name: archive.read(name) for name in archive.namelist() if name.endswith(".jpg")}
        missing = archive.read("_missing.csv").decode("utf-8-sig")
    assert photos == {path.name: path.read_bytes() for path in GALLERY.glob("*.jpg")}
    assert "013-group-photo.jpg" in missing


def test_the_job_came_in_by_the_endpoint_and_was_followed_to_its_end(seen: Seen) -> None:
    assert re.search(
        r"^Endpoint   http://127\.0\.0\.1:\d+, by batchlab serve ", seen.ran.stderr, re.MULTILINE
    )
    assert re.search(r"^Submitted  [0-9a-z]{26}, with the Python client$", seen.ran.stderr, re.MULTILINE)
    assert re.search(
        r"^\d\d:\d\d:\d\d partial: 13 of 13 photos \(100 %\), 1 failed", seen.ran.stderr, re.MULTILINE
    )


def test_what_the_demo_says_to_type_next_works_from_where_the_user_is(seen: Seen) -> None:
    commands = seen.ran.stdout.partition("\nNext:\n")[2].splitlines()
    items = next(line.split("  ")[1] for line in commands if "items latest" in line)
    shown = subprocess.run(
        items.split(), cwd=seen.here, env=newcomer(seen.here), capture_output=True, text=True, check=False
    )
    assert "013-group-photo.jpg" in shown.stdout, shown.stderr
    assert any(str(ROOT / "scripts" / "test") in line for line in commands)


def test_nothing_of_the_demo_is_left_running(seen: Seen) -> None:
    mine = psutil.Process().username()
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "username"])
        if process.info["username"] == mine
        and str(seen.here.parent) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []


def test_the_customers_page_and_its_download_open_again_as_the_demo_says(seen: Seen) -> None:
    command = next(
        line for line in seen.ran.stdout.splitlines() if line.startswith("  BATCHLAB_OUTPUT_ROOTS=")
    )
    page = line_after(seen, "The customer's page: ")
    with serving(command.strip(), seen.here):
        opened = httpx.get(page, trust_env=False, timeout=60)
        assert "Demo gallery" in opened.text
        download = re.findall(r'href="([^"]*/d/[^"]*)"', opened.text)[0]
        archive = httpx.get(urljoin(page, download), trust_env=False, timeout=60)
    assert zipfile.is_zipfile(io.BytesIO(archive.content))
    assert Path(line_after(seen, "As a file it is ")).read_text(encoding="utf-8") == opened.text


@contextlib.contextmanager
def serving(command: str, here: Path) -> Iterator[None]:
    """Inside, what the demo says to type runs."""
    served = subprocess.Popen(
        ["bash", "-c", f"exec env {command}"],
        cwd=here,
        env=newcomer(here),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert served.stdout is not None
    try:
        assert served.stdout.readline().startswith("http://127.0.0.1:")
        yield
    finally:
        served.terminate()
        served.wait(60)
        served.stdout.close()


def test_the_closing_lines_fit_a_terminal_of_80_columns(seen: Seen) -> None:
    closing = seen.ran.stdout.partition("\n1 photo is missing, ")[2].partition("Next:")[0]
    assert closing
    assert max(len(line) for line in closing.splitlines()) <= 80


@pytest.mark.slow  # a whole demo more; `seen` is in every run
def test_the_demo_can_be_seen_again(seen: Seen) -> None:
    assert demo(seen.here).returncode == 0


def test_the_readme_shows_what_the_demo_says(seen: Seen) -> None:
    shown = re.findall(r"^```\n\$ git clone .*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[0]
    said = {_without_figures(line) for line in (seen.ran.stderr + seen.ran.stdout).splitlines()}
    assert {line for line in shown.splitlines() if _without_figures(line) not in said} == set()


def _without_figures(line: str) -> str:
    """The line without what is another at each run: ids, numbers, and where the checkout is."""
    line = re.sub(r"(?<=/s/)[\w-]{22}\b", "TOKEN", line)
    line = re.sub(r"\b[0-9a-z]{26}\b", "ID", line)
    line = re.sub(r"(?<=[ /])/?\S*/(?=examples/gallery|batchlab-demo|\.local/state)", "", line)
    return re.sub(r"[\d.]*\d", "N", line)


def test_the_python_lines_of_the_readme_run(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    with scripted_endpoint() as endpoint:
        endpoint.answers(service)
        environment = {**newcomer(tmp_path), "BATCHLAB_URL": endpoint.url}
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
    assert ran.stdout == "succeeded https://photos.example.com/s/x\n", ran.stderr


@pytest.mark.slow
def test_ones_own_photos_are_demonstrated_without_any_arrangement(tmp_path: Path) -> None:
    (tmp_path / "wedding").mkdir()
    for name in ("001-astronaut.jpg", "002-cat.jpg"):
        (tmp_path / "wedding" / name).write_bytes((GALLERY / name).read_bytes())
    ran = demo(tmp_path / "here", str(tmp_path / "wedding"))
    assert ran.returncode == 0, ran.stderr
    assert "as arranged" not in ran.stdout
    with zipfile.ZipFile(tmp_path / "here" / "batchlab-demo" / "wedding.zip") as archive:
        assert sorted(archive.namelist()) == ["001-astronaut.jpg", "002-cat.jpg"]


@pytest.mark.slow
def test_of_ones_own_photos_a_missing_one_is_told_by_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{GALLERY}/001-astronaut.jpg\nnowhere.jpg\n")
    assert demo(tmp_path / "here", str(tmp_path / "list.txt")).returncode == 3


def test_ones_own_photos_that_are_not_there_end_with_2(tmp_path: Path) -> None:
    ran = demo(tmp_path / "here", "nowhere")
    assert ran.returncode == 2
    assert ran.stderr == "batchlab: nowhere: there is no such file or directory.\n"
