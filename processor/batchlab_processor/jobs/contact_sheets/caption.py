"""Texts on a sheet: templates filled in, cut to their box, drawn in ink."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Mapping
from html import escape
from string import Formatter
from typing import Literal

from batchlab.jobs.sheet_style import SheetStyle
from batchlab_processor.jobs.contact_sheets.grid import Size, line_height
from batchlab_processor.jobs.contact_sheets.vips import pyvips

_ELLIPSIS = "…"
_MOST_CHARACTERS = 1_000  # no box holds more; a layout of megabytes takes seconds
_JOINED = ("Mn", "Me", "Mc", "Cf")  # accents and joiners belong to the character before


def filled(template: str, fields: Mapping[str, str]) -> str:
    """One line of text; a field that is not there is empty, and a separator left over at an end goes."""
    parts = Formatter().parse(template)
    text = "".join(literal + (fields.get(name, "") if name else "") for literal, name, _, _ in parts)
    printable = (" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    return " ".join("".join(printable).split()).strip("· ")[:_MOST_CHARACTERS]


def drawn(
    text: str, style: SheetStyle, *, points: float, box: Size, lines: int, align: Literal["low", "centre"]
) -> pyvips.Image:
    """`text` at the foot of a block of the paper's colour; what does not fit its lines ends in an ellipsis."""
    wrapping = {"width": box.width, "wrap": "word-char", "align": align} if lines > 1 else {}
    line = line_height(points, style.dpi)
    above = box.height - line * lines
    # Lines keep their distance also where another font steps in for letters that this one lacks. The unit of
    # line_height is 1/1024 point; the text itself is Pango markup, too, which reads & and <.
    markup = f'<span line_height="{round(line / style.dpi * 72 * 1024)}">%s</span>'

    def mask_of(words: str) -> pyvips.Image:
        words = markup % escape(words, quote=False)
        return pyvips.Image.text(words, font=f"{style.font} {points}", dpi=style.dpi, **wrapping)

    def too_large(words: str) -> bool:
        mask = mask_of(words)
        if lines > 1:
            return bool(mask.get("yoffset") + mask.height > line * (lines + 0.5))
        return bool(mask.width > box.width)

    ink, paper = rgb(style.ink), rgb(style.background)
    if not text:
        return plain(box, style.background)
    if too_large(text):
        ends = [at for at in range(len(text)) if unicodedata.category(text[at]) not in _JOINED]
        kept = bisect_left(ends, True, key=lambda end: too_large(text[:end].rstrip() + _ELLIPSIS))
        text = text[: ends[max(kept - 1, 0)]].rstrip() + _ELLIPSIS
    mask = mask_of(text)
    left = 0 if align == "low" else (box.width - mask.width) // 2
    mask = mask.embed(left, mask.get("yoffset") + above, box.width, box.height)
    block = mask.ifthenelse(ink, paper, blend=True)
    return block.cast("uchar").copy(interpretation="srgb").copy_memory()


def plain(box: Size, colour: str) -> pyvips.Image:
    """A block of one colour."""
    return (
        (pyvips.Image.black(box.width, box.height, bands=3) + rgb(colour))
        .cast("uchar")
        .copy(interpretation="srgb")
    )


def rgb(colour: str) -> list[int]:
    """[255, 128, 0] of "#ff8000"."""
    return list(bytes.fromhex(colour[1:]))
