from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from batchlab.jobs.sheet_style import SheetStyle
from batchlab.kinds import ItemError, Kind
from batchlab_processor.jobs.contact_sheets.render import BadPhoto, Rendered, Sheet, SheetMaker, Tile, render
from batchlab_processor.jobs.contact_sheets.vips import pyvips
from tests.processor.jobs.contact_sheets.golden import GALLERY, LOGO, STYLE


def _style(**changes: object) -> SheetStyle:
    return SheetStyle.model_validate({**STYLE.model_dump(), **changes})


def _render(*photos: object, logos: tuple[bytes, ...] = (), **changes: object) -> Rendered:
    tiles = [Tile(photo, {"number": str(at)}) for at, photo in enumerate(photos, start=1)]  # type: ignore[arg-type]
    return render(Sheet({"name": "Ana"}, tiles, logos), _style(**changes))


@pytest.mark.parametrize(
    ("format_name", "extension", "content_type", "start"),
    [
        ("jpeg", "jpg", "image/jpeg", b"\xff\xd8\xff"),
        ("png", "png", "image/png", b"\x89PNG"),
        ("pdf", "pdf", "application/pdf", b"%PDF-1.4"),
    ],
)
def test_a_sheet_comes_in_three_formats(
    format_name: str, extension: str, content_type: str, start: bytes
) -> None:
    rendered = _render(*GALLERY[:3], format=format_name)

    assert (rendered.extension, rendered.content_type, rendered.bad) == (extension, content_type, [])
    assert [page[: len(start)] for page in rendered.pages] == [start]


@pytest.mark.parametrize("format_name", ["jpeg", "png", "pdf"])
def test_the_same_inputs_give_the_same_bytes_also_side_by_side(format_name: str) -> None:
    def one(_: int) -> list[bytes]:
        return _render(*GALLERY, b"junk", logos=(LOGO,), format=format_name).pages

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(one, range(4))

    assert all(pages == first for pages in others)


def test_pages_say_their_resolution_and_their_colours() -> None:
    [page] = _render(GALLERY[0], dpi=100).pages

    image = pyvips.Image.new_from_buffer(page, "")
    assert round(image.xres * 25.4) == round(image.yres * 25.4) == 100
    assert image.get("icc-profile-data")
    assert (image.width, image.height) == (round(220 / 25.4 * 100), round(156 / 25.4 * 100))


@pytest.mark.parametrize("format_name", ["jpeg", "png", "pdf"])
def test_nothing_of_its_photos_metadata_is_in_a_sheet(format_name: str) -> None:
    photo = pyvips.Image.new_from_file(str(GALLERY[0])).copy_memory()
    photo.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "Ana who took it")
    photo.set_type(pyvips.GValue.gstr_type, "exif-ifd3-GPSLatitude", "43/1 28/1 2/1")
    photo.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>Ana at home</x:xmpmeta>")
    photo.set_type(pyvips.GValue.blob_type, "iptc-data", b"Ana's own words")
    telling = photo.jpegsave_buffer()
    words = (b"who took it", b"at home", b"own words")
    assert all(word in telling for word in words)

    [page] = _render(telling, GALLERY[1], format=format_name).pages

    assert not any(word in page for word in words)
    if format_name != "pdf":
        fields = pyvips.Image.new_from_buffer(page, "").get_fields()
        assert not [name for name in fields if name.startswith(("exif-ifd3", "xmp", "iptc"))]


def test_subsampling_and_quality_change_the_file() -> None:
    sizes = [
        len(_render(GALLERY[2], **changes).pages[0])
        for changes in ({"quality": 50}, {"quality": 90}, {"quality": 90, "subsampling": "4:4:4"})
    ]

    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_a_bad_photo_leaves_a_placeholder_and_is_told() -> None:
    rendered = _render(GALLERY[0], b"", GALLERY[1], None)

    assert [(bad.index, bad.kind) for bad in rendered.bad] == [(1, Kind.CORRUPT), (3, Kind.MISSING)]


def test_what_the_caller_could_not_get_keeps_its_kind_and_its_words() -> None:
    lost = Tile(None, {}, problem="photos.example answered 403.", kind=Kind.AUTH)

    rendered = render(Sheet({}, [Tile(GALLERY[0], {}), lost]), STYLE)

    assert rendered.bad == [BadPhoto(1, Kind.AUTH, "photos.example answered 403.")]


def test_a_skipped_photo_leaves_no_gap() -> None:
    skipped = _render(GALLERY[0], b"junk", GALLERY[1], on_bad_photo="skip", caption="")

    assert [bad.index for bad in skipped.bad] == [1]
    assert skipped.pages == _render(GALLERY[0], GALLERY[1], b"junk", on_bad_photo="skip", caption="").pages


def test_a_bad_photo_can_fail_the_participant() -> None:
    with pytest.raises(ItemError, match="corrupt: Photo 2: The file is empty"):
        _render(GALLERY[0], b"", on_bad_photo="fail")


@pytest.mark.parametrize("choice", ["placeholder", "skip"])
def test_a_sheet_without_a_single_photo_is_a_failure(choice: str) -> None:
    with pytest.raises(ItemError, match="None of 2 photos can be shown; the first: The file is empty"):
        _render(b"", None, on_bad_photo=choice)
    with pytest.raises(ItemError, match="There are no photos"):
        _render(on_bad_photo=choice)


def test_tiles_may_come_one_at_a_time() -> None:
    maker = SheetMaker({"name": "Ana"}, 3, STYLE)
    for at, photo in enumerate(GALLERY[:3], start=1):
        maker.add(Tile(photo.read_bytes(), {"number": str(at)}))

    assert maker.finish() == _render(*GALLERY[:3])


def test_every_page_has_its_number() -> None:
    numbered = _render(*GALLERY[:4], layouts={}, layout="2x1", format="png", title="")
    assert len(numbered.pages) == 2

    one, two = (
        pyvips.Image.new_from_buffer(page, "").crop(0, 0, 600, 60)
        for page in _render(GALLERY[0], GALLERY[0], layouts={}, layout="1x1", format="png").pages
    )
    assert (one - two).abs().max() > 100


def test_without_libvips_the_install_command_is_named() -> None:
    program = (
        "import sys; sys.modules['pyvips'] = None\n"
        "from batchlab.kinds import ItemError\n"
        "try: import batchlab_processor.jobs.contact_sheets.render\n"
        "except ItemError as error: print(error.message)"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "Contact sheets need libvips. Install it: pip install 'batchlab-processor[sheets]'"
