"""Where everything is on a participant's pages, in pixels. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind

_LINE = 1.25  # height of a line, in font sizes: DejaVu's own 1.16 and a little air
_LEAST_PIXELS = 16  # of a photo's sides; less is a mistake in the style
_PHOTO_WIDTH, _PHOTO_HEIGHT = 3, 2  # the shape that auto makes as large as it can be


@dataclass(frozen=True)
class Size:
    """Pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class PageGrid:
    """All pages of one participant are alike; tops and lefts count from the paper's upper left corner."""

    paper: Size
    pages: int
    per_page: int  # tiles on each page but the last
    columns: int
    photo: Size  # the part of a cell that is for the photo
    caption: Size  # below it; height 0: no captions
    gap: int
    left: int  # of the first cell; of title and strip, too
    top: int  # of the first cell
    title: Size  # height 0: no title
    title_top: int
    strip: Size  # height 0: no sponsors
    strip_top: int


def arranged(style: SheetStyle, photos: int, *, sponsors: bool) -> PageGrid:
    """The pages for so many photos. Raises ItemError(validation) when the style leaves them no room."""
    paper = Size(*style.pixels())
    margin, gap = _pixels(style.margin_mm, style.dpi), _pixels(style.gap_mm, style.dpi)
    title = line_height(style.title_pt, style.dpi) if style.title else 0
    air = line_height(style.caption_pt, style.dpi) // 4  # between photo and caption
    lines = style.caption_lines if style.caption_overflow == "wrap" else 1
    caption = line_height(style.caption_pt, style.dpi) * lines + air if style.caption else 0
    has_strip = sponsors and style.sponsors.position != "none"
    strip = _pixels(style.sponsors.height_mm, style.dpi) if has_strip else 0
    inner = Size(paper.width - 2 * margin, paper.height - 2 * margin)
    room = Size(inner.width, inner.height - _with_gap(title, gap) - _with_gap(strip, gap))

    pages, per_page, columns, rows = _grid(style, photos, room, gap, caption)
    cell = _cell(room, columns, rows, gap)
    photo = Size(cell.width, cell.height - caption)
    if min(photo.width, photo.height) < _LEAST_PIXELS:
        raise ItemError(
            Kind.VALIDATION,
            f"{photos} photos in {columns}x{rows} leave each {photo.width} x {photo.height} pixels. Choose larger "
            "paper, a smaller layout, or less margin, gap, title and strip.",
        )
    strip_on_top = style.sponsors.position == "top"
    above = _with_gap(strip, gap) if strip_on_top else 0
    return PageGrid(
        paper=paper,
        pages=pages,
        per_page=per_page,
        columns=columns,
        photo=photo,
        caption=Size(cell.width, caption),
        gap=gap,
        left=margin,
        top=margin + above + _with_gap(title, gap),
        title=Size(inner.width, title),
        title_top=margin + above,
        strip=Size(inner.width, strip),
        strip_top=margin if strip_on_top else paper.height - margin - strip,
    )


def _grid(style: SheetStyle, photos: int, room: Size, gap: int, caption: int) -> tuple[int, int, int, int]:
    """Pages, tiles a page, columns, rows."""
    named = style.layouts.get(photos, style.layout)
    if named != "auto":
        columns, rows = map(int, named.split("x"))
        return math.ceil(photos / (columns * rows)), columns * rows, columns, rows
    pages = math.ceil(photos / style.photos_per_page)
    per_page = math.ceil(photos / pages)  # 25 photos become 13 and 12, not 24 and 1

    def photo_scale(columns: int) -> float:
        cell = _cell(room, columns, math.ceil(per_page / columns), gap)
        return min(cell.width / _PHOTO_WIDTH, (cell.height - caption) / _PHOTO_HEIGHT)

    columns = max(range(1, per_page + 1), key=photo_scale)
    return pages, per_page, columns, math.ceil(per_page / columns)


def _cell(room: Size, columns: int, rows: int, gap: int) -> Size:
    return Size((room.width - gap * (columns - 1)) // columns, (room.height - gap * (rows - 1)) // rows)


def _pixels(millimetres: float, dpi: int) -> int:
    return round(millimetres / 25.4 * dpi)


def line_height(points: float, dpi: int) -> int:
    return math.ceil(points / 72 * dpi * _LINE) + 1  # Pango rounds what is above and below the line, each up


def _with_gap(height: int, gap: int) -> int:
    return height + gap if height else 0
