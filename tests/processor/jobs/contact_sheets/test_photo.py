from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.grid import Size
from batchlab_processor.jobs.contact_sheets.photo import format_of, photo_image, reason
from batchlab_processor.jobs.contact_sheets.vips import pyvips
from tests.processor.jobs.contact_sheets.golden import COLOURS, GALLERY, dressed, heic, image, jpeg, turned

STYLE = SheetStyle()
BOX = Size(300, 300)


def _difference(one: pyvips.Image, other: pyvips.Image) -> float:
    assert (one.width, one.height) == (other.width, other.height)
    return float((one - other).abs().avg())


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))


def _bomb() -> bytes:
    """1.6 gigapixels of nothing, 194 KB."""
    deflate = zlib.compressobj(9)
    rows = bytes(1 + 40_000 // 8) * 100
    pixels = b"".join(deflate.compress(rows) for _ in range(400)) + deflate.flush()
    return _png_header(40_000, 40_000) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _refusal(photo: bytes | Path, style: SheetStyle = STYLE) -> ItemError:
    with pytest.raises(ItemError) as caught:
        photo_image(photo, style, BOX)
    return caught.value


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_shows_upright(orientation: int) -> None:
    upright = photo_image(jpeg(image(2)), STYLE, BOX)

    shown = photo_image(turned(image(2), orientation), STYLE, BOX)

    assert _difference(shown, upright) < 1


@pytest.mark.parametrize("dress", COLOURS)
def test_every_colour_space_comes_out_as_srgb_of_8_bits(dress: str) -> None:
    shown = photo_image(dressed(dress), STYLE, BOX)

    assert (shown.bands, shown.format, shown.interpretation) == (3, "uchar", "srgb")


@pytest.mark.parametrize(
    ("dress", "most"),
    [("CMYK", 4), ("CMYK without profile", 4), ("16 bits", 0.5), ("Display P3", 1), ("HEIC", 1)],
)
def test_colours_are_those_of_the_srgb_original(dress: str, most: float) -> None:
    assert (
        _difference(photo_image(dressed(dress), STYLE, BOX), photo_image(jpeg(image(2)), STYLE, BOX)) < most
    )


def test_cmyk_photos_may_be_read_side_by_side(tmp_path: Path) -> None:
    """In a process of its own: one that dies of SIGSEGV would take the tests along."""
    photo = tmp_path / "cmyk.jpg"
    photo.write_bytes(
        image(2)
        .thumbnail_image(120)
        .icc_transform("cmyk")
        .copy(interpretation="cmyk")
        .jpegsave_buffer(keep="none")
    )
    code = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pathlib import Path\n"
        "from batchlab.jobs.sheet_style import SheetStyle\n"
        "from batchlab_processor.jobs.contact_sheets.grid import Size\n"
        "from batchlab_processor.jobs.contact_sheets.photo import photo_image\n"
        "read = lambda _: photo_image(Path(sys.argv[1]), SheetStyle(), Size(40, 30))\n"
        "with ThreadPoolExecutor(5) as pool:\n"
        "    assert len(list(pool.map(read, range(60)))) == 60\n"
    )
    subprocess.run([sys.executable, "-c", code, photo], check=True)


def test_a_profile_that_does_not_fit_its_photo_is_ignored() -> None:
    gray = image(2).colourspace("b-w")
    gray.set_type(pyvips.GValue.blob_type, "icc-profile-data", b"no profile at all")

    shown = photo_image(bytes(gray.tiffsave_buffer()), STYLE, BOX)

    assert (
        _difference(shown, photo_image(bytes(image(2).colourspace("b-w").tiffsave_buffer()), STYLE, BOX)) < 1
    )


def test_what_is_transparent_shows_the_paper() -> None:
    nothing = image(2).bandjoin(0)

    shown = photo_image(bytes(nothing.pngsave_buffer()), SheetStyle(background="#ff8000"), BOX)

    assert shown(0, 0) == [255, 128, 0]


def test_cover_fills_its_box_and_contain_stays_within() -> None:
    covering = photo_image(GALLERY[1], SheetStyle(photo_fit="cover"), Size(90, 200))
    within = photo_image(GALLERY[1], STYLE, Size(90, 200))

    assert (covering.width, covering.height) == (90, 200)
    assert (within.width, within.height) == (90, 60)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_looks_as_if_it_had_been_scaled_from_all_its_pixels(orientation: int) -> None:
    """A panorama that stands: who reads its sides in the order of the file decodes too few pixels."""
    tower = image(2).resize(6).crop(900, 0, 400, 1_800).copy_memory()
    box = Size(100, 1_000)
    exact = photo_image(bytes(tower.pngsave_buffer(compression=1)), STYLE, box)

    reduced = photo_image(turned(tower, orientation), STYLE, box)

    assert _difference(reduced, exact) < 1


def test_a_file_on_disk_and_a_view_of_memory_are_read_alike() -> None:
    body = GALLERY[2].read_bytes()

    assert _difference(photo_image(GALLERY[2], STYLE, BOX), photo_image(memoryview(body), STYLE, BOX)) == 0


BROKEN: Mapping[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "junk": lambda: b"no photo " * 1_000,
    "an error page": lambda: b"<!doctype html><title>502</title>",
    "an MP4": lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41",
    "junk that begins as a JPEG": lambda: b"\xff\xd8\xff\xe0" + b"junk" * 1_000,
    "a JPEG cut at its very end": lambda: jpeg(image(2))[:-20],
    "a JPEG cut in half": lambda: _half(jpeg(image(2))),
    "a PNG cut in half": lambda: _half(image(2).pngsave_buffer()),
    "a WebP cut in half": lambda: _half(image(2).webpsave_buffer()),
    "a TIFF cut in half": lambda: _half(image(2).tiffsave_buffer()),
    "a HEIC cut in half": lambda: _half(heic(image(2))),
    "an AVIF cut in half": lambda: _half(dressed("AVIF")),
    "a GIF cut in half": lambda: _half(image(2).gifsave_buffer()),
}


def _half(body: bytes) -> bytes:
    return bytes(body[: len(body) // 2])


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_shown_is_corrupt(name: str) -> None:
    assert _refusal(BROKEN[name]()).kind is Kind.CORRUPT


def test_a_broken_photo_is_told_in_words_for_people_also_when_libvips_has_lost_its_own() -> None:
    assert reason(Exception("unable to copy to memory")) == "it cannot be decoded to its end"
    assert "premature end" in _refusal(BROKEN["a JPEG cut in half"]()).message


def test_a_photo_of_1_6_gigapixels_is_refused() -> None:
    refusal = _refusal(_bomb())

    assert refusal.kind is Kind.TOO_LARGE
    assert refusal.message == "The picture has 40,000 x 40,000 pixels; max_pixels allows 200,000,000."


def test_pixels_are_counted_from_the_header_alone() -> None:
    assert _refusal(_png_header(40_000, 40_000) + _chunk(b"IDAT", b"\x78\x9c")).kind is Kind.TOO_LARGE


def test_the_limit_on_pixels_holds_for_jpeg_and_heic() -> None:
    few = SheetStyle(max_pixels=1_000)

    assert _refusal(jpeg(image(2)), few).kind is Kind.TOO_LARGE
    assert _refusal(heic(image(2)), few).kind is Kind.TOO_LARGE


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.jpg"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)

    assert _refusal(sparse).kind is Kind.TOO_LARGE
    assert "max_photo_bytes" in _refusal(b"\xff" * 11, SheetStyle(max_photo_bytes=10)).message


def test_heic_without_its_extra_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = heic(image(2))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)

    refusal = _refusal(photo)

    assert refusal.kind is Kind.VALIDATION
    assert "pip install 'batchlab-processor[heic]'" in refusal.message


def test_formats_are_told_by_content() -> None:
    assert format_of(heic(image(2))[:64]) == "heic"
    assert format_of(bytes(image(2).heifsave_buffer(compression="av1"))[:64]) == "heif"
    assert format_of(b"%PDF-1.7") is None
    assert format_of(b"\xff\xff\xff\xffftypheic" + bytes(52)) == "heic"  # a length of 4 GB is not believed


@pytest.mark.parametrize("dress", COLOURS)
def test_damaged_files_are_shown_or_refused_and_nothing_else(dress: str) -> None:
    whole = bytes(COLOURS[dress](image(2).resize(0.25).copy_memory()))
    chance = random.Random(dress)
    for _ in range(12):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 20))):
            at = chance.randrange(min(400, len(whole)))
            damaged[at : at + chance.choice((0, 1, 1, 50))] = chance.randbytes(chance.choice((1, 1, 20)))
        try:
            photo_image(bytes(damaged), STYLE, Size(60, 60))
        except ItemError as error:
            assert error.kind in (Kind.CORRUPT, Kind.TOO_LARGE)  # noqa: PT017 - it may also be shown
