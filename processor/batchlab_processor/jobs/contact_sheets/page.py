"""A page: cells, title and strip in their places, then its file."""

from __future__ import annotations

from collections.abc import Sequence

from batchlab.jobs.sheet_style import SheetStyle
from batchlab_processor.jobs.contact_sheets.caption import drawn, plain, rgb
from batchlab_processor.jobs.contact_sheets.grid import PageGrid
from batchlab_processor.jobs.contact_sheets.vips import pyvips


def cell(photo: pyvips.Image | None, caption: str, style: SheetStyle, grid: PageGrid) -> pyvips.Image:
    """A photo (None: its placeholder) resting on its caption, on the paper's colour."""
    shown = _placeholder(style, grid) if photo is None else photo
    left, top = (grid.photo.width - shown.width) // 2, grid.photo.height - shown.height
    area = shown.embed(
        left, top, grid.photo.width, grid.photo.height, extend="background", background=rgb(style.background)
    )
    if not grid.caption.height:
        return area
    lines = style.caption_lines if style.caption_overflow == "wrap" else 1
    text = drawn(caption, style, points=style.caption_pt, box=grid.caption, lines=lines, align="centre")
    return area.join(text, "vertical")


def page(
    cells: Sequence[pyvips.Image], title: str, strip: pyvips.Image | None, style: SheetStyle, grid: PageGrid
) -> bytes:
    """The page's file: PNG, or JPEG for the other formats. Of its photos' metadata nothing stays in it."""
    image = plain(grid.paper, style.background)
    if cells:
        across = min(grid.columns, len(cells))
        rows = pyvips.Image.arrayjoin(
            list(cells), across=across, shim=grid.gap, background=rgb(style.background)
        )
        image = image.insert(rows, grid.left, grid.top)
    if grid.title.height:
        text = drawn(title, style, points=style.title_pt, box=grid.title, lines=1, align="low")
        image = image.insert(text, grid.left, grid.title_top)
    if strip is not None:
        image = image.insert(strip, grid.left, grid.strip_top)
    per_mm = style.dpi / 25.4
    image = image.copy(xres=per_mm, yres=per_mm)
    # libvips hands on what it finds in any of the photos: names, serial numbers, the place on earth. Not by
    # keep="icc" when saving, which takes the resolution of a JPEG along.
    for name in image.get_fields():
        image.remove(name)
    if style.format == "png":
        return bytes(image.pngsave_buffer(profile="srgb"))
    halved = "on" if style.subsampling == "4:2:0" else "off"
    return bytes(image.jpegsave_buffer(Q=style.quality, subsample_mode=halved, profile="srgb"))


def _placeholder(style: SheetStyle, grid: PageGrid) -> pyvips.Image:
    """A field of a photo's usual shape with its diagonals: a picture is missing, in every language."""
    width = min(grid.photo.width, grid.photo.height * 3 // 2)
    height = width * 2 // 3
    red, green, blue = rgb(style.background)
    # SVG draws smooth lines; the numbers are ours and the colours are checked, so nothing needs escaping.
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<rect width="100%" height="100%" fill="{style.placeholder}"/>'
        f'<path d="M0 0L{width} {height}M0 {height}L{width} 0" stroke="rgb({red},{green},{blue})" '
        f'stroke-width="{max(width / 120, 1):.2f}"/></svg>'
    )
    return pyvips.Image.svgload_buffer(svg.encode()).flatten().copy_memory()
