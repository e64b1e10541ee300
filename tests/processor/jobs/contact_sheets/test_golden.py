"""Pages beside the pictures in golden/, which somebody has looked at. See golden.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchlab_processor.jobs.contact_sheets.vips import pyvips
from tests.processor.jobs.contact_sheets.golden import FOLDER, PAGES, files_of

# Squares of 8 x 8 pixels, as JPEG has them: a letter that moves changes one by 10 and more, another version of
# a decoder by 1 or 2.
_SQUARE = 8
_MOST_DIFFERENCE = 5.0


def _largest_difference(page: bytes, golden: bytes) -> float:
    ours, theirs = (pyvips.Image.new_from_buffer(body, "") for body in (page, golden))
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    return float((ours - theirs).abs().shrink(_SQUARE, _SQUARE).max())


@pytest.mark.parametrize("name", PAGES)
def test_pages_look_like_the_golden_pictures(name: str, tmp_path: Path) -> None:
    for file_name, page in files_of(name, PAGES[name]()).items():
        (tmp_path / file_name).write_bytes(page)
        difference = _largest_difference(page, (FOLDER / file_name).read_bytes())
        assert difference <= _MOST_DIFFERENCE, f"{tmp_path / file_name} is not {FOLDER / file_name}"


def test_every_golden_picture_is_compared() -> None:
    stems = {path.stem.partition("-page-")[0] for path in FOLDER.glob("*.jpg")}

    assert stems == set(PAGES)
