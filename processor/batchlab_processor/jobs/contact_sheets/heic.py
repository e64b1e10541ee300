"""HEIC, as iPhones write it: the wheel of libvips opens it and cannot decode it, so pillow-heif does."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.vips import pyvips


def heic_image(data: bytes | memoryview, check_pixels: Callable[[int, int], None]) -> pyvips.Image:
    """Upright, with the photo's own colour profile. `check_pixels` sees its size before it is decoded.

    Raises ItemError: validation without the extra, corrupt for a broken file.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise ItemError(
            Kind.VALIDATION, "HEIC photos need an extra: pip install 'batchlab-processor[heic]'"
        ) from error
    try:
        photo = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=True)
        check_pixels(*photo.size)
        bands = len(photo.mode)
        rows = bytes(photo.data)
    except (ItemError, MemoryError):
        raise
    except Exception as error:  # broken files make it raise whatever comes: IndexError among others
        raise ItemError(Kind.CORRUPT, f"The file is broken: {str(error).strip().rstrip('.')}.") from error
    width, height = photo.size
    padded = pyvips.Image.new_from_memory(rows, photo.stride // bands, height, bands, "uchar")
    image = padded.crop(0, 0, width, height).copy(interpretation="srgb" if bands > 2 else "b-w")
    profile = photo.info.get("icc_profile")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image
