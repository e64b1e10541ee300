"""ImageMagick's montage, a process for each sheet; with a hint it lets libjpeg reduce.

Debian's limits are lifted: under them it works on the disk with a hint, and fails without one.
"""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.sheet_makers import CELL, GAP
from benchmarks.sheet_makers.stopwatch import stopwatch

photos, sheets, out, hint = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
# Twice the size that is wanted. Source: imagemagick.org, "Command-line Options", -define jpeg:size
size = ["-define", f"jpeg:size={2 * CELL[0]}x{2 * CELL[1]}"] if hint else []
cells = ["-tile", "6x4", "-geometry", f"{CELL[0]}x{CELL[1]}+{GAP // 2}+{GAP // 2}"]
paths = [str(path) for path in sorted(photos.glob("*.jpg"))]
limits = (
    f'<policy domain="resource" name="{name}" value="8GiB"/>' for name in ("memory", "map", "area", "disk")
)
(out / "policy.xml").write_text(f"<policymap>{''.join(limits)}</policymap>")
environment = {**os.environ, "MAGICK_CONFIGURE_PATH": str(out)}


def make(number: int) -> None:
    to = ["-density", "300", "-quality", "90", str(out / f"{number}.jpg")]
    command = ["montage", *size, "-auto-orient", *paths, *cells, *to]
    subprocess.run(command, check=True, env=environment)


with stopwatch():
    for each in range(sheets):
        make(each)
