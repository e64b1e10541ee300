"""Pillow: `thumbnail` reduces a JPEG while it decodes, by itself."""

import sys
from pathlib import Path

from PIL import Image, ImageOps

from benchmarks.sheet_makers import CELL, GAP, PAPER
from benchmarks.sheet_makers.stopwatch import stopwatch

photos, sheets, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
paths = sorted(photos.glob("*.jpg"))


def make(number: int) -> None:
    page = Image.new("RGB", PAPER, "white")
    for at, path in enumerate(paths):
        with Image.open(path) as photo:
            photo.thumbnail(CELL, Image.Resampling.LANCZOS)
            tile = ImageOps.exif_transpose(photo)
            row, column = divmod(at, 6)
            page.paste(tile, (118 + column * (CELL[0] + GAP), 250 + row * (CELL[1] + GAP)))
    page.save(out / f"{number}.jpg", quality=90, dpi=(300, 300))


make(0)
with stopwatch():
    for each in range(sheets):
        make(each)
