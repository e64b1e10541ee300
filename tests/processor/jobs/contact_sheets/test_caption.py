from __future__ import annotations

from typing import Literal

import pytest

from batchlab.jobs.sheet_style import SheetStyle
from batchlab_processor.jobs.contact_sheets import caption
from batchlab_processor.jobs.contact_sheets.caption import drawn, filled
from batchlab_processor.jobs.contact_sheets.grid import Size, line_height
from batchlab_processor.jobs.contact_sheets.vips import pyvips

STYLE = SheetStyle(dpi=72)
LINE = line_height(12, 72)


def _drawn(
    text: str, width: int = 200, lines: int = 1, align: Literal["low", "centre"] = "low"
) -> pyvips.Image:
    return drawn(text, STYLE, points=12, box=Size(width, LINE * lines), lines=lines, align=align)


def _same(one: pyvips.Image, other: pyvips.Image) -> bool:
    return bool((one - other).abs().max() == 0)


def test_a_template_is_filled_with_what_there_is() -> None:
    assert filled("{number}. {topic}", {"number": "7", "topic": "Light"}) == "7. Light"
    assert filled("{domain} · {reference} {name}", {"reference": "0007"}) == "0007"
    assert filled("{{{name}}}", {"name": "Ana"}) == "{Ana}"


def test_what_is_filled_in_is_not_a_template_itself() -> None:
    assert filled("{name}", {"name": "{number} {0.__class__}"}) == "{number} {0.__class__}"


def test_line_breaks_and_control_characters_become_spaces() -> None:
    assert filled("{name}", {"name": "Ana\r\n\0Ruiz\u2028 \ud800"}) == "Ana Ruiz"


@pytest.mark.parametrize("text", ["Tom & Jerry <b>", "<span size='90000'>", "&amp;", "</markup>", "a\u202eb"])
def test_markup_in_a_name_is_drawn_as_it_is_written(text: str) -> None:
    assert _drawn(text).min() < 100


def test_an_ampersand_is_one_character_wide() -> None:
    assert not _same(_drawn("Tom & Jerry"), _drawn("Tom &amp; Jerry"))


@pytest.mark.parametrize("text", ["Привет", "مدينة", "Ελληνικά", "Việt Nam", "Łódź"])
def test_letters_of_the_bundled_font_are_no_empty_boxes(text: str) -> None:
    nobody_has_it = "\U0010fffd" * len(text)

    assert not _same(_drawn(text), _drawn(nobody_has_it))
    assert _drawn(text).min() < 100


@pytest.mark.parametrize("align", ["low", "centre"])
@pytest.mark.parametrize("lines", [1, 3])
def test_a_long_text_stays_in_its_box(lines: int, align: Literal["low", "centre"]) -> None:
    block = _drawn("Waldenburg " * 40, lines=lines, align=align)

    assert (block.width, block.height) == (200, LINE * lines)


def test_a_long_line_ends_in_an_ellipsis() -> None:
    long = _drawn("A name that is far too long for the width of its cell")

    candidates = [
        _drawn("A name that is far too long for the width"[:end].rstrip() + "…") for end in range(10, 40)
    ]
    assert any(_same(long, candidate) for candidate in candidates)


def test_an_ellipsis_takes_no_more_than_it_must() -> None:
    text = "A name that is far too long"
    mask = pyvips.Image.text(text + "…", font="DejaVu Sans 12", dpi=72)

    assert _same(_drawn(text + "winded", width=mask.width), _drawn(text + "…", width=mask.width))


def test_accents_stay_with_their_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    escape = caption.escape
    monkeypatch.setattr(caption, "escape", lambda text, quote: tried.append(text) or escape(text, quote))

    _drawn("e\u0301" * 200)

    cut = [text.removesuffix("…") for text in tried if text.endswith("…")]
    assert cut
    assert all(text.endswith("\u0301") for text in cut if text)


def test_a_wrapped_text_uses_its_lines_and_then_ends_in_an_ellipsis() -> None:
    two_lines = _drawn("Morning light over the harbour", width=120, lines=2, align="centre")

    assert two_lines.crop(0, 0, 120, LINE).min() < 100
    assert two_lines.crop(0, LINE, 120, LINE).min() < 100


def test_letters_stand_on_one_line_whatever_their_shapes() -> None:
    """A text is drawn from its line, not from the top of its highest letter."""
    low, high = _drawn("aaa"), _drawn("aaaÅ")
    width = 20

    assert _same(low.crop(0, 0, width, LINE), high.crop(0, 0, width, LINE))


def test_no_text_is_plain_paper() -> None:
    assert _drawn("").min() == 255


def test_letters_that_tower_over_their_line_cost_no_others() -> None:
    tall, plain = (f"A{marks} and the rest" for marks in ("\u0301" * 8, "\u0301"))
    rest = (30, LINE // 2, 170, LINE // 2)

    assert _same(_drawn(tall).crop(*rest), _drawn(plain).crop(*rest))
