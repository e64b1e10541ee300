"""One participant's photos become printable pages.

`render` takes all photos at once; `SheetMaker` takes them one at a time, so that the bytes of only one are in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.caption import filled
from batchlab_processor.jobs.contact_sheets.grid import arranged
from batchlab_processor.jobs.contact_sheets.page import cell, page
from batchlab_processor.jobs.contact_sheets.pdf import pdf
from batchlab_processor.jobs.contact_sheets.photo import photo_image
from batchlab_processor.jobs.contact_sheets.sponsors import strip
from batchlab_processor.jobs.contact_sheets.vips import pyvips


@dataclass(frozen=True)
class Tile:
    """One photo's place on a sheet."""

    photo: bytes | memoryview | Path | None  # the file; None: there is no photo to show
    fields: Mapping[str, str]  # for the caption's template; a name that is not there is empty
    problem: str | None = None  # why the photo could not be had; one line
    kind: Kind = Kind.MISSING  # of the problem


@dataclass(frozen=True)
class Sheet:
    """What goes onto one participant's pages."""

    fields: Mapping[str, str]  # for the title's template
    tiles: Sequence[Tile]
    sponsors: Sequence[bytes] = ()  # logos: PNG, JPEG, SVG, WebP


@dataclass(frozen=True)
class BadPhoto:
    """A photo that could not be read; the sheet was made without it."""

    index: int  # of its tile, from 0
    kind: Kind
    message: str


@dataclass(frozen=True)
class Rendered:
    """The finished files: one for each page; one in all where the format is pdf."""

    pages: list[bytes]
    extension: str  # "jpg", "png" or "pdf"
    content_type: str
    bad: list[BadPhoto]


class SheetMaker:
    """Makes one participant's pages from tiles that come one at a time, `count` of them, in order.

    A page is encoded as soon as its last tile has come; from then on only its file is in memory.
    """

    def __init__(
        self, fields: Mapping[str, str], count: int, style: SheetStyle, sponsors: Sequence[bytes] = ()
    ) -> None:
        """Raises ItemError when there are no photos or no room for them, or a sponsor's logo cannot be read."""
        if count < 1:
            raise ItemError(Kind.VALIDATION, "There are no photos for a sheet.")
        self._style = style
        self._grid = arranged(style, count, sponsors=bool(sponsors))
        self._title = filled(style.title, fields)
        self._strip = (
            strip(sponsors, style, self._grid.strip, self._grid.gap) if self._grid.strip.height else None
        )
        self._seen = 0  # tiles so far
        self._cells: list[pyvips.Image] = []  # of the page that is not yet encoded
        self._pages: list[bytes] = []
        self._bad: list[BadPhoto] = []

    def add(self, tile: Tile) -> None:
        """Its photo's bytes are needed no longer when this returns.

        Raises ItemError when the photo is bad and `on_bad_photo` is fail.
        """
        index = self._seen
        self._seen += 1
        photo = None
        try:
            photo = self._photo(tile)
        except ItemError as error:
            if self._style.on_bad_photo == "fail":
                raise ItemError(error.kind, f"Photo {index + 1}: {error.message}") from error
            self._bad.append(BadPhoto(index, error.kind, error.message))
            if self._style.on_bad_photo == "skip":
                return
        self._cells.append(cell(photo, filled(self._style.caption, tile.fields), self._style, self._grid))
        if len(self._cells) == self._grid.per_page:
            self._end_page()

    def finish(self) -> Rendered:
        """All pages. Raises ItemError of the first bad photo's kind when not one could be read."""
        if len(self._bad) == self._seen:
            first = self._bad[0]
            raise ItemError(
                first.kind, f"None of {self._seen} photos can be shown; the first: {first.message}"
            )
        if self._cells:
            self._end_page()
        if self._style.format == "pdf":
            return Rendered(
                [pdf(self._pages, self._grid.paper, self._style.dpi)], "pdf", "application/pdf", self._bad
            )
        extension = "jpg" if self._style.format == "jpeg" else "png"
        return Rendered(self._pages, extension, f"image/{self._style.format}", self._bad)

    def _photo(self, tile: Tile) -> pyvips.Image:
        if tile.photo is None:
            raise ItemError(tile.kind, tile.problem or "There is no photo.")
        return photo_image(tile.photo, self._style, self._grid.photo)

    def _end_page(self) -> None:
        number = ""
        if self._grid.pages > 1:
            # Where bad photos are left away, the last page may never come.
            of = f"/{self._grid.pages}" if self._style.on_bad_photo != "skip" else ""
            number = f" ({len(self._pages) + 1}{of})"
        self._pages.append(page(self._cells, self._title + number, self._strip, self._style, self._grid))
        self._cells = []


def render(sheet: Sheet, style: SheetStyle) -> Rendered:
    """All of a sheet's pages; the same inputs give the same bytes. Raises what SheetMaker raises."""
    maker = SheetMaker(sheet.fields, len(sheet.tiles), style, sheet.sponsors)
    for tile in sheet.tiles:
        maker.add(tile)
    return maker.finish()
