from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.grid import Size, arranged

STYLE = SheetStyle()


def test_a3_at_300_dpi() -> None:
    assert arranged(STYLE, 24, sponsors=False).paper == Size(4961, 3508)


@pytest.mark.parametrize(
    ("photos", "pages", "per_page", "columns"),
    [(1, 1, 1, 1), (7, 1, 7, 3), (8, 1, 8, 4), (24, 1, 24, 6), (25, 2, 13, 4), (100, 5, 20, 5)],
)
def test_the_grid_follows_the_number_of_photos(photos: int, pages: int, per_page: int, columns: int) -> None:
    grid = arranged(STYLE, photos, sponsors=True)

    assert (grid.pages, grid.per_page, grid.columns) == (pages, per_page, columns)


def test_a_fixed_layout_spills_onto_further_pages() -> None:
    grid = arranged(SheetStyle(layout="3x2", layouts={}), 13, sponsors=False)

    assert (grid.pages, grid.per_page, grid.columns) == (3, 6, 3)


def test_a_strip_without_sponsors_takes_no_room() -> None:
    with_strip, without = arranged(STYLE, 24, sponsors=True), arranged(STYLE, 24, sponsors=False)

    assert without.strip.height == 0
    assert without.photo.height > with_strip.photo.height


def test_photos_without_room_are_refused_with_what_to_change() -> None:
    style = SheetStyle.model_validate({"paper": {"width_mm": 40, "height_mm": 40}})

    with pytest.raises(ItemError, match="Choose larger paper, a smaller layout") as caught:
        arranged(style, 24, sponsors=False)

    assert caught.value.kind is Kind.VALIDATION


@given(
    photos=st.integers(1, 300),
    sides=st.tuples(st.integers(100, 900), st.integers(100, 900)),
    dpi=st.sampled_from([36, 72, 150]),
    margin_mm=st.floats(0, 20),
    gap_mm=st.floats(0, 5),
    position=st.sampled_from(["top", "bottom", "none"]),
    caption=st.sampled_from(["", "{number}"]),
    title=st.sampled_from(["", "{name}"]),
)
def test_nothing_overlaps_and_nothing_leaves_the_paper(
    photos: int,
    sides: tuple[int, int],
    dpi: int,
    margin_mm: float,
    gap_mm: float,
    position: str,
    caption: str,
    title: str,
) -> None:
    style = SheetStyle.model_validate(
        {
            "paper": {"width_mm": float(sides[0]), "height_mm": float(sides[1])},
            "dpi": dpi,
            "margin_mm": margin_mm,
            "gap_mm": gap_mm,
            "sponsors": {"position": position},
            "caption": caption,
            "title": title,
        }
    )
    try:
        grid = arranged(style, photos, sponsors=True)
    except ItemError as error:
        event(f"refused as {error.kind}")
        return
    rows = math.ceil(grid.per_page / grid.columns)
    cell_height = grid.photo.height + grid.caption.height
    bottom = grid.top + rows * cell_height + (rows - 1) * grid.gap
    right = grid.left + grid.columns * grid.photo.width + (grid.columns - 1) * grid.gap
    bands = [(grid.top, bottom)]
    if grid.title.height:
        bands.append((grid.title_top, grid.title_top + grid.title.height))
    if grid.strip.height:
        bands.append((grid.strip_top, grid.strip_top + grid.strip.height))
    bands.sort()

    assert right <= grid.paper.width - grid.left
    assert bands[0][0] >= grid.left  # the margin is the same on all sides
    assert bands[-1][1] <= grid.paper.height - grid.left
    assert all(above[1] + grid.gap <= below[0] for above, below in pairwise(bands))
    assert grid.pages * grid.per_page >= photos > (grid.pages - 1) * grid.per_page
