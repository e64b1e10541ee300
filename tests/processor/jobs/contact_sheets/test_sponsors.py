from __future__ import annotations

import pytest

from batchlab.jobs.sheet_style import SheetStyle, SponsorStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.grid import Size
from batchlab_processor.jobs.contact_sheets.sponsors import strip
from tests.processor.jobs.contact_sheets.golden import GALLERY, LOGO, image

BOX = Size(620, 60)
RED = [204, 51, 51]


def test_logos_stand_in_the_middle_of_cells_of_one_width() -> None:
    made = strip([LOGO, GALLERY[2].read_bytes()], SheetStyle(), BOX, 20)

    assert (made.width, made.height) == (620, 60)
    assert made(5, 30) == [255, 255, 255]
    assert made(150, 4) == RED  # the middle of the first cell, 300 wide


def test_cover_fills_the_cell() -> None:
    made = strip([LOGO, LOGO], SheetStyle(sponsors=SponsorStyle(fit="cover")), BOX, 20)

    assert made(2, 30) == RED
    assert made(310, 30) == [255, 255, 255]  # the gap


def test_a_drawing_is_sharp_however_large() -> None:
    small = LOGO.replace(b"<svg ", b'<svg width="3" height="1" ')

    assert (strip([small], SheetStyle(), BOX, 0) - strip([LOGO], SheetStyle(), BOX, 0)).abs().avg() < 1


def test_a_transparent_logo_shows_the_paper() -> None:
    glass = bytes(image(2).bandjoin(0).pngsave_buffer())

    assert strip([glass], SheetStyle(background="#ff8000"), BOX, 0).avg() == pytest.approx((255 + 128) / 3)


@pytest.mark.parametrize(
    ("logo", "kind"),
    [
        (b"", Kind.CORRUPT),
        (b"%PDF-1.7", Kind.CORRUPT),
        (b"<svg", Kind.CORRUPT),
        (GALLERY[2].read_bytes()[:9_000], Kind.CORRUPT),
        (b"\xff\xd8\xff" + bytes(20_000_000), Kind.TOO_LARGE),
    ],
    ids=["empty", "PDF", "broken SVG", "truncated JPEG", "too many bytes"],
)
def test_a_logo_that_cannot_be_read_is_named(logo: bytes, kind: Kind) -> None:
    with pytest.raises(ItemError, match="Sponsor 2: ") as caught:
        strip([LOGO, logo], SheetStyle(), BOX, 20)

    assert caught.value.kind is kind


def test_a_drawing_reaches_no_file_and_no_network(tmp_path: object) -> None:
    outside = (GALLERY[2]).as_uri()
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 620 60">'
        f'<image xlink:href="{outside}" width="620" height="60" preserveAspectRatio="none"/></svg>'
    )

    assert strip([drawing.encode()], SheetStyle(), BOX, 0).min() == 255
