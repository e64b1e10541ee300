"""What a contact sheet costs: 24 photos of 24 megapixels onto A3 at 300 dpi, beside what people use today.

    scripts/bench sheets                    beside all of them; the first run makes the photos and installs sharp
    scripts/bench sheets --peers sharp      beside one
    scripts/bench sheets --job 12           the whole job: photos from a folder, sheets into a folder

Ours runs before each peer, in turn, and ratios are taken pair by pair. Figures are of warm processes: each
makes one sheet before it is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from PIL import Image

from batchlab.authority import Authority
from batchlab.document import load_document
from batchlab.records import submit_locally
from batchlab.status import State
from batchlab.stores import open_store
from benchmarks.peers import install
from benchmarks.sheet_makers import OURS, OURS_ALONE, PAPER, PEERS, Maker, install_montage, install_programs

PHOTOS = Path(__file__).parent / ".photos"
NAMES = [peer.name for peer in PEERS]


@dataclass(frozen=True)
class Measured:
    """One run of a maker."""

    wall_seconds: float  # of one sheet
    cpu_seconds: float  # of one sheet, user and system
    peak_rss_mib: float  # of the largest process; never less than the benchmark has itself


Pairs = Sequence[tuple[Measured, Measured]]  # ours, and a peer's right after


def main() -> None:
    options = _options()
    photos = _photos()
    size_mb = sum(path.stat().st_size for path in photos.iterdir()) / 1e6 / len(list(photos.iterdir()))
    cpu = f"{os.cpu_count()}-core {platform.machine()}, Python {platform.python_version()}"
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, load {os.getloadavg()[0]:.1f} before; photos of {size_mb:.1f} MB\n"
    )
    if options.job:
        _whole_job(options.job, options.workers, photos)
    else:
        _beside([peer for peer in PEERS if peer.name in (options.peers or NAMES)], options.pairs, photos)
    print(f"\nLoad after: {os.getloadavg()[0]:.1f}.")


def _beside(peers: Sequence[Maker], pairs: int, photos: Path) -> None:
    """Ours and each peer in turn; prints medians, and ratios pair by pair."""
    if any(peer.program.endswith(".mjs") for peer in peers):
        install()
        install_programs()
    if not install_montage():
        print("ImageMagick is not here: apt-get install imagemagick", file=sys.stderr)
        peers = [peer for peer in peers if not peer.name.startswith("montage")]
    found: dict[Maker, list[tuple[Measured, Measured]]] = {peer: [] for peer in peers}
    for _ in range(pairs):
        for peer in peers:
            ours, theirs = _run(OURS, photos), _run(peer, photos)
            if ours and theirs:
                found[peer].append((ours, theirs))
            print(".", end="", file=sys.stderr, flush=True)
    alone = [run for _ in range(pairs) if (run := _run(OURS_ALONE, photos))]
    print(file=sys.stderr)
    print("| made by | runs | wall s a sheet | CPU-s a sheet | peak MiB |\n|---|--:|--:|--:|--:|")
    print(_row("ours, two sheets at a time", [pair[0] for runs in found.values() for pair in runs]))
    print(_row(OURS_ALONE.made_of, alone))
    for peer, runs in found.items():
        print(_row(peer.made_of, [pair[1] for pair in runs]))
    print("\n| ours beside | their wall / ours | their CPU / ours |\n|---|--:|--:|")
    for peer, runs in found.items():
        if runs:
            wall = _ratio([theirs.wall_seconds / ours.wall_seconds for ours, theirs in runs])
            cpu = _ratio([theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in runs])
            print(f"| {peer.made_of} | {wall} | {cpu} |")


def _run(maker: Maker, photos: Path) -> Measured | None:
    """None: it failed."""
    with tempfile.TemporaryDirectory() as folder:
        command = maker.command(photos, Path(folder))
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert child.stdout
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            print(f"\n{maker.made_of} ended with {child.returncode}", file=sys.stderr)
            return None
        for path in Path(folder).glob("*.jpg"):
            with Image.open(path) as sheet:
                if any(abs(side - wanted) > 400 for side, wanted in zip(sheet.size, PAPER, strict=True)):
                    sys.exit(f"{maker.made_of} made {sheet.size}, not {PAPER}")
    taken = json.loads(said)
    return Measured(
        taken["wall_seconds"] / maker.sheets, taken["cpu_seconds"] / maker.sheets, usage.ru_maxrss / 1024
    )


def _whole_job(participants: int, workers: int, photos: Path) -> None:
    """The real command: plan from a manifest, photos read from a folder, sheets written to one."""
    names = [path.name for path in sorted(photos.iterdir())]
    entries = [{"reference": f"{number:04}", "photos": names} for number in range(participants)]
    manifest = photos / "participants.json"
    manifest.write_text(json.dumps(entries))
    try:
        with tempfile.TemporaryDirectory() as folder:
            store_url, output = (Path(folder) / "store").as_uri(), (Path(folder) / "out").as_uri()
            params = {"domain": "bench", "manifest": manifest.as_uri()}
            document = load_document(
                {"type": "contact-sheets", "params": params, "output": output, "limits": {"workers": workers}}
            )
            grant = Authority.granted(
                sources=[f"{photos.as_uri()}/"], outputs=[output], allow_local=True, overwrite=True, exact_target=False
            )  # fmt: skip
            records = submit_locally(open_store(store_url), document, grant)
            words = [
                "run",
                "--quiet",
                "--store",
                store_url,
                "--job",
                f"{store_url}/jobs/{document.id}/job.json",
            ]
            begin = time.monotonic()
            child = subprocess.Popen([sys.executable, "-m", "batchlab_processor", *words])
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - begin
            child.returncode = os.waitstatus_to_exitcode(status)
            report = records.report(1)
            if report is None or report.state is not State.SUCCEEDED:
                sys.exit(
                    f"The job ended with {child.returncode}: {report and (report.error or report.message)}"
                )
    finally:
        manifest.unlink()
    cpu = usage.ru_utime + usage.ru_stime
    print(
        "| sheets | wall s | sheets/min | CPU-s a sheet, start included | peak MiB |\n|--:|--:|--:|--:|--:|"
    )
    rate = participants / wall * 60
    print(
        f"| {participants} | {wall:.1f} | {rate:.0f} | {cpu / participants:.2f} | {usage.ru_maxrss / 1024:.0f} |"
    )


def _photos() -> Path:
    if not (PHOTOS / "23.jpg").exists():
        print("making 24 photos of 24 megapixels ...", file=sys.stderr)
        PHOTOS.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "benchmarks.sheet_makers.photos", str(PHOTOS)], check=True)
    return PHOTOS


def _row(name: str, runs: Sequence[Measured]) -> str:
    if not runs:
        return f"| {name} | 0 | fails | | |"
    return (
        f"| {name} | {len(runs)} | {median(run.wall_seconds for run in runs):.2f} "
        f"| {median(run.cpu_seconds for run in runs):.2f} | {median(run.peak_rss_mib for run in runs):.0f} |"
    )


def _ratio(each: Sequence[float]) -> str:
    return f"{median(each):.1f} ({min(each):.1f}-{max(each):.1f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench sheets", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peers", nargs="+", choices=NAMES, help="compare with these only")
    parser.add_argument("--pairs", type=int, default=5, help="runs beside each peer (5)")
    parser.add_argument("--job", type=int, metavar="PARTICIPANTS", help="measure the whole job, alone")
    parser.add_argument("--workers", type=int, default=5, help="of the whole job, limits.workers (5)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
