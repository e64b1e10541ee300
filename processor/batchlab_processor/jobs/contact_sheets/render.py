"""One participant's photos become printable pages.

`render` takes all photos at once; `SheetMaker` takes them one at a time, so that the bytes of only one are in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import Kind


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
        """Raises ItemError when a sponsor's logo cannot be read, or the style leaves photos no room."""
        raise NotImplementedError

    def add(self, tile: Tile) -> None:
        """Its photo's bytes are needed no longer when this returns.

        Raises ItemError when the photo is bad and `on_bad_photo` is fail.
        """
        raise NotImplementedError

    def finish(self) -> Rendered:
        """All pages. Raises ItemError of the first bad photo's kind when not one could be read."""
        raise NotImplementedError


def render(sheet: Sheet, style: SheetStyle) -> Rendered:
    """All of a sheet's pages; the same inputs give the same bytes. Raises what SheetMaker raises."""
    maker = SheetMaker(sheet.fields, len(sheet.tiles), style, sheet.sponsors)
    for tile in sheet.tiles:
        maker.add(tile)
    return maker.finish()
