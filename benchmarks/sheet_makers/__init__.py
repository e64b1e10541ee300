"""Programs that make the same sheet: ours, and what people use today, each as its users would write it.

A program takes: folder of photos, how many sheets, folder for them. It makes one sheet to warm up and then so
many, and prints {"wall_seconds": ..., "cpu_seconds": ...} of these. The others draw neither title nor captions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import INSTALLED, TOOLS

HERE = Path(__file__).parent
# The cells of our own default: A3 at 300 dpi, 6 x 4 photos, no sponsors.
PAPER = (4961, 3508)
CELL = (751, 752)
GAP = 47


@dataclass(frozen=True)
class Maker:
    """One way to put 24 photos onto an A3 page."""

    name: str
    made_of: str
    program: str
    option: str = ""
    sheets: int = 3  # in one run, after the first; fewer of what takes half a minute each

    def command(self, photos: Path, out: Path) -> list[str]:
        words = [str(photos), str(self.sheets), str(out), self.option]
        if self.program.endswith(".mjs"):
            return [str(TOOLS / "node"), str(INSTALLED / "node" / self.program), *words]
        return [sys.executable, "-m", f"benchmarks.sheet_makers.{self.program}", *words]


OURS = Maker("ours", "ours", "ours", "2", sheets=6)
OURS_ALONE = Maker("ours-1", "ours, one sheet at a time", "ours", "1")
PEERS = (
    Maker("sharp", "sharp, a photo after the other", "sharp_sheets.mjs", "in-turn"),
    Maker("sharp-all", "sharp, all photos at once (Promise.all)", "sharp_sheets.mjs", "at-once"),
    Maker("pillow", "Pillow (thumbnail)", "pillow_sheets"),
    Maker("montage-hint", "ImageMagick montage, size hint", "montage_sheets", "hint", sheets=1),
    Maker("montage", "ImageMagick montage", "montage_sheets", sheets=1),
)


def install_programs() -> None:
    """Node looks for packages beside the program."""
    for program in HERE.glob("*.mjs"):
        shutil.copy(program, INSTALLED / "node")


def install_montage() -> bool:
    """Whether ImageMagick is here now; as root, Debian's is installed."""
    if not shutil.which("montage") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "imagemagick"], stdout=sys.stderr)
    return shutil.which("montage") is not None
