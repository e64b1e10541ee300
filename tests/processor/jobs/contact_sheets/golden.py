"""The golden pictures: pages made from examples/gallery, kept beside this file and looked at.

.venv/bin/python -m tests.processor.jobs.contact_sheets.golden     writes them again; then look at every one
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import pillow_heif

from batchlab.jobs.sheet_style import SheetStyle
from batchlab_processor.jobs.contact_sheets.render import Sheet, Tile, render
from batchlab_processor.jobs.contact_sheets.vips import pyvips

FOLDER = Path(__file__).with_name("golden")
GALLERY = sorted((Path(__file__).parents[4] / "examples/gallery").glob("*.jpg"))
STYLE = SheetStyle.model_validate({"paper": {"width_mm": 220, "height_mm": 156}, "dpi": 72, "quality": 85})
NAME_OF_60 = "Maximiliane-Theodora zu Hohenlohe-Waldenburg-Schillingsfürst"

LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 100"><rect width="300" height="100" rx="20" '
    b'fill="#c33"/><circle cx="50" cy="50" r="30" fill="#fff"/><path d="M110 50h150" stroke="#fff" '
    b'stroke-width="24"/></svg>'
)


@cache
def image(number: int) -> pyvips.Image:
    """The gallery's photo `number`, from 1, upright in sRGB."""
    return pyvips.Image.new_from_file(str(GALLERY[number - 1])).autorot().colourspace("srgb").copy_memory()


def jpeg(picture: pyvips.Image, orientation: int = 1) -> bytes:
    """A JPEG whose tag says `orientation`, whatever the pixels are."""
    tagged = picture.copy()
    tagged.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return bytes(tagged.jpegsave_buffer(Q=95))


def turned(picture: pyvips.Image, orientation: int) -> bytes:
    """A JPEG that shows `picture` to those who follow its tag. Source: EXIF 2.32, 4.6.4, "Orientation"."""
    stored = {
        1: lambda: picture,
        2: picture.fliphor,
        3: picture.rot180,
        4: picture.flipver,
        5: lambda: picture.rot90().fliphor(),
        6: picture.rot270,
        7: lambda: picture.rot270().fliphor(),
        8: picture.rot90,
    }[orientation]()
    return jpeg(stored, orientation)


def heic(picture: pyvips.Image) -> bytes:
    file = BytesIO()
    pixels = bytes(picture.write_to_memory())
    pillow_heif.from_bytes("RGB", (picture.width, picture.height), pixels).save(file, quality=95)
    return file.getvalue()


def _faded(picture: pyvips.Image) -> pyvips.Image:
    across = pyvips.Image.xyz(picture.width, picture.height)[0]
    return picture.bandjoin((across * (255 / picture.width)).cast("uchar"))


# One photo in every dress that photos come in, by what its caption says.
COLOURS: Mapping[str, Callable[[pyvips.Image], bytes]] = {
    "sRGB": jpeg,
    "CMYK": lambda cat: cat.icc_transform("cmyk").jpegsave_buffer(Q=95),
    "CMYK without profile": lambda cat: cat.icc_transform("cmyk").jpegsave_buffer(Q=95, keep="none"),
    "16 bits": lambda cat: cat.colourspace("rgb16").pngsave_buffer(),
    "gray": lambda cat: cat.colourspace("b-w").jpegsave_buffer(Q=95),
    "gray, 16 bits": lambda cat: cat.colourspace("grey16").pngsave_buffer(),
    "alpha": lambda cat: _faded(cat).pngsave_buffer(),
    "Display P3": lambda cat: cat.icc_transform("p3").jpegsave_buffer(Q=95),
    "WebP": lambda cat: cat.webpsave_buffer(Q=95),
    "TIFF": lambda cat: cat.tiffsave_buffer(),
    "AVIF": lambda cat: cat.heifsave_buffer(compression="av1", Q=90),
    "HEIC": heic,
}


@cache
def dressed(colour: str) -> bytes:
    return bytes(COLOURS[colour](image(2)))


def made(
    photos: Sequence[bytes | Path | None],
    captions: Sequence[str] = (),
    logos: Sequence[bytes] = (),
    name: str = "Ana Ruiz",
    **style: object,
) -> list[bytes]:
    """The pages of a participant; topics without captions are numbered only."""
    tiles = [
        Tile(photo, {"number": str(at + 1), "topic": captions[at] if at < len(captions) else ""})
        for at, photo in enumerate(photos)
    ]
    fields = {"domain": "fotomaraton", "reference": "0007", "name": name}
    chosen = SheetStyle.model_validate({**STYLE.model_dump(), **style})
    return render(Sheet(fields, tiles, logos), chosen).pages


def of_gallery(count: int, **style: object) -> Callable[[], list[bytes]]:
    return lambda: made([GALLERY[at % len(GALLERY)] for at in range(count)], **style)


CAPTIONS = (
    "Morning light",
    "مدينة في الليل",
    "Ночной город и мосты",
    "Tom & Jerry <b>",
    NAME_OF_60,
    "Ελληνικά, Việt Nam, Łódź, Ångström",
    "É" * 80,
    "",
)

PAGES: Mapping[str, Callable[[], list[bytes]]] = {
    "orientations": lambda: made(
        [turned(image(1), at) for at in range(1, 9)], [f"orientation {at}" for at in range(1, 9)]
    ),
    "colours": lambda: made([dressed(name) for name in COLOURS], list(COLOURS), background="#dfe8d8"),
    "captions": lambda: made(GALLERY[:8], CAPTIONS, name=NAME_OF_60),
    "captions-wrapped": lambda: made(
        GALLERY[:8], CAPTIONS, name="ليلى بنت أحمد", caption_overflow="wrap", caption_lines=3
    ),
    "photos-1": of_gallery(1),
    "photos-7": of_gallery(7),
    "photos-8": of_gallery(8),
    "photos-24": of_gallery(24),
    "photos-25": of_gallery(25),
    "photos-100": of_gallery(100),
    "bad-photos": lambda: made([GALLERY[0], b"", GALLERY[2], None, b"junk", *GALLERY[3:6]]),
    "bad-photos-skipped": lambda: made([GALLERY[0], b"", *GALLERY[2:8]], on_bad_photo="skip"),
    "sponsors": lambda: made(GALLERY[:8], logos=[LOGO, GALLERY[2].read_bytes(), LOGO]),
    "sponsors-on-top": lambda: made(
        GALLERY[:8], logos=[LOGO, GALLERY[2].read_bytes()], sponsors={"position": "top", "fit": "cover"}
    ),
    "portrait-cover-dark": lambda: made(
        GALLERY[:8],
        CAPTIONS,
        paper="A4",
        orientation="portrait",
        dpi=50,
        layouts={},
        photo_fit="cover",
        background="#101820",
        ink="#f0e0c0",
        gap_mm=2,
        margin_mm=5,
    ),
}


def files_of(name: str, pages: Sequence[bytes]) -> dict[str, bytes]:
    """Of several pages the first and the last are kept."""
    if len(pages) == 1:
        return {f"{name}.jpg": pages[0]}
    return {f"{name}-page-1.jpg": pages[0], f"{name}-page-{len(pages)}.jpg": pages[-1]}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.jpg"):
        old.unlink()
    for each, make in PAGES.items():
        for file_name, body in files_of(each, make()).items():
            (FOLDER / file_name).write_bytes(body)
