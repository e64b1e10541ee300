"""One photo, from its file's bytes to pixels of the size that the sheet shows. Never more than it must decode."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.caption import rgb
from batchlab_processor.jobs.contact_sheets.grid import Size
from batchlab_processor.jobs.contact_sheets.heic import heic_image
from batchlab_processor.jobs.contact_sheets.vips import pyvips

# libvips reads many formats more, through decoders that were never meant for strangers' files.
_READABLE = "JPEG, PNG, WebP, TIFF, GIF, AVIF and HEIC"
_LEAST_REDUCTION = 1.5  # left for lanczos after the decoder's own, which is a plain mean of blocks
Fit = Literal["contain", "cover"]
_TURNED = 5  # EXIF orientations from here on lie on their side


def photo_image(photo: bytes | memoryview | Path, style: SheetStyle, box: Size) -> pyvips.Image:
    """As `picture`, of a file of at most max_photo_bytes."""
    size_bytes = photo.stat().st_size if isinstance(photo, Path) else len(photo)
    if size_bytes > style.max_photo_bytes:
        raise ItemError(
            Kind.TOO_LARGE,
            f"The file has {size_bytes:,} bytes; max_photo_bytes allows {style.max_photo_bytes:,}.",
        )
    return picture(photo.read_bytes() if isinstance(photo, Path) else photo, style, box, style.photo_fit)


def picture(data: bytes | memoryview, style: SheetStyle, box: Size, fit: Fit) -> pyvips.Image:
    """Upright, in sRGB of 8 bits, on the paper's colour where it was transparent; in memory.

    With fit contain at most as large as `box`, with cover exactly. Raises ItemError: corrupt (empty, broken or no
    photo), too_large (by the pixels its header tells, before any are decoded), validation (HEIC without its extra).
    """
    if not data:
        raise ItemError(Kind.CORRUPT, "The file is empty.")
    try:
        return fitted(_opened(data, style, box, fit), style, box, fit)
    except pyvips.Error as error:
        raise ItemError(Kind.CORRUPT, f"The file is broken: {reason(error)}.") from error


def fitted(image: pyvips.Image, style: SheetStyle, box: Size, fit: Fit) -> pyvips.Image:
    """What `picture` says, of an image whose pixels have not been asked for yet. Raises pyvips.Error."""
    crop = "centre" if fit == "cover" else "none"
    small = image.thumbnail_image(box.width, height=box.height, size="both", crop=crop, fail_on="error")
    # In memory before colours are looked at: what follows asks for small squares, and libvips would scale each
    # with its surroundings again (0.13 s a photo instead of 0.07).
    small = small.copy_memory()
    # CMYK has just come out as sRGB, with its profile still on it: asked to use that one, libvips 8.18 refuses, and
    # crashes now and then when several threads ask at once.
    if small.get_typeof("icc-profile-data") and image.interpretation != "cmyk":
        with contextlib.suppress(
            pyvips.Error
        ):  # one that is broken, or not for this image, is as good as none
            small = small.icc_transform("srgb", embedded=True)
    if small.hasalpha():
        small = small.flatten(background=rgb(style.background))
    return small.colourspace("srgb").cast("uchar").copy_memory()


def _opened(data: bytes | memoryview, style: SheetStyle, box: Size, fit: Fit) -> pyvips.Image:
    """Its header has been read, and it is no larger than allowed; a JPEG will come out reduced."""
    kind = format_of(bytes(data[:64]))
    if kind is None:
        raise ItemError(Kind.CORRUPT, f"The file is none of those that can be read here: {_READABLE}.")
    if kind == "heic":
        return heic_image(data, lambda width, height: _check_pixels(width, height, style.max_pixels))
    load = getattr(pyvips.Image, f"{kind}load_source")
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error"}
    image = load(pyvips.Source.new_from_memory(data), **options)
    _check_pixels(image.width, image.height, style.max_pixels)
    if kind == "jpeg":
        turned = image.get_typeof("orientation") and image.get("orientation") >= _TURNED
        width, height = (image.height, image.width) if turned else (image.width, image.height)
        choose = min if fit == "contain" else max
        reduction = 1 / choose(box.width / width, box.height / height)
        shrink = next(by for by in (8, 4, 2, 1) if by == 1 or reduction / by >= _LEAST_REDUCTION)
        return load(pyvips.Source.new_from_memory(data), shrink=shrink, **options) if shrink > 1 else image
    return image


Format = Literal["jpeg", "png", "webp", "tiff", "gif", "heif", "heic"]


def format_of(start: bytes) -> Format | None:
    """By a file's first 64 bytes; heif is what libvips decodes itself (AVIF)."""
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "webp"
    if start.startswith((b"II*\x00", b"MM\x00*")):
        return "tiff"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if start[4:8] == b"ftyp":
        brands = {start[at : at + 4] for at in range(8, min(int.from_bytes(start[:4]), len(start)), 4)}
        if brands & {b"avif", b"avis"}:
            return "heif"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}:
            return "heic"
    return None


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise ItemError(
            Kind.TOO_LARGE,
            f"The picture has {width:,} x {height:,} pixels; max_pixels allows {most:,}.",
        )


def reason(error: Exception) -> str:
    """The last line of libvips' own words, such as "VipsJpeg: premature end of JPEG image".

    There are none when another thread's error came first: libvips keeps them for all threads together. Then only
    pyvips' first line is left, which names what it called ("unable to copy to memory").
    """
    _, *lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return lines[-1].rstrip(".") if lines else "it cannot be decoded to its end"
