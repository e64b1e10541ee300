from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from batchlab.jobs.sheet_style import SheetStyle, template_fields


def test_the_defaults_are_a3_with_24_photos_in_6_columns() -> None:
    style = SheetStyle()

    assert style.pixels() == (4961, 3508)
    assert style.layouts == {8: "4x2", 24: "6x4"}


def test_a_style_survives_json_and_both_spellings() -> None:
    style = SheetStyle.model_validate_json(
        '{"paper": {"widthMm": 300, "height_mm": 200.5}, "layouts": {"12": "4x3"}, "onBadPhoto": "skip"}'
    )

    assert style.layouts == {12: "4x3"}
    assert SheetStyle.model_validate(json.loads(style.model_dump_json())) == style


@pytest.mark.parametrize(
    ("paper", "orientation", "pixels"),
    [("A4", "landscape", (877, 620)), ("A4", "portrait", (620, 877)), ("letter", "portrait", (638, 825))],
)
def test_paper_lies_or_stands(paper: str, orientation: str, pixels: tuple[int, int]) -> None:
    style = SheetStyle.model_validate({"paper": paper, "orientation": orientation, "dpi": 75})

    assert style.pixels() == pixels


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"caption": "{topic.__class__}"}, "names of fields"),
        ({"caption": "{topic!r}"}, "names of fields"),
        ({"title": "{name:>900000}"}, "names of fields"),
        ({"title": "{0}"}, "names of fields"),
        ({"title": "{}"}, "names of fields"),
        ({"title": "{name"}, "a brace without its fellow"),
        ({"background": "white"}, "pattern"),
        ({"layout": "0x4"}, "pattern"),
        ({"layouts": {"0": "4x2"}}, "greater than"),
        ({"dpi": 600, "paper": {"width_mm": 2000.0, "height_mm": 2000.0}}, "Choose a lower dpi"),
        ({"margin_mm": float("nan")}, "finite"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SheetStyle.model_validate(change)


def test_the_fields_of_a_template_are_known_before_it_is_filled() -> None:
    assert template_fields("{number}. {topic} {{no}}") == {"number", "topic"}


def test_every_setting_of_the_look_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "contact-sheets.md").read_text()

    assert [name for name in SheetStyle.model_fields if f"`{to_camel(name)}`" not in page] == []
