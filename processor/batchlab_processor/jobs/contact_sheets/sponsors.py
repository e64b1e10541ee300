"""The strip of sponsors' logos."""

from __future__ import annotations

from collections.abc import Sequence

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.caption import plain
from batchlab_processor.jobs.contact_sheets.grid import Size
from batchlab_processor.jobs.contact_sheets.photo import fitted, picture, reason
from batchlab_processor.jobs.contact_sheets.vips import pyvips

_MOST_BYTES = 20_000_000  # of one logo
_SVG_BEGINS_BYTES = 4_096  # comments and a document type may stand before it


def strip(sponsors: Sequence[bytes], style: SheetStyle, box: Size, gap: int) -> pyvips.Image:
    """The logos side by side in cells of one width, as large as `box`. Raises ItemError naming the bad logo."""
    cell = Size((box.width - gap * (len(sponsors) - 1)) // len(sponsors), box.height)
    image = plain(box, style.background)
    for number, data in enumerate(sponsors):
        try:
            logo = _logo(data, style, cell)
        except ItemError as error:
            raise ItemError(error.kind, f"Sponsor {number + 1}: {error.message}") from error
        left = number * (cell.width + gap) + (cell.width - logo.width) // 2
        image = image.insert(logo, left, (cell.height - logo.height) // 2)
    return image.copy_memory()


def _logo(data: bytes, style: SheetStyle, cell: Size) -> pyvips.Image:
    if len(data) > _MOST_BYTES:
        raise ItemError(Kind.TOO_LARGE, f"The file has {len(data):,} bytes, at most {_MOST_BYTES:,}.")
    if b"<svg" not in data[:_SVG_BEGINS_BYTES]:
        return picture(data, style, cell, style.sponsors.fit)
    try:
        drawing = pyvips.Image.svgload_buffer(data)
        choose = min if style.sponsors.fit == "contain" else max
        scale = choose(cell.width / drawing.width, cell.height / drawing.height)
        return fitted(pyvips.Image.svgload_buffer(data, scale=scale), style, cell, style.sponsors.fit)
    except pyvips.Error as error:
        raise ItemError(Kind.CORRUPT, f"The file is broken: {reason(error)}.") from error
