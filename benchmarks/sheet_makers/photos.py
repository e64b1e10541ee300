"""24 photos of 24 megapixels, always the same: the gallery's, enlarged, with a sensor's noise."""

import sys
from pathlib import Path

from batchlab_processor.jobs.contact_sheets.vips import pyvips

WIDTH, HEIGHT, COUNT = 6_000, 4_000, 24
NOISE = 7.0  # standard deviation, of 255; gives the bytes a camera's photo has

folder = Path(sys.argv[1])
gallery = sorted((Path(__file__).parents[2] / "examples/gallery").glob("*.jpg"))
for number in range(COUNT):
    source = str(gallery[number % len(gallery)])
    photo = pyvips.Image.thumbnail(source, WIDTH, height=HEIGHT, size="both", crop="centre").colourspace(
        "srgb"
    )
    if number >= len(gallery):
        photo = photo.fliphor()
    noise = pyvips.Image.gaussnoise(WIDTH, HEIGHT, sigma=NOISE, seed=number)
    (photo + noise).cast("uchar").jpegsave(str(folder / f"{number:02}.jpg"), Q=90, keep="none")
