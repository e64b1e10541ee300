"""How a contact sheet looks: paper, grid, texts, sponsors, and what becomes of a photo that cannot be read."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictInt, StrictStr, model_validator

from batchlab.jobs.base import ParamsModel
from batchlab.texts import Line

MOST_PHOTOS = 1_000  # on the sheets of one participant
_MOST_PAGE_PIXELS = 150_000_000  # A0 at 300 dpi has 139 million
_MOST_SIDE_PIXELS = 65_500  # libjpeg's own limit
_SIDES_MM = {"A3": (420.0, 297.0), "A4": (297.0, 210.0), "letter": (279.4, 215.9)}  # landscape

Millimetres = Annotated[float, Field(ge=0, le=2_000, strict=True)]
Points = Annotated[float, Field(ge=4, le=200, strict=True)]  # 1/72 inch, as in every word processor
Colour = Annotated[StrictStr, Field(pattern="^#[0-9a-fA-F]{6}$")]
Grid = Annotated[StrictStr, Field(pattern="^[1-9][0-9]?x[1-9][0-9]?$")]  # columns x rows
PhotoCount = Annotated[int, Field(ge=1, le=MOST_PHOTOS)]  # JSON writes the keys of an object as text


def template_fields(template: str) -> frozenset[str]:
    """The names in braces: {"reference"} of "No. {reference}"."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def _template(text: str) -> str:
    """Only names: `{a.b}`, `{a!r}` and `{a:>9}` would reach into what is filled in."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(
            "has a brace without its fellow. Write {{ and }} for braces that are meant."
        ) from None
    for _, name, spec, conversion in parts:
        if name is not None and (spec or conversion or not name.isidentifier()):
            raise ValueError("expected names of fields in the braces, such as {reference}.")
    return text


Template = Annotated[Line, Field(max_length=500), AfterValidator(_template)]


class CustomPaper(ParamsModel):
    """Paper of one's own; its orientation is as the sides say."""

    width_mm: Annotated[float, Field(ge=20, le=2_000, strict=True, description="The width, 20 to 2,000.")]
    height_mm: Annotated[float, Field(ge=20, le=2_000, strict=True, description="The height, 20 to 2,000.")]


class SponsorStyle(ParamsModel):
    """The strip of logos, side by side in cells of one width."""

    position: Annotated[
        Literal["top", "bottom", "none"], Field(description="Where the strip is; none leaves it away.")
    ] = "bottom"
    fit: Annotated[
        Literal["contain", "cover"],
        Field(description="contain: the whole logo; cover: its cell is filled, the logo's edges are cut."),
    ] = "contain"
    height_mm: Annotated[Millimetres, Field(description="The height of the strip.")] = 14


class SheetStyle(ParamsModel):
    """The look of a participant's sheets."""

    paper: Annotated[
        Literal["A3", "A4", "letter"] | CustomPaper,
        Field(description="A3, A4, letter or {width_mm, height_mm}."),
    ] = "A3"
    orientation: Annotated[
        Literal["landscape", "portrait"], Field(description="For named paper: which side is the longer.")
    ] = "landscape"
    dpi: Annotated[StrictInt, Field(ge=36, le=600, description="Pixels per inch of paper.")] = 300
    layouts: Annotated[
        dict[PhotoCount, Grid],
        Field(description='The grid for a number of photos, columns x rows: {"8": "4x2"}.'),
    ] = {8: "4x2", 24: "6x4"}  # noqa: RUF012 - pydantic copies it
    layout: Annotated[
        Literal["auto"] | Grid,
        Field(
            description="The grid for every other number; auto makes the photos as large as they can be. "
            "Photos that are over go onto further pages."
        ),
    ] = "auto"
    photos_per_page: Annotated[
        StrictInt, Field(ge=1, le=400, description="At most so many on one page where layout is auto.")
    ] = 24
    photo_fit: Annotated[
        Literal["contain", "cover"],
        Field(description="contain: the whole photo; cover: its cell is filled, the photo's edges are cut."),
    ] = "contain"
    margin_mm: Annotated[Millimetres, Field(description="White space at the edges of the paper.")] = 10
    gap_mm: Annotated[Millimetres, Field(description="Space between cells, and around title and strip.")] = 4
    background: Annotated[Colour, Field(description="The paper's colour.")] = "#ffffff"
    ink: Annotated[Colour, Field(description="The colour of the texts.")] = "#1a1a1a"
    placeholder: Annotated[Colour, Field(description="The ground where a photo is missing.")] = "#e6e6e6"
    title: Annotated[Template, Field(description="The line on top of every page; empty leaves it away.")] = (
        "{domain} · {reference} {name}"
    )
    title_pt: Annotated[Points, Field(description="The size of the title, in points.")] = 20
    caption: Annotated[Template, Field(description="The text below each photo; empty leaves it away.")] = (
        "{number}. {topic}"
    )
    caption_pt: Annotated[Points, Field(description="The size of the captions, in points.")] = 9
    caption_overflow: Annotated[
        Literal["ellipsis", "wrap"],
        Field(description="A caption wider than its cell ends in an ellipsis, or runs on in further lines."),
    ] = "ellipsis"
    caption_lines: Annotated[
        StrictInt,
        Field(ge=1, le=10, description="Lines of a caption that wraps; the last ends in an ellipsis."),
    ] = 2
    font: Annotated[
        Line,
        Field(
            min_length=1,
            max_length=100,
            description="DejaVu Sans comes with batchlab; others, and what it lacks (Chinese, Japanese, "
            "Korean), come from the machine.",
        ),
    ] = "DejaVu Sans"
    sponsors: Annotated[SponsorStyle, Field(description="The strip of sponsors' logos.")] = SponsorStyle()
    format: Annotated[
        Literal["jpeg", "png", "pdf"],
        Field(description="jpeg and png: a file for each page; pdf: one file with all pages."),
    ] = "jpeg"
    quality: Annotated[StrictInt, Field(ge=1, le=100, description="Of JPEG, and of JPEG in a PDF.")] = 90
    subsampling: Annotated[
        Literal["4:2:0", "4:4:4"], Field(description="Of JPEG: 4:4:4 keeps fine coloured text and is larger.")
    ] = "4:2:0"
    on_bad_photo: Annotated[
        Literal["placeholder", "skip", "fail"],
        Field(
            description="A photo that cannot be read: a grey field in its place, left away, "
            "or the participant fails."
        ),
    ] = "placeholder"
    max_pixels: Annotated[
        StrictInt,
        Field(ge=1, le=10_000_000_000, description="A photo of more is bad; its header tells."),
    ] = 200_000_000  # the largest phones take 199.8 megapixels
    max_photo_bytes: Annotated[
        StrictInt, Field(ge=1, le=10_000_000_000, description="A photo file of more is bad.")
    ] = 100_000_000

    def pixels(self) -> tuple[int, int]:
        """Width and height of a page."""
        if isinstance(self.paper, CustomPaper):
            sides_mm = (self.paper.width_mm, self.paper.height_mm)
        else:
            sides_mm = _SIDES_MM[self.paper]
            if self.orientation == "portrait":
                sides_mm = sides_mm[::-1]
        width, height = (round(side / 25.4 * self.dpi) for side in sides_mm)
        return width, height

    @model_validator(mode="after")
    def _printable(self) -> SheetStyle:
        width, height = self.pixels()
        if width * height > _MOST_PAGE_PIXELS or max(width, height) > _MOST_SIDE_PIXELS:
            raise ValueError(
                f"a page would have {width:,} x {height:,} pixels, at most {_MOST_PAGE_PIXELS:,} in all. "
                "Choose a lower dpi or smaller paper."
            )
        return self
