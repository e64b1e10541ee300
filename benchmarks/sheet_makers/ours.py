"""Our renderer, in as many threads as it is told: what the job type does, without fetching and delivering."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchlab.jobs.sheet_style import SheetStyle
from batchlab_processor.jobs.contact_sheets.render import SheetMaker, Tile
from benchmarks.sheet_makers.stopwatch import stopwatch

photos, sheets, out, threads = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
paths = sorted(photos.glob("*.jpg"))
style = SheetStyle()


def make(number: int) -> None:
    maker = SheetMaker({"domain": "bench", "reference": f"{number:04}"}, len(paths), style)
    for at, path in enumerate(paths, start=1):
        maker.add(Tile(path.read_bytes(), {"number": str(at), "topic": "The light of the morning"}))
    [page] = maker.finish().pages
    (out / f"{number}.jpg").write_bytes(page)


make(0)
with stopwatch(), ThreadPoolExecutor(threads) as pool:
    list(pool.map(make, range(sheets)))
